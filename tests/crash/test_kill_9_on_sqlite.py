"""kill -9 in a run on SQLite; and answers that are cut, where nobody is killed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .kills import (
    CASES,
    RUNS,
    ana,
    cut_an_answer,
    kill_around_a_run,
    kill_at_each_boundary,
    kill_inside_a_write,
    params_of,
)


@pytest.mark.parametrize(("runbook", "step"), CASES)
def test_a_kill_at_each_boundary_of_a_write_is_survived(
    scenes: Callable[[str], Any], runbook: str, step: str
) -> None:
    kill_at_each_boundary(scenes, "sqlite", runbook, step)


@pytest.mark.parametrize(("runbook", "step"), CASES)
def test_a_kill_inside_a_write_after_its_effect_is_survived(
    scenes: Callable[[str], Any], runbook: str, step: str
) -> None:
    kill_inside_a_write(scenes, "sqlite", runbook, step)


@pytest.mark.parametrize("moment", ["run:claim", "run:claimed", "run:finish"])
def test_a_kill_around_a_run_is_survived(scenes: Callable[[str], Any], moment: str) -> None:
    kill_around_a_run(scenes, "sqlite", moment)


@pytest.mark.parametrize(("runbook", "step"), CASES)
def test_an_answer_that_is_cut_after_the_effect_makes_one_effect(
    scenes: Callable[[str], Any], runbook: str, step: str
) -> None:
    cut_an_answer(scenes, runbook, step)


def test_every_write_of_the_shipped_runbooks_is_killed_here(scenes: Callable[[str], Any]) -> None:
    """A new write that nobody kills would be a promise that nobody has tried."""
    scene = scenes("sqlite")
    for runbook, writes in RUNS.items():
        plan = scene.app.containment.preview(scene.incident(), runbook, ana(), params_of(scene, runbook))
        assert {step.id for step in plan.writes} == set(writes)
