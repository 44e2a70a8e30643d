"""Every kind of owed work is done by somebody, and what is given up is told."""

import pytest

from twokey.core.errors import Refused
from twokey.core.jobs import Job, JobKind
from twokey.core.runbooks import PlanState


def payload(world, plan):
    return {
        "raw_id": "raw-x",
        "plan_id": plan.id,
        "incident_id": "INC-1",
        "postmortem_id": "INC-1/en/internal",
    }


@pytest.mark.parametrize("kind", list(JobKind))
def test_every_kind_of_job_has_somebody_who_does_it(world, kind):
    world.incident()
    plan = world.contains()
    before = len(world.trail())
    world.handle(Job("j", kind, payload(world, plan)))
    assert len(world.trail()) > before or world.review.asked or kind is JobKind.SORT


@pytest.mark.parametrize("kind", [JobKind.DRAFT, JobKind.PUBLISH])
def test_the_review_gets_its_own_jobs(world, kind):
    job = Job("j", kind)
    world.handle(job)
    assert world.review.asked == [job]


@pytest.mark.parametrize("kind", [kind for kind in JobKind if kind is not JobKind.SORT])
def test_a_job_that_is_given_up_is_told_in_the_incidents_thread(world, kind):
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    told = len(world.told())
    given = payload(world, plan)
    own = {JobKind.DRAFT: "incident_id", JobKind.PUBLISH: "postmortem_id"}.get(kind, "plan_id")
    world.parked(Job("j", kind, {own: given[own]}), Refused("some.reason"))
    assert len(world.told()) > told
    assert world.trail()[-1].incident_id == "INC-1"


def test_a_job_of_nothing_that_is_given_up_is_on_record(world):
    world.parked(Job("j", JobKind.DRAFT, {"incident_id": "INC-9"}), RuntimeError("secret"))
    entry = world.trail()[-1]
    assert (entry.action, entry.data["reason"]) == ("job.parked", "engine.fault kind='RuntimeError'")


def test_a_run_that_is_given_up_asks(world):
    world.incident()
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.parked(Job("j", JobKind.EXECUTE, {"plan_id": plan.id}), Refused("some.reason"))
    assert world.plan(plan).state is PlanState.ASKING
