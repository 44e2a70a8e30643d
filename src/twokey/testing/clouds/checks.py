"""The questions that the cloud in memory answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from twokey.core.errors import message
from twokey.core.runbooks import CheckResult, Target
from twokey.testing.clouds.company import MANAGEMENT, OWN_ACCOUNT, State
from twokey.testing.clouds.scripted import Inputs, ScriptedCloud

Answer: TypeAlias = Callable[[State, Inputs], bool]

CHECKS: Mapping[str, Answer] = {
    "aws.sts.access_key_account_equals": lambda s, i: (
        s.keys[str(i["access_key_id"])].account == i["account_id"]
    ),
    "aws.sts.account_is_not_own": lambda _, i: i["account_id"] != OWN_ACCOUNT,
    "aws.iam.key_status_equals": lambda s, i: s.keys[str(i["access_key_id"])].status == i["status"],
    "aws.iam.user_policy_present": lambda s, i: any(
        (user, name) == (i["user_name"], i["policy_name"]) for _, user, name in s.user_policies
    ),
    "aws.iam.user_has_no_tag": lambda s, i: (
        i["tag"] not in s.user_tags.get((str(i["account_id"]), s.keys[str(i["access_key_id"])].user), set())
    ),
    "aws.s3.bucket_denies_deletion": lambda s, i: any(
        isinstance(statement, dict) and statement.get("Sid") == "TwokeyProtect"
        for statement in s.bucket_policies[str(i["bucket"])]
    ),
    "aws.org.account_is_not_management": lambda _, i: i["account_id"] != MANAGEMENT,
    "aws.org.target_is_not_root": lambda _, i: not str(i["target_id"]).startswith("r-"),
    "aws.org.ou_has_no_accounts": lambda s, i: i["ou_id"] not in s.accounts.values(),
    "aws.org.ou_is_empty_and_new": lambda s, i: (
        i["ou_id"] in s.units and i["ou_id"] not in s.accounts.values()
    ),
    "aws.org.parent_equals": lambda s, i: s.accounts[str(i["account_id"])] == i["parent_id"],
    "aws.org.policy_targets_equal": lambda s, i: (
        [target for policy, target in s.attached if policy == i["policy_id"]] == i["targets"]
    ),
    "aws.org.accounts_in_ou_equal": lambda s, i: (
        sorted(account for account, parent in s.accounts.items() if parent == i["ou_id"]) == i["accounts"]
    ),
    "aws.organizations.policy_exists": lambda s, i: i["policy_id"] in s.policies,
}


class MemoryCheck:
    """One question; `noes` is how often it will still answer no, whatever is there."""

    permissions: tuple[str, ...] = ()
    inputs: Mapping[str, str] = {}

    def __init__(self, cloud: ScriptedCloud, name: str, answer: Answer) -> None:
        self.cloud, self.name, self.answer = cloud, name, answer
        self.noes = 0

    def holds(self, target: Target, inputs: Inputs) -> CheckResult:
        """Answer."""
        self.cloud.asked("holds", self.name)
        yes = self.answer(self.cloud.state, inputs)
        if self.noes:
            self.noes, yes = self.noes - 1, False
        reason = None if yes else message("check.does_not_hold", check=self.name)
        return CheckResult(yes, {"holds": yes}, reason)
