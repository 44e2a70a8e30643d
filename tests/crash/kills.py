"""What is done to a run in the crash tests: kill -9 at every step boundary and inside every write, cut answers.

The worker is a process of its own; the cloud is an emulator that counts effects. Whatever the moment: the run is
finished by another worker, every effect happens once, and the trail shows the second attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twokey.core.runbooks import Plan, PlanState
from twokey.testing.bot import CRASHED
from twokey.testing.proxy import Call

# runbook -> its writing steps, each with the cloud's name for the call
RUNS: dict[str, dict[str, str]] = {
    "aws.disable-leaked-access-key": {"deactivate_key": "UpdateAccessKey", "deny_user": "PutUserPolicy"},
    "aws.quarantine-account": {
        "create_ou": "CreateOrganizationalUnit",
        "create_scp": "CreatePolicy",
        "attach_scp": "AttachPolicy",
        "move_account": "MoveAccount",
    },
    "aws.protect-buckets": {"protect[1]": "PutBucketPolicy"},
}
BOUNDARIES = ("before-intent", "after-intent", "after-call", "recorded", "verified")
CASES = [(runbook, step) for runbook, writes in RUNS.items() for step in writes]


def params_of(scene: Any, runbook: str) -> dict[str, Any]:
    return {"buckets": scene.buckets[:1]} if runbook == "aws.protect-buckets" else {}


def approved(scene: Any, runbook: str) -> Plan:
    return scene.approved(runbook, **params_of(scene, runbook))


def once_each(runbook: str) -> dict[str, int]:
    return dict.fromkeys(RUNS[runbook].values(), 1)


def finished(scene: Any, plan: Plan, runbook: str) -> None:
    """Another worker ends the run; every effect is there once; the trail proves itself and tells of the attempts."""
    scene.worker()
    assert scene.ends(plan).state is PlanState.DONE, scene.app.containment.plan(plan.id).reason
    assert scene.effects(*RUNS[runbook].values()) == once_each(runbook)
    scene.app.store.verify()


def kill_at_each_boundary(scenes: Callable[[str], Any], database: str, runbook: str, step: str) -> None:
    for boundary in BOUNDARIES:
        scene = scenes(database)
        plan = approved(scene, runbook)
        dying = scene.worker(dies_at=f"{step}:{boundary}")
        assert dying.wait_dead(150) == CRASHED, dying.tail()
        finished(scene, plan, runbook)
        assert "run.resumed" in scene.actions()


def kill_inside_a_write(scenes: Callable[[str], Any], database: str, runbook: str, step: str) -> None:
    """The cloud has done it, the answer is on its way, and the worker is gone."""
    scene = scenes(database)
    plan = approved(scene, runbook)
    operation = RUNS[runbook][step]
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
    assert dying.wait_dead(150) == CRASHED
    finished(scene, plan, runbook)
    assert {"run.resumed", "step.found_done"} <= set(scene.actions())


def kill_around_a_run(scenes: Callable[[str], Any], database: str, moment: str) -> None:
    scene, runbook = scenes(database), "aws.disable-leaked-access-key"
    plan = approved(scene, runbook)
    assert scene.worker(dies_at=moment).wait_dead(150) == CRASHED
    finished(scene, plan, runbook)


def cut_an_answer(scenes: Callable[[str], Any], runbook: str, step: str) -> None:
    """boto3 repeats by itself when a connection is cut; nobody is killed here."""
    scene = scenes("sqlite")
    plan = approved(scene, runbook)
    operation = RUNS[runbook][step]

    def cut_once(call: Call) -> bool:
        if call.operation != operation or call.status >= 300:
            return True
        scene.proxy.after.remove(cut_once)
        return False

    scene.proxy.after.append(cut_once)
    scene.worker()
    assert scene.ends(plan).state is PlanState.DONE, scene.app.containment.plan(plan.id).reason
    state_changes = scene.effects(*RUNS[runbook].values())
    assert state_changes == once_each(runbook)


def ana() -> Any:
    from twokey.core.people import ChatAccount, ChatIdentity

    return ChatIdentity(ChatAccount("T1", "UANA"))
