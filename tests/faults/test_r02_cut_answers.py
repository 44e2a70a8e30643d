"""R2: the answer of a call is cut after its effect, and nobody is killed: it is read back and not repeated."""

from __future__ import annotations

from typing import Any

import pytest

from .kills import RUNS, WRITES, Scenes, approved, fresh, is_whole


@pytest.mark.parametrize(("runbook", "step"), WRITES)
def test_an_answer_that_is_cut_after_the_effect_makes_one_effect(
    scenes: Scenes, runbook: str, step: str
) -> None:
    scene = fresh(scenes, "sqlite", runbook)
    plan = approved(scene, runbook)
    operation = RUNS[runbook][step]
    cut: list[Any] = []

    def cut_once(call: Any) -> bool:
        name = getattr(call, "operation", call.method)
        if cut or name != operation or getattr(call, "status", 200) >= 300:
            return True
        cut.append(call)
        return False

    for hooks in (scene.proxy.after, scene.arm.after):
        hooks.append(cut_once)
    scene.worker()
    is_whole(scene, plan, runbook)
    assert cut
    assert "step.found_done" in scene.actions()
