"""What can be asked and done in Stratus: one action, one check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.toy_cloud.stratus.api import StratusApi
from twokey.core.errors import Json, Refused, message
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import CheckResult, Effect, Preview, Reversibility, Risk, Target, Touch
from twokey.ports import Action, Check

PROJECT_ID = r"prj-[a-z]{3,20}"
PARAMETER_TYPES = {"stratus.project_id": PROJECT_ID, "stratus.token_id": r"tok_[a-z0-9]{8}"}
INPUTS = {"token_id": "stratus.token_id", "state": "text"}


class SetTokenState:
    """Freeze a token, or (as an undo) set it back."""

    name = "stratus.tokens.set_state"
    effect = Effect.MODIFY
    reversibility = Reversibility.REVERSIBLE
    permissions: tuple[str, ...] = ("tokens.get", "tokens.update")
    inputs: Mapping[str, str] = INPUTS
    outputs: tuple[str, ...] = ("state",)

    def __init__(self, api: StratusApi) -> None:
        self.api = api

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count freezing as low; what opens, or is not known yet, as high."""
        return Risk.LOW if inputs.get("state") == "frozen" else Risk.HIGH

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Name the token and its state now; refuse a state that there is not."""
        if inputs["state"] not in ("active", "frozen"):
            return Preview(refusal=message("stratus.no_such_state", state=inputs["state"]))
        token = str(inputs["token_id"])
        state = self.api.state(target.account, token)
        return Preview(
            touches=(Touch("access-key", token, token),), observed={"state": state}, counts={"tokens": 1}
        )

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Keep the state before."""
        return {"state": self.api.state(target.account, str(inputs["token_id"]))}

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Set the state, unless it is so already."""
        if refusal := self.preview(target, inputs).refusal:
            raise Refused(refusal.code, **refusal.params)
        token, state = str(inputs["token_id"]), str(inputs["state"])
        if self.api.state(target.account, token) != state:
            self.api.set_state(target.account, token, state)
        return {"state": state}

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Read the state back."""
        if self.api.state(target.account, str(inputs["token_id"])) != inputs["state"]:
            return Lookup(Found.NOT_DONE)
        return Lookup(Found.DONE, {"state": inputs["state"]})


class TokenStateEquals:
    """Ask whether a token is in a state."""

    name = "stratus.tokens.state_equals"
    permissions: tuple[str, ...] = ("tokens.get",)
    inputs: Mapping[str, str] = INPUTS

    def __init__(self, api: StratusApi) -> None:
        self.api = api

    def holds(self, target: Target, inputs: Mapping[str, Json]) -> CheckResult:
        """Answer from a fresh read."""
        state = self.api.state(target.account, str(inputs["token_id"]))
        return CheckResult(state == inputs["state"], {"state": state})


@dataclass
class Stratus:
    """The cloud as the flow sees it."""

    actions: Mapping[str, Action]
    checks: Mapping[str, Check]
    parameter_types: Mapping[str, str] = field(default_factory=lambda: PARAMETER_TYPES)
    scope_parameters: tuple[str, ...] = ("project_id",)
    name: str = "stratus"


def provider(api: StratusApi) -> Stratus:
    """Bring action and check together."""
    action, check = SetTokenState(api), TokenStateEquals(api)
    return Stratus({action.name: action}, {check.name: check})
