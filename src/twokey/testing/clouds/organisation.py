"""Actions on organisational units, service control policies and accounts."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Message, Refused, message
from twokey.core.runbooks import Effect, Preview, Target, Touch
from twokey.testing.clouds.action import MemoryAction
from twokey.testing.clouds.company import MANAGEMENT, OWN_ACCOUNT, ROOT, Unit
from twokey.testing.clouds.scripted import Inputs, Outputs


class ListParents(MemoryAction):
    """Under what an account hangs."""

    name, effect, inputs = "aws.organizations.list_parents", Effect.READ, {"child_id": "text"}
    outputs = ("parent_id",)

    def would(self, target: Target, inputs: Inputs) -> Preview:
        account = str(inputs["child_id"])
        return Preview((Touch("account", account),), {"parent_id": self.state.accounts.get(account)})

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        return {"parent_id": self.state.accounts[str(inputs["child_id"])]}


class CreateUnit(MemoryAction):
    """Make an organisational unit; a second call makes a second one."""

    name, effect = "aws.organizations.create_organizational_unit", Effect.CREATE
    inputs: Mapping[str, str] = {"parent_id": "text", "name": "text"}
    outputs = ("ou_id",)

    def refusal(self, target: Target, inputs: Inputs) -> Message | None:
        return message("aws.org.is_root", target=ROOT) if str(inputs["parent_id"]).startswith("r-") else None

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        unit = f"ou-exmp-{self.state.number():08d}"
        self.state.units[unit] = Unit(str(inputs["name"]), str(inputs["parent_id"]))
        self.state.attached.append(("p-FullAWSAccess", unit))
        return {"ou_id": unit}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        wanted = Unit(str(inputs["name"]), str(inputs["parent_id"]))
        made = next((unit for unit, has in self.state.units.items() if has == wanted), None)
        return {"ou_id": made} if made else None


class DeleteUnit(MemoryAction):
    """Take an empty organisational unit away."""

    name, effect, inputs = "aws.organizations.delete_organizational_unit", Effect.DELETE, {"ou_id": "text"}

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        unit = str(inputs["ou_id"])
        if unit in self.state.accounts.values():
            raise Refused("aws.org.unit_not_empty", target=unit)
        self.state.units.pop(unit, None)
        self.state.attached = [pair for pair in self.state.attached if pair[1] != unit]
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        return None if str(inputs["ou_id"]) in self.state.units else {}


class CreatePolicy(MemoryAction):
    """Make a service control policy; a second call makes a second one."""

    name, effect = "aws.organizations.create_policy", Effect.CREATE
    inputs: Mapping[str, str] = {"name": "text", "document": "document"}
    outputs = ("policy_id",)

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        policy = f"p-{self.state.number():08d}"
        self.state.policies[policy] = (str(inputs["name"]), str(inputs["document"]))
        return {"policy_id": policy}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        wanted = (str(inputs["name"]), str(inputs["document"]))
        made = next((policy for policy, has in self.state.policies.items() if has == wanted), None)
        return {"policy_id": made} if made else None


class DeletePolicy(MemoryAction):
    """Take a policy away that is attached nowhere."""

    name, effect, inputs = "aws.organizations.delete_policy", Effect.DELETE, {"policy_id": "text"}

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        self.state.policies.pop(str(inputs["policy_id"]), None)
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        return None if str(inputs["policy_id"]) in self.state.policies else {}


class AttachPolicy(MemoryAction):
    """Put a policy on an organisational unit; never on the root."""

    name = "aws.organizations.attach_policy"
    inputs: Mapping[str, str] = {"policy_id": "text", "target_id": "text"}

    def refusal(self, target: Target, inputs: Inputs) -> Message | None:
        return message("aws.org.is_root", target=ROOT) if str(inputs["target_id"]).startswith("r-") else None

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        self.state.attached.append(_pair(inputs))
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        return {} if _pair(inputs) in self.state.attached else None


class DetachPolicy(MemoryAction):
    """Take a policy off an organisational unit."""

    name, inputs = "aws.organizations.detach_policy", {"policy_id": "text", "target_id": "text"}

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        self.state.attached.remove(_pair(inputs))
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        return None if _pair(inputs) in self.state.attached else {}


class MoveAccount(MemoryAction):
    """Hang an account under another unit."""

    name = "aws.organizations.move_account"
    inputs: Mapping[str, str] = {
        "account_id": "text",
        "source_parent_id": "text",
        "destination_parent_id": "text",
    }

    def refusal(self, target: Target, inputs: Inputs) -> Message | None:
        account = str(inputs["account_id"])
        if account == MANAGEMENT:
            return message("aws.org.is_management_account", account=account)
        return message("aws.org.is_own_account", account=account) if account == OWN_ACCOUNT else None

    def would(self, target: Target, inputs: Inputs) -> Preview:
        account = str(inputs["account_id"])
        parent = self.state.accounts.get(account)
        return Preview((Touch("account", account),), {"parent_id": parent}, {"accounts": 1})

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        account = str(inputs["account_id"])
        if self.state.accounts[account] != inputs["source_parent_id"]:
            raise Refused("aws.org.parent_differs", account=account)
        self.state.accounts[account] = str(inputs["destination_parent_id"])
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        there = self.state.accounts[str(inputs["account_id"])] == inputs["destination_parent_id"]
        return {} if there else None


def _pair(inputs: Inputs) -> tuple[str, str]:
    return str(inputs["policy_id"]), str(inputs["target_id"])
