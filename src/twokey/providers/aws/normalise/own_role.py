"""Our own role in CloudTrail: calls that twokey made itself, and calls that only look as if it had.

A name alone proves little: who holds an account's administrator rights can take our role over. So a change
counts as our own only where it is one that an action of ours makes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from twokey.providers.reading import Obj, is_true, known, obj, text

DEFAULT_ROLES = ("TwokeyResponder",)


def facts(detail: Obj, roles: Iterable[str]) -> Obj:
    """Say whether our role made this call, made one that we never make, or was itself the aim."""
    names = frozenset(roles)
    caller = _role_of(obj(detail, "userIdentity"))
    aim = text(obj(detail, "requestParameters"), "roleName")
    reads = is_true(detail.get("readOnly"))
    ours = caller in names
    may = ours and (reads or text(detail, "eventName") in _changes())
    return known(
        isOwn=True if may else None,
        ownRoleMisused=True if ours and not may else None,
        aimsAtOwnRole=True if aim in names and not reads else None,
    )


def _role_of(who: Obj) -> str:
    """Return the role that a session is of, by its issuer: the session's own name is the caller's to choose."""
    if text(who, "type") != "AssumedRole":
        return ""
    issuer = obj(who, "sessionContext", "sessionIssuer")
    return text(issuer, "arn").partition(":role/")[2] if text(issuer, "type") == "Role" else ""


@lru_cache(maxsize=1)
def _changes() -> frozenset[str]:
    """Return the names of the calls that actions and checks of ours make and that change something."""
    from twokey.providers.aws.permissions import declared, is_read, needed

    return frozenset(name.partition(":")[2] for name in needed(declared()) if not is_read(name))
