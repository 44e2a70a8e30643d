"""The least that Azure must allow us: a custom role made from the actions, the checks and the facts."""

from __future__ import annotations

from collections.abc import Iterable

from twokey.core.errors import Json
from twokey.providers.azure.actions import ACTIONS
from twokey.providers.azure.checks import CHECKS
from twokey.providers.azure.facts import PERMISSIONS

PLACEHOLDER = "/subscriptions/00000000-0000-0000-0000-000000000000"


def permissions(*, with_writes: bool = True) -> tuple[str, ...]:
    """Return every operation that twokey may call, in order; without writes it can look and preview only."""
    wanted = {*PERMISSIONS}
    for part in (*ACTIONS, *CHECKS):
        wanted.update(part.permissions)
    return tuple(sorted(name for name in wanted if with_writes or name.endswith("/read")))


def custom_role(scopes: Iterable[str] = (PLACEHOLDER,), *, with_writes: bool = True) -> dict[str, Json]:
    """Return the definition that `az role definition create` takes; scopes are subscriptions."""
    name = "twokey responder" if with_writes else "twokey observer"
    what = "look, preview and contain" if with_writes else "look and preview"
    return {
        "Name": name,
        "IsCustom": True,
        "Description": f"What twokey needs to {what}. Made from its actions; do not edit by hand.",
        "Actions": list(permissions(with_writes=with_writes)),
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        "AssignableScopes": list(scopes),
    }
