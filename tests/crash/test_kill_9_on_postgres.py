"""kill -9 in a run on Postgres; and of one of two workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from twokey.core.runbooks import PlanState

from .kills import CASES, approved, kill_around_a_run, kill_at_each_boundary, kill_inside_a_write, once_each


@pytest.mark.parametrize(("runbook", "step"), CASES)
def test_a_kill_at_each_boundary_of_a_write_is_survived(
    scenes: Callable[[str], Any], runbook: str, step: str
) -> None:
    kill_at_each_boundary(scenes, "postgres", runbook, step)


@pytest.mark.parametrize(("runbook", "step"), CASES)
def test_a_kill_inside_a_write_after_its_effect_is_survived(
    scenes: Callable[[str], Any], runbook: str, step: str
) -> None:
    kill_inside_a_write(scenes, "postgres", runbook, step)


@pytest.mark.parametrize("moment", ["run:claim", "run:claimed", "run:finish"])
def test_a_kill_around_a_run_is_survived(scenes: Callable[[str], Any], moment: str) -> None:
    kill_around_a_run(scenes, "postgres", moment)


def test_two_workers_on_postgres_and_one_of_them_dies(scenes: Callable[[str], Any]) -> None:
    """The living one notices the silence of the dead one by itself."""
    scene, runbook = scenes("postgres"), "aws.disable-leaked-access-key"
    living = scene.worker()
    dying = scene.worker(dies_at="deactivate_key:after-call")
    plan = approved(scene, runbook)
    assert scene.ends(plan).state is PlanState.DONE
    assert scene.effects("UpdateAccessKey", "PutUserPolicy") == once_each(runbook)
    assert living.is_running
    assert dying.is_running or "run.resumed" in scene.actions()
