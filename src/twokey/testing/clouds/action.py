"""What all actions of the cloud in memory have in common."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json, Message, Refused
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target
from twokey.testing.clouds.company import State
from twokey.testing.clouds.scripted import Inputs, Outputs, ScriptedCloud


class MemoryAction:
    """What all actions have in common. Sub-classes say what they would touch, do it, and find it again."""

    name = ""
    effect = Effect.MODIFY
    reversibility = Reversibility.REVERSIBLE
    permissions: tuple[str, ...] = ()
    inputs: Mapping[str, str] = {}
    outputs: tuple[str, ...] = ()

    def __init__(self, cloud: ScriptedCloud) -> None:
        self.cloud = cloud

    def least_risk(self, inputs: Inputs) -> Risk:
        """Leave it to the runbook."""
        return Risk.LOW

    @property
    def state(self) -> State:
        """Return what exists."""
        return self.cloud.state

    def preview(self, target: Target, inputs: Inputs) -> Preview:
        """Say what would be touched."""
        self.cloud.asked("preview", self.name)
        refusal = self.refusal(target, inputs)
        return Preview(refusal=refusal) if refusal else self.would(target, inputs)

    def capture(self, target: Target, inputs: Inputs) -> Mapping[str, Json]:
        """Read what an undo will need."""
        self.cloud.asked("capture", self.name)
        return self.prior(target, inputs)

    def apply(self, target: Target, inputs: Inputs, key: str) -> Mapping[str, Json]:
        """Do it: again when called again, because a real cloud would."""
        self.cloud.asked("apply", self.name)
        if refusal := self.refusal(target, inputs):
            raise Refused(refusal.code, **refusal.params)
        with self.cloud.lock:
            outputs = self.do(target, inputs)
        if self.effect.is_write:
            self.cloud.changed(self.name, inputs, key)
        return outputs

    def find(self, target: Target, inputs: Inputs, key: str) -> Lookup:
        """Look whether it was done."""
        self.cloud.asked("find", self.name)
        outputs = self.there(target, inputs)
        return Lookup(Found.NOT_DONE) if outputs is None else Lookup(Found.DONE, outputs)

    def refusal(self, target: Target, inputs: Inputs) -> Message | None:
        """Say why it must never be done."""
        return None

    def would(self, target: Target, inputs: Inputs) -> Preview:
        """Say what it would touch."""
        return Preview()

    def prior(self, target: Target, inputs: Inputs) -> Outputs:
        """Return what is there before."""
        return {}

    def do(self, target: Target, inputs: Inputs) -> Outputs:
        """Change the state."""
        return {}

    def there(self, target: Target, inputs: Inputs) -> Outputs | None:
        """Return the outputs when the effect is there."""
        return {}
