"""Reads and refusals about access keys and the users that hold them."""

from __future__ import annotations

import re

from twokey.core.errors import Json, Message, NotFound, message
from twokey.providers.aws.parameters import PARAMETER_TYPES
from twokey.providers.aws.session import Calls, call_or_none

KEY_READS = ("iam:GetAccessKeyLastUsed", "iam:ListAccessKeys")
"""What finding a key's user and status takes."""

KEY_ACCOUNT = ("sts:GetAccessKeyInfo",)
"""What finding a key's account takes, where we ourselves live. `sts:GetCallerIdentity` needs no grant."""


def owner_of(calls: Calls, account: str, access_key_id: str) -> str:
    """Return the user that a key belongs to; NotFound when this account has no such key."""
    found = calls.call("iam", "get_access_key_last_used", account, AccessKeyId=access_key_id)
    user = str(found.get("UserName", ""))
    if not user:
        raise NotFound("aws.key.not_found", key=access_key_id, account=account)
    return user


def statuses(calls: Calls, account: str, user_name: str) -> dict[str, str]:
    """Return the keys of a user with their status."""
    found = calls.listed("iam", "list_access_keys", "AccessKeyMetadata", account, UserName=user_name)
    return {str(key["AccessKeyId"]): str(key["Status"]) for key in found}


def status_of(calls: Calls, account: str, user_name: str, access_key_id: str) -> str:
    """Return a key's status; NotFound when the user does not hold it."""
    found = statuses(calls, account, user_name)
    if access_key_id not in found:
        raise NotFound("aws.key.not_of_user", key=access_key_id, user=user_name, account=account)
    return found[access_key_id]


def key_refusal(calls: Calls, account: str, access_key_id: str) -> Message | None:
    """Say why a key must not be touched by us, or None: not long-term, our own, or another account's."""
    if access_key_id.startswith("ASIA"):
        return message("aws.key.temporary", key=access_key_id)
    if not re.fullmatch(PARAMETER_TYPES["aws.long_term_access_key_id"], access_key_id):
        return message("aws.key.not_long_term", key=access_key_id)
    if access_key_id == calls.own_access_key_id():
        return message("aws.key.is_own", key=access_key_id)
    owner = account_of(calls, access_key_id)
    if owner != account:
        return message("aws.key.other_account", key=access_key_id, account=account, owner=owner)
    return None


def account_of(calls: Calls, access_key_id: str) -> str:
    """Return the account that a key belongs to, as STS says."""
    found = calls.call("sts", "get_access_key_info", calls.own_account(), AccessKeyId=access_key_id)
    return str(found.get("Account", ""))


def user_refusal(calls: Calls, account: str, user_name: str) -> Message | None:
    """Say why a user must not be touched by us, or None: it is the one that we ourselves are."""
    if not re.fullmatch(PARAMETER_TYPES["aws.iam_user_name"], user_name):
        return message("aws.iam.not_a_user_name", user=user_name)
    caller = str(calls.call("sts", "get_caller_identity", calls.own_account()).get("Arn", ""))
    parts = caller.split(":", 5)
    if len(parts) != 6 or parts[4] != account or not parts[5].startswith("user/"):
        return None
    return message("aws.iam.user_is_own", user=user_name) if parts[5].endswith(f"/{user_name}") else None


def user_tags(calls: Calls, account: str, user_name: str) -> dict[str, str]:
    """Return a user's tags."""
    found = calls.listed("iam", "list_user_tags", "Tags", account, UserName=user_name)
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in found}


def user_policy(calls: Calls, account: str, user_name: str, policy_name: str) -> Json:
    """Return an inline policy's document as AWS hands it out, None when there is none."""
    given = {"UserName": user_name, "PolicyName": policy_name}
    found = call_or_none(calls, "iam", "get_user_policy", account, **given)
    return found["PolicyDocument"] if found else None
