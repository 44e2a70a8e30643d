"""R7: a worker sleeps beyond its lease in the middle of a run and wakes up; there is one executor all the same.

SIGSTOP at a named crash point, another process takes the run over, SIGCONT. The fence is looked at in every write of
the journal and right before every call. What stays is the moment between that look and the call: there the action
looks itself before it acts, and a call that was already on its way says once more what is so already.
"""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.lab.bots import FaultyBot
from twokey.core.runbooks import Plan, PlanState
from twokey.flow.crashpoints import Around, At, around

from .kills import RUNS, Scenes, approved, fresh, is_whole, once_each
from .scenes import Scene

# One that sleeps inside its transaction (before-record) holds the record, and Postgres ends it after a minute.
PLACES = (
    *(Around.BEFORE_INTENT, Around.AFTER_INTENT, Around.BEFORE_CALL, Around.AFTER_CALL),
    *(Around.RECORDED, Around.VERIFIED),
)
AWAY = tuple(place for place in PLACES if place is not Around.BEFORE_CALL)
QUICK = [runbook for runbook in RUNS if runbook != "aws.quarantine-account"]


def is_stopped(bot: FaultyBot) -> bool:
    assert bot.is_running, (bot.wait_dead(), bot.tail())
    return Path(f"/proc/{bot.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def asleep(scene: Scene, point: str) -> FaultyBot:
    """Start a worker and wait until it has fallen asleep at the point."""
    bot = scene.worker(dies_at=f"~{point}")
    scene.until(lambda: is_stopped(bot))
    return bot


def one_executor(scene: Scene, runbook: str) -> None:
    """The trail shows one settled end of every step and of the run, whoever wrote it."""
    told = Counter((entry.action, str(entry.data.get("step", ""))) for entry in _trail(scene))
    assert told[("run.done", "")] == 1
    for step in RUNS[runbook]:
        assert told[("step.done", step)] + told[("step.found_done", step)] == 1
        assert told[("step.verified", step)] == 1


def _trail(scene: Scene) -> list[Any]:
    with scene.app.store.read() as look:
        return list(look.audit())


def ended(*bots: FaultyBot) -> None:
    """SIGTERM: what a worker has in hand it finishes first, so nothing comes after this."""
    for bot in bots:
        bot.send_signal(signal.SIGCONT)
        bot.send_signal(signal.SIGTERM)
    for bot in bots:
        assert bot.wait_dead(120) == 0, bot.tail()


def test_a_worker_that_sleeps_beyond_its_lease_and_wakes_up_does_nothing_twice(
    scenes: Scenes, proof: Any
) -> None:
    trials = proof(
        "R7", "of two workers on Postgres one executes, whoever sleeps and wakes", ci=50, release=500
    )
    for random in trials:
        runbook = random.choice(list(RUNS) if proof.is_release else QUICK)
        scene = fresh(scenes, "postgres", runbook)
        plan = approved(scene, runbook)
        point = _a_point(runbook, random)
        first = asleep(scene, point)
        scene.lease_runs_out()
        # Two that wake at once right before the same call are the next test's.
        naps = random.random() < 0.3 and not point.endswith(Around.BEFORE_CALL)
        second = scene.worker(dies_at=f"~{_a_point(runbook, random, AWAY)}" if naps else "")
        _until_one_stands(scene, plan.id, second)
        woken = [first, second]
        random.shuffle(woken)
        for bot in woken:
            bot.send_signal(signal.SIGCONT)
        is_whole(scene, plan, runbook)
        ended(first, second)
        assert scene.effects(*RUNS[runbook].values()) == once_each(runbook)
        one_executor(scene, runbook)
        trials.outcome(f"asleep {point.rpartition(':')[2]}")


def _until_one_stands(scene: Scene, plan_id: str, second: FaultyBot) -> None:
    scene.until(lambda: _is_over(scene, plan_id) or is_stopped(second))


def _a_point(runbook: str, random: Random, places: tuple[Around, ...] = PLACES) -> str:
    return around(random.choice(list(RUNS[runbook])), random.choice(places))


def _is_over(scene: Scene, plan_id: str) -> bool:
    return (
        scene.app.containment.plan(plan_id).state is not PlanState.RUNNING
        and "run.started" in scene.actions()
    )


@pytest.mark.parametrize(
    ("runbook", "step"),
    [
        ("aws.disable-leaked-access-key", "deactivate_key"),
        ("aws.disable-leaked-access-key", "deny_user"),
        ("aws.protect-buckets", "protect[1]"),
    ],
)
def test_a_call_that_is_on_its_way_longer_than_the_lease_says_what_is_so_already(
    scenes: Scenes, proof: Any, runbook: str, step: str
) -> None:
    """The window that no fence closes: the cloud gets the old worker's call after the new worker's own."""
    promise = "a call that arrives after another worker has made its own changes nothing more"
    for _ in proof("R7", promise, ci=1, release=20):
        scene = fresh(scenes, "postgres", runbook)
        plan = approved(scene, runbook)
        operation = RUNS[runbook][step]
        held: list[str] = []

        _hold_the_call(scene, operation, plan, held)
        first = scene.worker()
        is_whole_but_for(scene, plan.id, held)
        _until_twice(scene, operation)
        before = state_of(scene, runbook)
        first.send_signal(signal.SIGCONT)
        ended(*scene.workers)
        assert scene.effects(*RUNS[runbook].values()) == {**once_each(runbook), operation: 2}
        assert state_of(scene, runbook) == before
        one_executor(scene, runbook)
        scene.app.store.verify()


def _hold_the_call(scene: Scene, operation: str, plan: Plan, held: list[str]) -> None:
    """Keep the first worker's call on its way until the second worker has ended the run."""

    def hold(call: Any) -> bool:
        if call.operation == operation and not held:
            held.append(operation)
            first = scene.workers[0]
            first.send_signal(signal.SIGSTOP)
            scene.until(lambda: is_stopped(first))
            scene.lease_runs_out()
            scene.worker()
            scene.ends(plan)
        return True

    scene.proxy.before.append(hold)


def _until_twice(scene: Scene, operation: str) -> None:
    scene.until(lambda: scene.effects(operation)[operation] == 2)


def is_whole_but_for(scene: Scene, plan_id: str, held: list[str]) -> None:
    scene.until(lambda: held and _is_over(scene, plan_id))
    assert scene.app.containment.plan(plan_id).state is PlanState.DONE


def state_of(scene: Scene, runbook: str) -> Any:
    """Return what the cloud holds now of what the runbook changes."""
    if runbook == "aws.protect-buckets":
        s3 = scene.client("s3", scene.account)
        return [s3.get_bucket_policy(Bucket=bucket)["Policy"] for bucket in scene.buckets[:1]]
    iam = scene.client("iam", scene.account)
    keys = [
        (key["AccessKeyId"], key["Status"])
        for key in iam.list_access_keys(UserName="deploy-bot")["AccessKeyMetadata"]
    ]
    names = iam.list_user_policies(UserName="deploy-bot")["PolicyNames"]
    return keys, [
        iam.get_user_policy(UserName="deploy-bot", PolicyName=name)["PolicyDocument"] for name in names
    ]


def test_a_run_that_nobody_else_takes_goes_on_when_its_worker_wakes_up(scenes: Scenes) -> None:
    runbook = "azure.block-public-storage"
    scene = fresh(scenes, "postgres", runbook)
    plan = approved(scene, runbook)
    worker = asleep(scene, At.CLAIMED)
    worker.send_signal(signal.SIGCONT)
    is_whole(scene, plan, runbook)
    assert "run.resumed" not in scene.actions()
