"""What every action that writes must keep to: sub-class ActionContract and give it a `scene` fixture.

A fake that forgives a repeat proves nothing about a real call, so each action proves this of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from twokey.core.errors import Json
from twokey.core.executions import Found
from twokey.core.runbooks import Reversibility, Risk, Target
from twokey.ports import Action


@dataclass
class Scene:
    """One action, ready to be applied to a small world that can be looked at.

    `world` is everything that the action may change, as plain data. `calls` are the permissions of the calls
    that were really made since the scene began. `undo` names the action that takes it back, and makes its
    inputs from the outputs and the captured prior state; None for an action that is itself an undo.
    """

    action: Action
    target: Target
    inputs: Mapping[str, Json]
    world: Callable[[], object]
    calls: Callable[[], list[str]]
    undo: Action | None = None
    undo_inputs: Callable[[Mapping[str, Json], Mapping[str, Json]], Mapping[str, Json]] | None = None
    key: str = "plan-1/step"
    free: frozenset[str] = frozenset()  # calls that need no grant


class ActionContract:
    """The promises of ports.Action, for an action that writes."""

    def test_the_action_says_how_risky_it_is_and_what_is_not_known_yet_counts_as_the_worst(
        self, scene: Scene
    ) -> None:
        """The author of a runbook does not decide it."""
        least, order = scene.action.least_risk(scene.inputs), tuple(Risk)
        assert least in order
        for unknown in (dict.fromkeys(scene.inputs, "${{ steps.later.outputs.value }}"), {}):
            assert order.index(scene.action.least_risk(unknown)) >= order.index(least)

    def test_an_action_that_is_taken_back_does_not_say_that_it_cannot_be(self, scene: Scene) -> None:
        """What cannot be taken back is critical, and nobody does it alone."""
        assert scene.action.reversibility in tuple(Reversibility)
        assert scene.undo is None or scene.action.reversibility is not Reversibility.IRREVERSIBLE

    def test_the_preview_changes_nothing_and_does_not_refuse_what_is_fine(self, scene: Scene) -> None:
        """A preview is reads only: people look at it before they have decided anything."""
        before = scene.world()
        preview = scene.action.preview(scene.target, scene.inputs)
        assert preview.refusal is None, str(preview.refusal)
        assert scene.world() == before

    def test_two_previews_of_the_same_world_observe_the_same(self, scene: Scene) -> None:
        """What is observed goes into the digest: it must not change by itself."""
        first = scene.action.preview(scene.target, scene.inputs)
        second = scene.action.preview(scene.target, scene.inputs)
        assert (first.observed, first.touches, first.counts) == (
            second.observed,
            second.touches,
            second.counts,
        )

    def test_capturing_changes_nothing(self, scene: Scene) -> None:
        """The state that an undo needs is read, not made."""
        before = scene.world()
        scene.action.capture(scene.target, scene.inputs)
        assert scene.world() == before

    def test_applying_changes_the_world(self, scene: Scene) -> None:
        """Otherwise the rest of this suite would prove nothing."""
        before = scene.world()
        scene.action.apply(scene.target, scene.inputs, scene.key)
        assert scene.world() != before

    def test_applying_twice_with_the_same_key_is_applying_once(self, scene: Scene) -> None:
        """A crash between the call and its record makes the second call."""
        first = scene.action.apply(scene.target, scene.inputs, scene.key)
        after = scene.world()
        second = scene.action.apply(scene.target, scene.inputs, scene.key)
        assert scene.world() == after
        assert dict(second) == dict(first)

    def test_every_declared_output_is_returned(self, scene: Scene) -> None:
        """Later steps refer to outputs by these names."""
        outputs = scene.action.apply(scene.target, scene.inputs, scene.key)
        assert set(outputs) == set(scene.action.outputs)

    def test_a_read_back_tells_not_done_before_and_done_after(self, scene: Scene) -> None:
        """A call whose answer was never recorded is looked for, not repeated."""
        assert scene.action.find(scene.target, scene.inputs, scene.key).found is Found.NOT_DONE
        outputs = scene.action.apply(scene.target, scene.inputs, scene.key)
        after = scene.world()
        lookup = scene.action.find(scene.target, scene.inputs, scene.key)
        assert lookup.found is Found.DONE
        assert dict(lookup.outputs) == dict(outputs)
        assert scene.world() == after

    def test_the_undo_restores_the_world(self, scene: Scene) -> None:
        """What was captured before the write is enough to take it back, and taking it back twice is once."""
        if scene.undo is None or scene.undo_inputs is None:
            return
        before = scene.world()
        prior = scene.action.capture(scene.target, scene.inputs)
        outputs = scene.action.apply(scene.target, scene.inputs, scene.key)
        back = scene.undo_inputs(outputs, prior)
        assert scene.undo.preview(scene.target, back).refusal is None
        scene.undo.apply(scene.target, back, f"{scene.key}-undo")
        assert scene.world() == before
        scene.undo.apply(scene.target, back, f"{scene.key}-undo")
        assert scene.world() == before
        assert scene.undo.find(scene.target, back, f"{scene.key}-undo").found is Found.DONE

    def test_the_declared_permissions_cover_the_calls_made(self, scene: Scene) -> None:
        """The policies in deploy/ are made from them: what is missing there fails in the incident."""
        scene.action.preview(scene.target, scene.inputs)
        scene.action.capture(scene.target, scene.inputs)
        scene.action.apply(scene.target, scene.inputs, scene.key)
        scene.action.find(scene.target, scene.inputs, scene.key)
        declared = {permission.lower() for permission in scene.action.permissions}
        made = {call.lower() for call in scene.calls()} - {call.lower() for call in scene.free}
        assert made <= declared, f"not declared: {sorted(made - declared)}"
