"""Whom a Deny of ours leaves alone: the role that twokey acts as there, and nobody else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from twokey.core.errors import Message, message
from twokey.providers.aws.policies import role_of
from twokey.providers.aws.scp import Statement
from twokey.providers.aws.session import Calls

_PRINCIPAL_ARN = "aws:principalarn"


def foreign_exemption(calls: Calls, account: str, spared: Iterable[str]) -> Message | None:
    """Say which exemption is for somebody else than twokey's own role in this account, or None."""
    names = (_own_role(calls, account),)
    for arn in spared:
        if not _is_named_role(arn, account, names):
            return message("aws.policy.spares_another", arn=arn, role=names[0], account=account)
    return None


def exemptions(statements: Sequence[Statement]) -> tuple[str, ...]:
    """Return everybody whom the denies of a policy leave alone.

    A condition on the caller that is not the plain exception of an ARN spares whoever does not meet it: it is
    returned as it stands, and is no role's ARN.
    """
    found: list[str] = []
    for statement in statements:
        if statement.effect != "Deny":
            continue
        for operator, key, values in statement.conditions:
            if not _is_about_caller(key):
                continue
            is_plain = operator.lower() in ("arnnotlike", "arnnotequals", "stringnotlike", "stringnotequals")
            plain = is_plain and key.lower() == _PRINCIPAL_ARN
            found += values if plain else [f"{operator} {key} {value}" for value in values]
    return tuple(dict.fromkeys(found))


def _is_about_caller(key: str) -> bool:
    name = key.lower()
    return name.startswith("aws:principal") or name in ("aws:userid", "aws:username", "aws:sourceidentity")


def _own_role(calls: Calls, account: str) -> str:
    """Return the name of the role that twokey acts as in an account; in its own it is whatever it runs as."""
    if account != calls.own_account():
        return calls.options.role_name
    caller = str(calls.call("sts", "get_caller_identity", account).get("Arn", ""))
    return (role_of(caller) or caller).partition(":role/")[2]


def _is_named_role(arn: str, account: str, names: Collection[str]) -> bool:
    """Say whether an ARN is one of these roles in this account, or the sessions of one; no wildcard in a name is."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or parts[1] not in ("aws", "aws-cn", "aws-us-gov"):
        return False
    if parts[3] or parts[4] != account:
        return False
    if parts[2] == "iam":
        return parts[5] in {f"role/{name}" for name in names if name}
    return parts[2] == "sts" and parts[5] in {f"assumed-role/{name}/*" for name in names if name}
