"""aws.iam.update_access_key: switch one long-term key off (or, as an undo, back to what it was)."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, Message, Refused, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target, Touch
from twokey.providers.aws.kept_out import Named, never_contain_refusal
from twokey.providers.aws.principals import (
    KEY_ACCOUNT,
    KEY_READS,
    key_refusal,
    owner_of,
    status_of,
    user_refusal,
)
from twokey.providers.aws.session import Calls, is_later, text

_STATUSES = ("Active", "Inactive")


class UpdateAccessKey:
    """Set a key's status. Never deletes a key: that would delete evidence and could not be undone."""

    name = "aws.iam.update_access_key"
    effect = Effect.MODIFY
    reversibility = Reversibility.REVERSIBLE
    permissions: tuple[str, ...] = (*KEY_ACCOUNT, *KEY_READS, "iam:UpdateAccessKey")
    inputs: Mapping[str, str] = {
        "user_name": "aws.iam_user_name",
        "access_key_id": "aws.long_term_access_key_id",
        "status": "text",
    }
    outputs: tuple[str, ...] = ("user_name", "access_key_id", "status")

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count switching a key on as high: it opens a door; what is not known yet counts as that."""
        return Risk.MEDIUM if inputs.get("status") == "Inactive" else Risk.HIGH

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Name the key, its user and its status now."""
        key_id = text(inputs, "access_key_id")
        if refusal := self._refusal(target, inputs):
            return Preview(refusal=refusal)
        user = owner_of(self.calls, target.account, key_id)
        status = status_of(self.calls, target.account, user, key_id)
        warning = message("aws.key.stops_its_users", key=key_id, user=user)
        if text(inputs, "status") == "Active":
            warning = message("aws.key.reactivates", key=key_id, user=user)
        return Preview(
            touches=(Touch("principal", user, user), Touch("access-key", key_id, user)),
            # Whoever holds the key may switch it on and off: what it is set to does not depend on what it was.
            observed={"user_name": user},
            shown={"key_status": status},
            counts={"principals": 1},
            warnings=(warning,),
        )

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep the status as it is before."""
        key_id = text(inputs, "access_key_id")
        return {"status": status_of(self.calls, target.account, text(inputs, "user_name"), key_id)}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Set the status, unless it is so already."""
        if refusal := self._refusal(target, inputs):
            raise Refused(refusal.code, **refusal.params)
        user, key_id, status = (text(inputs, name) for name in ("user_name", "access_key_id", "status"))
        if status_of(self.calls, target.account, user, key_id) != status:
            # Without UserName the API acts on the caller's own user:
            # https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html
            self.calls.call(
                "iam",
                "update_access_key",
                target.account,
                UserName=user,
                AccessKeyId=key_id,
                Status=status,
            )
        return {"user_name": user, "access_key_id": key_id, "status": status}

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Read the status back."""
        user, key_id, status = (text(inputs, name) for name in ("user_name", "access_key_id", "status"))
        if status_of(self.calls, target.account, user, key_id) != status:
            return Lookup(Found.NOT_DONE)
        return Lookup(Found.DONE, {"user_name": user, "access_key_id": key_id, "status": status})

    def _refusal(self, target: Target, inputs: Mapping[str, Json]) -> Message | None:
        key_id, status = text(inputs, "access_key_id"), text(inputs, "status")
        if status not in _STATUSES:
            return message("aws.key.unknown_status", status=status)
        if refusal := key_refusal(self.calls, target.account, key_id):
            return refusal
        owner = owner_of(self.calls, target.account, key_id)
        if not is_later(inputs.get("user_name")) and text(inputs, "user_name") != owner:
            return message(
                "aws.key.not_of_user", key=key_id, user=inputs["user_name"], account=target.account
            )
        if refusal := user_refusal(self.calls, target.account, owner):
            return refusal
        if status == "Active":  # the way back must stay open, whoever was put on the list since
            return None
        return never_contain_refusal(self.calls, Named("user", target.account, owner, key_id))
