"""R2: every write of every shipped runbook has its crash points, so that nothing is written where nobody has died."""

from __future__ import annotations

import pytest

from tests.lab.arm import Fault
from twokey.core.runbooks import PlanState
from twokey.flow.crashpoints import Around, At, around

from .kills import RUNS, WRITES, Scenes, fresh, params_of, uncovered, walked
from .scenes import who

# What lies around every write, in this order: it is passed, or it reaches the outside.
ORDER = [
    ("point", Around.BEFORE_INTENT),
    ("point", Around.BEFORE_RECORD),
    ("change", "step.started"),
    ("point", Around.AFTER_INTENT),
    ("point", Around.BEFORE_CALL),
    ("call", ""),
    ("point", Around.AFTER_CALL),
    ("point", Around.BEFORE_RECORD),
    ("change", "step.done"),
    ("point", Around.RECORDED),
    ("point", Around.BEFORE_RECORD),
    ("change", "step.verified"),
    ("point", Around.VERIFIED),
]


def test_every_shipped_runbook_and_every_write_of_it_is_killed_in_these_tests(scenes: Scenes) -> None:
    """A new write that nobody kills would be a promise that nobody has tried."""
    scene = scenes("sqlite")
    assert {runbook.id for runbook in scene.app.containment.library.approved()} == set(RUNS)
    for runbook, writes in RUNS.items():
        incident = scene.incident(runbook.partition(".")[0])
        plan = scene.app.containment.preview(incident, runbook, who("ana"), params_of(scene, runbook))
        assert {step.id for step in plan.writes} == set(writes)


@pytest.mark.parametrize("runbook", RUNS)
def test_a_run_passes_a_crash_point_between_any_two_things_that_reach_the_outside(
    scenes: Scenes, runbook: str
) -> None:
    walk, plan = walked(fresh(scenes, "sqlite", runbook), runbook)
    assert plan.state is PlanState.DONE
    assert uncovered(walk.trace) == []
    points = [name for kind, name in walk.trace if kind == "point"]
    assert (points[:2], points[-2:]) == ([At.CLAIM, At.CLAIMED], [At.FINISH, At.FINISHED])
    for step in plan.writes:
        start = walk.trace.index(("point", around(step.id, Around.BEFORE_INTENT)))
        passed = walk.trace[start : start + len(ORDER)]
        assert passed == [
            (kind, around(step.id, name) if isinstance(name, Around) else name or step.action)
            for kind, name in ORDER
        ]


@pytest.mark.parametrize(("runbook", "step"), WRITES)
@pytest.mark.parametrize("status", [403, 503])
def test_a_write_that_the_cloud_refuses_or_does_not_answer_has_them_too(
    scenes: Scenes, runbook: str, step: str, status: int
) -> None:
    scene = fresh(scenes, "sqlite", runbook)
    operation = RUNS[runbook][step]
    scene.proxy.answers[operation] = (status, _said(operation, status))
    scene.arm.order(Fault(method=operation, times=1000, status=status, code="AuthorizationFailed"))
    walk, plan = walked(scene, runbook)
    assert plan.state is not PlanState.DONE
    assert ("point", around(step, Around.FAILED)) in walk.trace
    assert uncovered(walk.trace) == []


def _said(operation: str, status: int) -> bytes:
    """Return an error in the words of the service: XML of IAM and S3, JSON of Organizations."""
    code = {403: "AccessDenied", 503: "ServiceUnavailable"}[status]
    error = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    if operation in ("UpdateAccessKey", "PutUserPolicy"):
        return f"<ErrorResponse>{error}</ErrorResponse>".encode()
    if operation == "PutBucketPolicy":
        return error.encode()
    return f'{{"__type":"{code}Exception","message":"no"}}'.encode()


@pytest.mark.parametrize("lost", [Around.AFTER_INTENT, Around.AFTER_CALL])
def test_a_crash_point_that_is_taken_out_is_missed(scenes: Scenes, lost: Around) -> None:
    walk, plan = walked(scenes("sqlite"), "aws.disable-leaked-access-key")
    left = [entry for entry in walk.trace if entry != ("point", around(plan.writes[1].id, lost))]
    inner = (Around.BEFORE_RECORD, Around.BEFORE_CALL)
    between = uncovered([entry for entry in left if not entry[1].endswith(inner)])
    assert len(between) == 1, between
