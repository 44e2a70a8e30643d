"""R2 on sqlite: kill -9 at every crash point and inside every write of every shipped runbook."""

from __future__ import annotations

from typing import Any

import pytest

from .kills import RUNS, Scenes, killed_at_every_point, killed_inside_every_write


@pytest.mark.parametrize("runbook", RUNS)
def test_a_run_that_is_killed_anywhere_is_ended_by_another_worker(
    scenes: Scenes, proof: Any, runbook: str
) -> None:
    killed_at_every_point(scenes, proof, "sqlite", runbook)


@pytest.mark.parametrize("runbook", RUNS)
def test_a_run_that_is_killed_while_the_cloud_answers_does_not_do_it_again(
    scenes: Scenes, proof: Any, runbook: str
) -> None:
    killed_inside_every_write(scenes, proof, "sqlite", runbook)
