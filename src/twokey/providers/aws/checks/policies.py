"""Checks about service control policies."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, TwokeyError, message
from twokey.core.runbooks import CheckResult, Target
from twokey.providers.aws import scp
from twokey.providers.aws.checks.asking import Question, answer, equal_lists
from twokey.providers.aws.orgtree import SCP, OrgReader
from twokey.providers.aws.session import Calls, text


def _validity(calls: Calls, _target: Target, inputs: Mapping[str, Json]) -> CheckResult:
    """Ask Access Analyzer where it answers, and our own parser always: `used` says which one decided."""
    reader = OrgReader(calls)
    document = reader.document(text(inputs, "policy_id"))
    problems = scp.problems(document)
    if problems:
        return answer(problems[0], {"used": "twokey.scp", "problems": len(problems)})
    try:
        findings = calls.listed(
            "accessanalyzer",
            "validate_policy",
            "findings",
            reader.account,
            policyDocument=document,
            policyType=SCP,
        )
    except TwokeyError as error:
        return answer(None, {"used": "twokey.scp", "problems": 0, "analyzer": error.message.code})
    errors = [str(found.get("issueCode", "")) for found in findings if found.get("findingType") == "ERROR"]
    reason = message("aws.scp.not_valid", codes=", ".join(errors)) if errors else None
    return answer(reason, {"used": "accessanalyzer", "problems": len(errors)})


QUESTIONS: tuple[Question, ...] = (
    Question(
        "aws.org.policy_targets_equal",
        lambda calls, _target, inputs: equal_lists(
            "targets", OrgReader(calls).targets(text(inputs, "policy_id")), inputs.get("targets")
        ),
        ("organizations:ListTargetsForPolicy",),
        {"policy_id": "aws.policy_id", "targets": "list"},
    ),
    Question(
        "aws.accessanalyzer.scp_is_valid",
        _validity,
        ("access-analyzer:ValidatePolicy", "organizations:DescribePolicy"),
        {"policy_id": "aws.policy_id"},
    ),
)
