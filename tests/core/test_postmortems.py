"""Metrics with both ends, the three checks before publishing, and what must not be said outside."""

from dataclasses import replace
from datetime import timedelta

import pytest

from twokey.core.executions import StepState
from twokey.core.incidents import State
from twokey.core.postmortems import (
    faults,
    has_contained,
    metrics,
    missing_evidence,
    named_in,
    plan_metrics,
)
from twokey.core.responsibility import Label
from twokey.core.runbooks import PlanState
from twokey.testing.builders import a_containment, a_plan, a_record, a_step_record, a_verdict, an_incident, at

NOW = at(500)


def with_times(**changes):
    incident = an_incident()
    return a_record(incident=replace(incident, times=replace(incident.times, **changes)))


def said(record, now=NOW):
    return [(fault.code.rpartition("_")[2], fault.params["name"]) for fault in faults(record, now)]


def test_every_metric_is_the_difference_of_two_named_moments():
    found = {one.name: (one.start_name, one.end_name, one.value) for one in metrics(an_incident().times)}
    assert found == {
        "ttd": ("started", "detected", timedelta(minutes=25)),
        "delivery_lag": ("detected", "notified", timedelta(minutes=2)),
        "tta": ("notified", "acked", timedelta(minutes=3)),
        "ttc": ("detected", "contained", timedelta(minutes=19)),
        "ttm": ("started", "mitigated", timedelta(minutes=50)),
        "ttr": ("started", "resolved", timedelta(minutes=90)),
    }


def test_an_unknown_end_or_a_wrong_order_gives_no_number():
    times = replace(an_incident().times, started=None, acked=at(-20))
    found = {one.name: one.value for one in metrics(times)}
    assert found["ttd"] is None
    assert found["tta"] is None
    assert found["ttc"] == timedelta(minutes=19)


def test_a_plan_has_an_approval_latency_and_an_execution_time():
    latency, execution = plan_metrics(a_containment())
    assert (latency.value, execution.value) == (timedelta(minutes=6), timedelta(minutes=3))


@pytest.mark.parametrize("state", [PlanState.FAILED, PlanState.ASKING, PlanState.RUNNING])
def test_a_run_that_was_not_done_has_no_execution_time(state):
    _, execution = plan_metrics(a_containment(plan=a_plan(state=state)))
    assert execution.value is None


def test_a_record_in_order_has_no_fault():
    assert faults(a_record(), NOW) == ()


@pytest.mark.parametrize("name", ["detected", "notified", "acked", "contained", "resolved"])
def test_a_required_moment_that_is_missing_is_named(name):
    assert ("missing", name) in said(with_times(**{name: None}))


@pytest.mark.parametrize("name", ["started", "mitigated"])
def test_a_moment_that_nobody_can_know_is_not_required(name):
    assert said(with_times(**{name: None})) == []


def test_containment_is_required_only_when_a_plan_took_effect():
    untouched = replace(with_times(contained=None), containments=())
    assert said(untouched) == []


def test_nobody_has_to_acknowledge_what_the_provider_repairs():
    record = with_times(acked=None, contained=None)
    incident = replace(record.incident, verdict=a_verdict(Label.PROVIDER_OUTAGE))
    assert said(replace(record, incident=incident, containments=())) == []


def test_a_cancelled_incident_needs_no_moment_at_all():
    record = with_times(acked=None, contained=None, resolved=None)
    assert said(replace(record, incident=replace(record.incident, state=State.CANCELLED))) == []


@pytest.mark.parametrize(
    "name", ["started", "detected", "notified", "acked", "contained", "mitigated", "resolved"]
)
def test_a_moment_in_the_future_is_named(name):
    assert ("future", name) in said(with_times(**{name: at(501)}))


@pytest.mark.parametrize(
    ("name", "minutes"),
    [
        ("detected", -31),
        ("notified", -6),
        ("acked", -4),
        ("contained", -6),
        ("mitigated", -31),
        ("resolved", 13),
    ],
)
def test_a_moment_before_its_predecessor_is_named(name, minutes):
    assert ("order", name) in said(with_times(**{name: at(minutes)}))


def test_the_moments_of_a_plan_are_checked_too():
    wrong = a_containment(approved_at=at(4), ended_at=at(600))
    found = said(a_record(containments=(wrong,)))
    assert ("order", "approved:plan-1") in found
    assert ("future", "done:plan-1") in found


def test_only_a_verified_write_that_is_no_undo_has_contained_anything():
    assert has_contained(a_containment())
    assert not has_contained(a_containment(plan=a_plan(undo_of="plan-0")))
    assert not has_contained(a_containment(journal=(a_step_record(state=StepState.DONE),)))
    assert not has_contained(a_containment(journal=(a_step_record("export_trail"),)))


@pytest.mark.parametrize("state", [StepState.FAILED, StepState.SKIPPED, StepState.UNKNOWN, StepState.STARTED])
def test_evidence_that_was_not_collected_is_missing(state):
    kept = a_containment(journal=(a_step_record("export_trail", state=state), a_step_record()))
    assert [(step.id, why) for step, why in missing_evidence(kept)] == [("export_trail", state.value)]


def test_evidence_that_was_never_reached_is_missing_but_a_plan_that_never_ran_misses_none():
    assert [why for _, why in missing_evidence(a_containment(journal=(a_step_record(),)))] == ["not-reached"]
    assert missing_evidence(a_containment(journal=(), started_at=None)) == ()
    assert missing_evidence(a_containment(journal=(a_step_record("export_trail"), a_step_record()))) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Aoi Sato looked",
        "thanks, aoi!",
        "user DEPLOY was",
        "account 111122223333",
        "key AKIAIOSFODNN7EXAMPLE",
        "d-ben",
    ],
)
def test_a_text_that_names_one_of_us_is_found_out(text):
    assert named_in(text, a_record())


@pytest.mark.parametrize(
    "text", ["We deployed a fix in us-east-1", "INC-12 is over", "aoishima", "the iam service"]
)
def test_a_text_that_names_nobody_is_fine(text):
    assert named_in(text, a_record()) == ()


def test_a_japanese_name_is_found_without_blanks_around_it():
    record = a_record(names={"d-1": "佐藤 葵"})
    assert named_in("担当の佐藤 葵が確認しました", record)
    incident = an_incident(tenant="金糸雀社")
    assert named_in("これは金糸雀社の件です", a_record(incident=incident)) == ("金糸雀社",)
