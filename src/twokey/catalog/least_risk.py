"""The least risk of a runbook: what its steps do decides it, whatever its author says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from twokey.core.runbooks import Effect, Reversibility, Risk, Step
from twokey.ports import Action


def least_risks(steps: Iterable[Step], actions: Mapping[str, Action]) -> list[tuple[Step, Risk]]:
    """Return every step that writes, with the least risk that a runbook may have which does it."""
    return [
        (step, Risk.CRITICAL if is_final(step, actions) else actions[step.action].least_risk(step.inputs))
        for step in steps
        if step.action and step.effect.is_write
    ]


def is_final(step: Step, actions: Mapping[str, Action]) -> bool:
    """Say whether a step cannot be taken back; what it leaves as evidence need not be."""
    if not step.action or not step.effect.is_write:
        return False
    if step.phase == "evidence" and step.effect is Effect.CREATE:
        return False
    return bool(step.irreversible) or actions[step.action].reversibility is Reversibility.IRREVERSIBLE
