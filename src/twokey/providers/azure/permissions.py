"""The least that Azure must allow us: a custom role made from the actions, the checks and the facts."""

from __future__ import annotations

from collections.abc import Iterable

from twokey.core.errors import Json
from twokey.providers.azure.actions import ACTIONS
from twokey.providers.azure.checks import CHECKS
from twokey.providers.azure.facts import PERMISSIONS
from twokey.providers.azure.queues import DATA_PERMISSIONS
from twokey.providers.azure.setup import PERMISSIONS as SETUP
from twokey.providers.azure.sources import PERMISSIONS as POLLING

PLACEHOLDER = "/subscriptions/00000000-0000-0000-0000-000000000000"


def permissions(*, with_writes: bool = True) -> tuple[str, ...]:
    """Return every operation that twokey may call, in order; without writes it can look and preview only."""
    looking = {*PERMISSIONS, *POLLING}
    wanted = {name for part in (*ACTIONS, *CHECKS) for name in part.permissions}
    return tuple(sorted(looking | {name for name in wanted if with_writes or name.endswith("/read")}))


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


def queue_role(scopes: Iterable[str] = (PLACEHOLDER,)) -> dict[str, Json]:
    """Return the role for storage queues: on its own, so that it can be assigned for the queue and nothing more."""
    return {
        "Name": "twokey queue reader",
        "IsCustom": True,
        "Description": "What twokey needs to take messages from a queue. Made from its source; do not edit by hand.",
        "Actions": [],
        "NotActions": [],
        "DataActions": list(DATA_PERMISSIONS),
        "NotDataActions": [],
        "AssignableScopes": list(scopes),
    }


def setup_role(scopes: Iterable[str] = (PLACEHOLDER,)) -> dict[str, Json]:
    """Return the role of whoever runs `twokey azure setup`: a person for an hour, not twokey itself."""
    return {
        "Name": "twokey setup",
        "IsCustom": True,
        "Description": "What `twokey azure setup` needs. Made from it; do not edit by hand.",
        "Actions": list(SETUP),
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        "AssignableScopes": list(scopes),
    }
