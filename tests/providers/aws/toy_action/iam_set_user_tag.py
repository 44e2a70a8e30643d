"""aws.iam.set_user_tag: give a user's tag a value, or take the tag off, and with it what policies grant by it."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, Message, Refused, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target, Touch
from twokey.providers.aws.principals import user_refusal, user_tags
from twokey.providers.aws.session import Calls, is_later, text


class SetUserTag:
    """Set one tag of one user; without a value it is taken off."""

    name = "aws.iam.set_user_tag"
    effect = Effect.MODIFY
    reversibility = Reversibility.REVERSIBLE
    permissions: tuple[str, ...] = ("iam:ListUserTags", "iam:TagUser", "iam:UntagUser")
    inputs: Mapping[str, str] = {"user_name": "aws.iam_user_name", "tag": "text", "value": "text?"}
    outputs: tuple[str, ...] = ("user_name", "tag")

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count as high: what policies grant hangs on tags."""
        return Risk.HIGH

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Name the user, and what hangs on the tag."""
        if is_later(inputs.get("user_name")):
            return Preview()
        user, tag = text(inputs, "user_name"), text(inputs, "tag")
        if refusal := self._refusal(target, inputs):
            return Preview(refusal=refusal)
        return Preview(
            touches=(Touch("principal", user, user),),
            observed={"user_name": user, "value": self._value(target, inputs)},
            counts={"principals": 1},
            notes=(message("aws.iam.grants_hang_on_tag", user=user, tag=tag),),
        )

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep the value as it is before."""
        return {"value": self._value(target, inputs)}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Set the tag or take it off, unless it is so already."""
        if refusal := self._refusal(target, inputs):
            raise Refused(refusal.code, **refusal.params)
        user, tag, wanted = text(inputs, "user_name"), text(inputs, "tag"), str(inputs.get("value") or "")
        if self._value(target, inputs) != wanted:
            if wanted:
                tags = [{"Key": tag, "Value": wanted}]
                self.calls.call("iam", "tag_user", target.account, UserName=user, Tags=tags)
            else:
                self.calls.call("iam", "untag_user", target.account, UserName=user, TagKeys=[tag])
        return {"user_name": user, "tag": tag}

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Read the tag back."""
        if self._value(target, inputs) != str(inputs.get("value") or ""):
            return Lookup(Found.NOT_DONE)
        return Lookup(Found.DONE, {"user_name": text(inputs, "user_name"), "tag": text(inputs, "tag")})

    def _value(self, target: Target, inputs: Mapping[str, Json]) -> str:
        return user_tags(self.calls, target.account, text(inputs, "user_name")).get(text(inputs, "tag"), "")

    def _refusal(self, target: Target, inputs: Mapping[str, Json]) -> Message | None:
        tag = text(inputs, "tag")
        if tag.startswith("twokey:"):
            return message("aws.iam.tag_is_ours", tag=tag)
        return user_refusal(self.calls, target.account, text(inputs, "user_name"))
