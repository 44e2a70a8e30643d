"""aws.iam.get_access_key_last_used: whose key is it, and when was it used last."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, message
from twokey.core.runbooks import Preview, Target, Touch
from twokey.providers.aws.actions.reads import Reads
from twokey.providers.aws.principals import owner_of
from twokey.providers.aws.session import is_later, text


class GetAccessKeyLastUsed(Reads):
    """Find the user behind an access key."""

    name = "aws.iam.get_access_key_last_used"
    permissions: tuple[str, ...] = ("iam:GetAccessKeyLastUsed",)
    inputs: Mapping[str, str] = {"access_key_id": "aws.long_term_access_key_id"}
    outputs: tuple[str, ...] = ("user_name", "last_used", "service", "region")

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Name the user, who goes into the plan; when the key was used last is only shown."""
        if is_later(inputs.get("access_key_id")):
            return Preview()
        found = self.apply(target, inputs, "")
        user = str(found["user_name"])
        note = message(
            "aws.key.last_used",
            key=text(inputs, "access_key_id"),
            user=user,
            when=found["last_used"] or "-",
            service=found["service"],
        )
        return Preview(touches=(Touch("principal", user, user),), observed={"user_name": user}, notes=(note,))

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Read it."""
        access_key_id = text(inputs, "access_key_id")
        found = self.calls.call("iam", "get_access_key_last_used", target.account, AccessKeyId=access_key_id)
        used = found.get("AccessKeyLastUsed", {})
        at = used.get("LastUsedDate")
        return {
            "user_name": str(found.get("UserName", ""))
            or owner_of(self.calls, target.account, access_key_id),
            "last_used": at.isoformat() if at else "",
            "service": str(used.get("ServiceName", "")),
            "region": str(used.get("Region", "")),
        }
