"""What every reading action has in common: nothing is touched, and a read that was cut off is done again."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.core.errors import Json
from twokey.core.executions import Found, Lookup
from twokey.core.runbooks import Effect, Preview, Reversibility, Risk, Target
from twokey.providers.aws.session import Calls


class Reads:
    """The parts of an action that reads: sub-classes say their name, inputs and `apply`."""

    effect = Effect.READ
    reversibility = Reversibility.REVERSIBLE

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Count as low: nothing is changed."""
        return Risk.LOW

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Touch nothing."""
        return Preview()

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Need nothing for an undo."""
        return {}

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Say that it was not done: reading again is safe."""
        return Lookup(Found.NOT_DONE)
