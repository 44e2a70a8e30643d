"""R15: SIGTERM under load. The step in hand is finished or on record, the exit is clean and soon, nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any

from tests.lab.bots import FaultyBot
from tests.lab.fork_server import ForkServer
from twokey.core.executions import StepRecord, StepState
from twokey.core.runbooks import PlanState

from .kills import RUNS, Scenes, approved, fresh, is_whole
from .streams import FAST, lives

# The program leaves after nine seconds whatever is in hand. The rest is for a machine that does other things too.
SOON_S = 45.0


def terminated(bot: FaultyBot, random: Random) -> str:
    """Start a bot, and ask it to end while it works."""
    bot.dies_at = ""
    bot.start(ready_within=120)
    time.sleep(random.uniform(0.0, 1.0))
    asked_to_end(bot)
    return "SIGTERM while notifications stream in"


def asked_to_end(bot: FaultyBot) -> None:
    began = time.monotonic()
    bot.send_signal(15)
    assert bot.wait_dead(SOON_S * 2) == 0, bot.tail()
    assert time.monotonic() - began < SOON_S, bot.tail()


def test_a_bot_that_is_asked_to_end_under_load_loses_nothing_and_repeats_nothing(
    worlds: Callable[..., Any], fork_server: ForkServer, proof: Any
) -> None:
    trials = proof("R15", "SIGTERM under load loses no notification", ci=30, release=300)
    lives(trials, lambda: worlds("sqlite", **FAST), fork_server, terminated)


def test_a_worker_that_is_asked_to_end_in_a_run_finishes_the_step_or_leaves_it_on_record(
    scenes: Scenes, proof: Any
) -> None:
    trials = proof(
        "R15", "SIGTERM in a run finishes the step in hand or leaves it on record", ci=20, release=200
    )
    for random in trials:
        runbook = random.choice(
            list(RUNS) if proof.is_release else ["azure.block-public-storage", "aws.protect-buckets"]
        )
        scene = fresh(scenes, "sqlite", runbook)
        plan = approved(scene, runbook)
        _slow(scene, random.uniform(0.0, 0.2))
        worker = scene.worker()
        _until_working(scene, worker)
        time.sleep(random.uniform(0.0, 2.0))
        asked_to_end(worker)
        with scene.app.store.read() as look:
            rows = look.find(StepRecord, plan_id=plan.id)
        # What it could not finish within its grace has its intent on record: another reads it back.
        left = [row.step_id for row in rows if row.state in (StepState.STARTED, StepState.UNKNOWN)]
        ended = scene.app.containment.plan(plan.id).state is PlanState.DONE
        trials.outcome(
            "the run was over" if ended else "a step was left on record" if left else "between two steps"
        )
        scene.lease_runs_out()
        scene.worker()
        is_whole(scene, plan, runbook)


def _until_working(scene: Any, worker: FaultyBot) -> None:
    """Before that it has nothing in hand, and SIGTERM ends it as it ends any program."""
    scene.until(lambda: worker.log.exists() and "working" in worker.log.read_text())


def _slow(scene: Any, seconds: float) -> None:
    """Let the cloud take its time."""

    def wait(call: Any) -> bool:
        time.sleep(seconds)
        return True

    scene.proxy.before.append(wait)
