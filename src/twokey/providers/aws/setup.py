"""Setting AWS up: the stack of rules and queues, as a change set that is looked at before it is executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twokey.core.errors import Refused, Unavailable
from twokey.providers.aws.faults import error_code
from twokey.providers.aws.session import AwsSession

STACK = "twokey-notifications"
_WAIT_S = 2.0
_WAITS = 450  # a quarter of an hour
_NOTHING = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a change set would do."""

    action: str  # Add, Modify, Remove, ...
    name: str  # the resource's name in the template
    type: str
    replacement: str  # True: the old one is deleted; Conditional: perhaps; False
    parts: tuple[str, ...] = ()  # which properties


@dataclass(frozen=True, slots=True)
class Difference:
    """What would change, and the change set that would do it ("" when there is nothing to do)."""

    stack: str
    account: str
    region: str
    is_new: bool
    changes: tuple[Change, ...]
    change_set: str = ""


@dataclass(frozen=True)
class Stack:
    """The stack of notifications in one account and Region."""

    session: AwsSession
    template: str
    name: str = STACK
    parameters: Mapping[str, str] | None = None

    def difference(self) -> Difference:
        """Ask CloudFormation what it would change; nothing is changed yet."""
        status = self._status()
        if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
            raise Refused("aws.setup.unusable", stack=self.name, status=status)
        if status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
            raise Unavailable("aws.setup.busy", stack=self.name, status=status)
        is_new = status in ("", "REVIEW_IN_PROGRESS")
        made = self._call(
            "create_change_set",
            StackName=self.name,
            ChangeSetName=f"twokey-{self.session.clock.now():%Y%m%d%H%M%S%f}",
            ChangeSetType="CREATE" if is_new else "UPDATE",
            TemplateBody=self.template,
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in (self.parameters or {}).items()
            ],
        )
        changes = self._changes(str(made["Id"]))
        return Difference(
            self.name,
            self.session.own_account(),
            self.session.options.region,
            is_new,
            changes,
            str(made["Id"]) if changes else "",
        )

    def apply(self, difference: Difference) -> dict[str, str]:
        """Do what the difference said, wait for its end, and return the stack's outputs."""
        if not difference.change_set:
            return self.outputs()
        self._call("execute_change_set", StackName=self.name, ChangeSetName=difference.change_set)
        for _ in range(_WAITS):
            status = self._status()
            if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                return self.outputs()
            if not status.endswith("_IN_PROGRESS"):
                raise Refused("aws.setup.failed", stack=self.name, status=status or "-", why=self._reason())
            self.session.sleep(_WAIT_S)
        raise Unavailable("aws.setup.slow", stack=self.name)

    def discard(self, difference: Difference) -> None:
        """Leave everything as it is; a stack that holds nothing but the change set goes with it."""
        if difference.change_set:
            self._call("delete_change_set", StackName=self.name, ChangeSetName=difference.change_set)
        if difference.change_set and difference.is_new:
            self._call("delete_stack", StackName=self.name)

    def outputs(self) -> dict[str, str]:
        """Return what the stack says that it made."""
        found = self._described() or {}
        return {one["OutputKey"]: str(one.get("OutputValue", "")) for one in found.get("Outputs", [])}

    def _changes(self, change_set: str) -> tuple[Change, ...]:
        for _ in range(_WAITS):
            answer = self._call("describe_change_set", StackName=self.name, ChangeSetName=change_set)
            status, why = str(answer.get("Status", "")), str(answer.get("StatusReason", ""))
            if status == "CREATE_COMPLETE":
                given = {"StackName": self.name, "ChangeSetName": change_set}
                found = self.session.listed("cloudformation", "describe_change_set", "Changes", "", **given)
                return tuple(_change(one["ResourceChange"]) for one in found if "ResourceChange" in one)
            if status == "FAILED":
                self._call("delete_change_set", StackName=self.name, ChangeSetName=change_set)
                if any(words in why for words in _NOTHING):
                    return ()
                raise Refused("aws.setup.refused", stack=self.name, why=why[:500])
            self.session.sleep(_WAIT_S)
        raise Unavailable("aws.setup.slow", stack=self.name)

    def _reason(self) -> str:
        """Return CloudFormation's own first word on what failed: later ones are consequences."""
        events = self.session.listed(
            "cloudformation", "describe_stack_events", "StackEvents", "", StackName=self.name
        )
        failed = [one for one in events if str(one.get("ResourceStatus", "")).endswith("_FAILED")]
        return (
            f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason', '')}"[:500]
            if failed
            else "-"
        )

    def _status(self) -> str:
        return str((self._described() or {}).get("StackStatus", ""))

    def _described(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._call("describe_stacks", StackName=self.name)["Stacks"][0]
        except Refused as fault:
            if error_code(fault) == "ValidationError":  # CloudFormation's way of saying that there is none
                return None
            raise
        return found

    def _call(self, operation: str, **given: Any) -> dict[str, Any]:
        return self.session.call("cloudformation", operation, "", **given)


def _change(raw: Mapping[str, Any]) -> Change:
    parts = {
        str(one.get("Target", {}).get("Name") or one.get("Target", {}).get("Attribute", ""))
        for one in raw.get("Details", [])
    }
    return Change(
        str(raw.get("Action", "")),
        str(raw.get("LogicalResourceId", "")),
        str(raw.get("ResourceType", "")),
        str(raw.get("Replacement", "False")),
        tuple(sorted(part for part in parts if part)),
    )


def template(folder: Path) -> str:
    """Return the shipped CloudFormation template."""
    return (folder / "aws" / "notifications.yaml").read_text("utf-8")
