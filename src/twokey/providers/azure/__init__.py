"""Microsoft Azure: what it says, what it knows about a resource, and what can be done there.

Importing this package costs nothing: the SDKs are loaded when `provider` or a session is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twokey.ports import Action, Check, Cloud

if TYPE_CHECKING:
    from twokey.providers.azure.session import AzureSession


@dataclass
class Azure:
    """The cloud as the flow sees it."""

    actions: Mapping[str, Action]
    checks: Mapping[str, Check]
    parameter_types: Mapping[str, str]
    scope_parameters: tuple[str, ...] = ("subscription_id",)
    name: str = "azure"


def provider(session: AzureSession) -> Cloud:
    """Bring Azure's actions, checks and parameter types, all over one session."""
    from twokey.providers.azure import identifiers
    from twokey.providers.azure.actions import ACTIONS
    from twokey.providers.azure.checks import CHECKS

    actions: list[Action] = [action(session) for action in ACTIONS]
    checks: list[Check] = [check(session) for check in CHECKS]
    return Azure(
        actions={action.name: action for action in actions},
        checks={check.name: check for check in checks},
        parameter_types=identifiers.PARAMETER_TYPES,
    )
