"""Checks about access keys and users."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, Refused, message
from twokey.core.runbooks import CheckResult, Target
from twokey.providers.aws import marks
from twokey.providers.aws.checks.asking import Question, answer, equal
from twokey.providers.aws.kept_out import Named
from twokey.providers.aws.organizations import NEVER_TAG
from twokey.providers.aws.principals import (
    KEY_ACCOUNT,
    KEY_READS,
    account_of,
    owner_of,
    status_of,
    user_policy,
    user_tags,
)
from twokey.providers.aws.session import Calls, text

_KEY = {"access_key_id": "aws.access_key_id"}


def _account_equals(calls: Calls, target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    if text(inputs, "account_id") != target.account:
        raise Refused("aws.org.not_the_target", account=inputs["account_id"], target=target.account)
    return equal("account", account_of(calls, text(inputs, "access_key_id")), text(inputs, "account_id"))


def _not_own(calls: Calls, _target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    key_id, own = text(inputs, "access_key_id"), calls.own_access_key_id()
    is_own = not own or key_id == own
    return answer(message("aws.key.is_own", key=key_id) if is_own else None, {"is_own": is_own})


def _user_has_no_tag(calls: Calls, target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    user = str(inputs.get("user_name") or "") or owner_of(
        calls, target.account, text(inputs, "access_key_id")
    )
    tag = str(inputs.get("tag") or NEVER_TAG)
    found = marks.Verdict()
    if tag in user_tags(calls, target.account, user):
        named = Named("user", target.account, user, str(inputs.get("access_key_id") or ""))
        found = marks.verdict(calls, target, named, tag, str(inputs.get("since") or ""))
    # What the digest covers is whether it counts: a tag that does not may come and go.
    warned = (found.note,) if found.note else ()
    seen: dict[str, Json] = {"user_name": user, "tag": bool(found.reason)}
    return CheckResult(not found.reason, seen, found.reason, warned, found.not_yet)


def _status_equals(calls: Calls, target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    key_id = text(inputs, "access_key_id")
    user = owner_of(calls, target.account, key_id)
    return equal("status", status_of(calls, target.account, user, key_id), text(inputs, "status"))


def _policy_present(calls: Calls, target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    user, name = text(inputs, "user_name"), text(inputs, "policy_name")
    there = user_policy(calls, target.account, user, name) is not None
    reason = None if there else message("aws.iam.policy_missing", user=user, policy=name)
    return answer(reason, {"is_there": there})


QUESTIONS: tuple[Question, ...] = (
    Question(
        "aws.sts.access_key_account_equals",
        _account_equals,
        KEY_ACCOUNT,
        {**_KEY, "account_id": "aws.account_id"},
    ),
    Question("aws.sts.key_is_not_own", _not_own, (), _KEY),
    Question(
        "aws.iam.user_has_no_tag",
        _user_has_no_tag,
        ("cloudtrail:LookupEvents", "iam:GetAccessKeyLastUsed", "iam:ListUserTags"),
        {
            "access_key_id": "aws.access_key_id?",
            "user_name": "aws.iam_user_name?",
            "tag": "text?",
            "since": "text?",
        },
    ),
    Question("aws.iam.key_status_equals", _status_equals, KEY_READS, {**_KEY, "status": "text"}),
    Question(
        "aws.iam.user_policy_present",
        _policy_present,
        ("iam:GetUserPolicy",),
        {"user_name": "aws.iam_user_name", "policy_name": "text"},
    ),
)
