"""A cloud in memory that forgives nothing: every effect counts, repeats too, and calls fail on demand."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.ports import Action, Check
from twokey.testing.clouds.access_keys import (
    DeleteUserPolicy,
    ExportEvents,
    KeyLastUsed,
    PutUserPolicy,
    UpdateAccessKey,
)
from twokey.testing.clouds.action import MemoryAction
from twokey.testing.clouds.buckets import MergeBucketPolicy, RestoreBucketPolicy
from twokey.testing.clouds.checks import CHECKS, MemoryCheck
from twokey.testing.clouds.company import State
from twokey.testing.clouds.organisation import (
    AttachPolicy,
    CreatePolicy,
    CreateUnit,
    DeletePolicy,
    DeleteUnit,
    DetachPolicy,
    ListParents,
    MoveAccount,
)
from twokey.testing.clouds.scripted import ScriptedCloud

ACTIONS: tuple[type[MemoryAction], ...] = (
    KeyLastUsed,
    ExportEvents,
    UpdateAccessKey,
    PutUserPolicy,
    DeleteUserPolicy,
    MergeBucketPolicy,
    RestoreBucketPolicy,
    ListParents,
    CreateUnit,
    DeleteUnit,
    CreatePolicy,
    DeletePolicy,
    AttachPolicy,
    DetachPolicy,
    MoveAccount,
)

PARAMETER_TYPES: Mapping[str, str] = {
    "aws.account_id": r"[0-9]{12}",
    "aws.long_term_access_key_id": r"AKIA[A-Z0-9]{12,124}",
    "aws.iam_user_name": r"[A-Za-z0-9+=,.@_-]{1,64}",
    "aws.bucket": r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "aws.ou_id": r"ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}",
    "azure.subscription_id": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "aws.role_arn": r"arn:aws:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}",
}


class MemoryCloud(ScriptedCloud):
    """One cloud with its actions and checks; an organisation on AWS unless it has another name."""

    def __init__(self, name: str = "aws", state: State | None = None) -> None:
        super().__init__(state)
        self.name = name
        self.parameter_types: Mapping[str, str] = PARAMETER_TYPES
        self.scope_parameters: tuple[str, ...] = ("account_id",) if name == "aws" else ("subscription_id",)
        self.actions: Mapping[str, Action] = (
            {action.name: action for action in (kind(self) for kind in ACTIONS)} if name == "aws" else {}
        )
        self._checks = {check: MemoryCheck(self, check, answer) for check, answer in CHECKS.items()}
        self.checks: Mapping[str, Check] = dict(self._checks) if name == "aws" else {}

    def answers_no(self, check: str, times: int = 1) -> None:
        """Let a check still see the old state for a while."""
        self._checks[check].noes += times
