"""Actions on access keys and their users, and the read of what was done with them."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.runbooks import Effect, Preview, Risk, Target, Touch
from twokey.testing.clouds.action import MemoryAction
from twokey.testing.clouds.scripted import Inputs, Outputs


class KeyLastUsed(MemoryAction):
    """Whose key it is."""

    name, effect, inputs = "aws.iam.get_access_key_last_used", Effect.READ, {"access_key_id": "text"}
    outputs = ("user_name",)

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        return {"user_name": self.state.keys[str(inputs["access_key_id"])].user}


class ExportEvents(MemoryAction):
    """What was done with a key, or in an account."""

    name, effect = "aws.cloudtrail.export_events", Effect.READ
    inputs: Mapping[str, str] = {"account_id": "aws.account_id", "access_key_id": "text?"}
    outputs = ("count",)

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        return {"count": len(self.state.trail)}


class UpdateAccessKey(MemoryAction):
    """Set a key's status."""

    name = "aws.iam.update_access_key"
    inputs: Mapping[str, str] = {"user_name": "text", "access_key_id": "text", "status": "text"}
    outputs = ("status",)

    def least_risk(self, inputs: Inputs) -> Risk:
        """Count switching a key on as high."""
        return Risk.LOW if inputs.get("status") == "Inactive" else Risk.HIGH

    def would(self, target: Target, inputs: Inputs) -> Preview:
        key_id = str(inputs["access_key_id"])
        held = self.state.keys[key_id]
        return Preview(
            (Touch("principal", held.user, held.user), Touch("access-key", key_id, held.user)),
            {"key_status": held.status, "user_name": held.user},
            {"principals": 1},
        )

    def prior(self, target: Target, inputs: Inputs) -> Outputs:
        return {"status": self.state.keys[str(inputs["access_key_id"])].status}

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        self.state.keys[str(inputs["access_key_id"])].status = str(inputs["status"])
        return {"status": inputs["status"]}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        now = self.state.keys[str(inputs["access_key_id"])].status
        return {"status": now} if now == inputs["status"] else None


class PutUserPolicy(MemoryAction):
    """Put an inline policy on a user."""

    name, effect = "aws.iam.put_user_policy", Effect.CREATE
    inputs: Mapping[str, str] = {"user_name": "text", "policy_name": "text", "document": "document"}

    def prior(self, target: Target, inputs: Inputs) -> Outputs:
        return {"document": self.state.user_policies.get(_policy(target, inputs))}

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        self.state.user_policies[_policy(target, inputs)] = str(inputs["document"])
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        same = self.state.user_policies.get(_policy(target, inputs)) == inputs["document"]
        return {} if same else None


class DeleteUserPolicy(MemoryAction):
    """Take an inline policy away."""

    name, effect = "aws.iam.delete_user_policy", Effect.DELETE
    inputs: Mapping[str, str] = {"user_name": "text", "policy_name": "text"}

    def would(self, target: Target, inputs: Inputs) -> Preview:
        user = str(inputs["user_name"])
        there = _policy(target, inputs) in self.state.user_policies
        return Preview((Touch("principal", user, user),), {"policy_is_there": there}, {"principals": 1})

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        self.state.user_policies.pop(_policy(target, inputs), None)
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        return None if _policy(target, inputs) in self.state.user_policies else {}


def _policy(target: Target, inputs: Inputs) -> tuple[str, str, str]:
    return target.account, str(inputs["user_name"]), str(inputs["policy_name"])
