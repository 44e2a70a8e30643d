"""kill -9 at every step boundary and inside every write of a run, on both databases.

The worker is a process of its own; the cloud is an emulator that counts effects. Whatever the moment: the run is
finished by another worker, every effect happens once, and the trail shows the second attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from twokey.core.runbooks import Plan, PlanState
from twokey.testing.bot import CRASHED
from twokey.testing.proxy import Call

# runbook -> parameters, and the cloud's name for each of its writes
RUNS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "aws.disable-leaked-access-key": (
        {},
        {"deactivate_key": "UpdateAccessKey", "deny_user": "PutUserPolicy"},
    ),
    "aws.quarantine-account": (
        {},
        {
            "create_ou": "CreateOrganizationalUnit",
            "create_scp": "CreatePolicy",
            "attach_scp": "AttachPolicy",
            "move_account": "MoveAccount",
        },
    ),
    "aws.protect-buckets": ({}, {"protect[1]": "PutBucketPolicy"}),
}
BOUNDARIES = ("before-intent", "after-intent", "after-call", "recorded", "verified")
CASES = [(runbook, step) for runbook, (_, writes) in RUNS.items() for step in writes]


def approved(scene: Any, runbook: str) -> Plan:
    params = dict(RUNS[runbook][0])
    if runbook == "aws.protect-buckets":
        params["buckets"] = scene.buckets[:1]
    return scene.approved(runbook, **params)


def once_each(runbook: str) -> dict[str, int]:
    return dict.fromkeys(RUNS[runbook][1].values(), 1)


def finished(scene: Any, plan: Plan, runbook: str) -> None:
    """Another worker ends the run; every effect is there once; the trail proves itself and tells of the attempts."""
    scene.worker()
    assert scene.ends(plan).state is PlanState.DONE, scene.app.containment.plan(plan.id).reason
    assert scene.effects(*RUNS[runbook][1].values()) == once_each(runbook)
    scene.app.store.verify()


def test_every_write_of_the_shipped_runbooks_is_killed_here(scenes: Callable[[str], Any]) -> None:
    """A new write that nobody kills would be a promise that nobody has tried."""
    scene = scenes("sqlite")
    for runbook, (_, writes) in RUNS.items():
        plan = scene.app.containment.preview(scene.incident(), runbook, _ana(), _params(scene, runbook))
        assert {step.id for step in plan.writes} == set(writes)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
@pytest.mark.parametrize(("runbook", "step"), CASES)
def test_a_kill_at_each_boundary_of_a_write_is_survived(
    scenes: Callable[[str], Any], database: str, runbook: str, step: str
) -> None:
    for boundary in BOUNDARIES:
        scene = scenes(database)
        plan = approved(scene, runbook)
        dying = scene.worker(dies_at=f"{step}:{boundary}")
        assert dying.wait_dead(60) == CRASHED, dying.tail()
        finished(scene, plan, runbook)
        assert "run.resumed" in scene.actions()


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
@pytest.mark.parametrize(("runbook", "step"), CASES)
def test_a_kill_inside_a_write_after_its_effect_is_survived(
    scenes: Callable[[str], Any], database: str, runbook: str, step: str
) -> None:
    """The cloud has done it, the answer is on its way, and the worker is gone."""
    scene = scenes(database)
    plan = approved(scene, runbook)
    operation = RUNS[runbook][1][step]
    victims: list[Any] = []

    def kill_once(call: Call) -> bool:
        if call.operation != operation or call.status >= 300 or not victims:
            return True
        victims.pop().kill()
        scene.proxy.after.remove(kill_once)
        return False

    scene.proxy.after.append(kill_once)
    dying = scene.worker()
    victims.append(dying)
    assert dying.wait_dead(60) == CRASHED
    finished(scene, plan, runbook)
    assert {"run.resumed", "step.found_done"} <= set(scene.actions())


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
@pytest.mark.parametrize("moment", ["run:claim", "run:claimed", "run:finish"])
def test_a_kill_around_a_run_is_survived(scenes: Callable[[str], Any], database: str, moment: str) -> None:
    scene, runbook = scenes(database), "aws.disable-leaked-access-key"
    plan = approved(scene, runbook)
    assert scene.worker(dies_at=moment).wait_dead(60) == CRASHED
    finished(scene, plan, runbook)


@pytest.mark.parametrize(("runbook", "step"), CASES)
def test_an_answer_that_is_cut_after_the_effect_makes_one_effect(
    scenes: Callable[[str], Any], runbook: str, step: str
) -> None:
    """boto3 repeats by itself when a connection is cut; nobody is killed here."""
    scene = scenes("sqlite")
    plan = approved(scene, runbook)
    operation = RUNS[runbook][1][step]

    def cut_once(call: Call) -> bool:
        if call.operation != operation or call.status >= 300:
            return True
        scene.proxy.after.remove(cut_once)
        return False

    scene.proxy.after.append(cut_once)
    scene.worker()
    assert scene.ends(plan).state is PlanState.DONE, scene.app.containment.plan(plan.id).reason
    state_changes = scene.effects(*RUNS[runbook][1].values())
    assert state_changes == once_each(runbook)


def test_two_workers_on_postgres_and_one_of_them_dies(scenes: Callable[[str], Any]) -> None:
    """The living one notices the silence of the dead one by itself."""
    scene, runbook = scenes("postgres"), "aws.disable-leaked-access-key"
    living = scene.worker()
    dying = scene.worker(dies_at="deactivate_key:after-call")
    plans = []
    for _ in range(1):
        plans.append(approved(scene, runbook))
    assert scene.ends(plans[0]).state is PlanState.DONE
    assert scene.effects("UpdateAccessKey", "PutUserPolicy") == once_each(runbook)
    assert living.is_running
    assert dying.is_running or "run.resumed" in scene.actions()


def _ana() -> Any:
    from twokey.core.people import ChatAccount, ChatIdentity

    return ChatIdentity(ChatAccount("T1", "UANA"))


def _params(scene: Any, runbook: str) -> dict[str, Any]:
    return {"buckets": scene.buckets[:1]} if runbook == "aws.protect-buckets" else {}
