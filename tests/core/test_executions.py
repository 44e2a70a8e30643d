"""What to do next is told from the journal alone."""

from dataclasses import replace

import pytest

from twokey.core.executions import StepState, has_written, next_step, step_scope, undoable
from twokey.testing.builders import a_plan, a_step, a_step_record, an_evidence_step

PLAN = a_plan(steps=(an_evidence_step(), a_step("one"), a_step("two")))
SETTLED = (StepState.VERIFIED, StepState.SKIPPED, StepState.UNDONE)


def journal(**states):
    return {name: a_step_record(name, state=state) for name, state in states.items()}


def test_a_run_begins_with_the_first_step_and_ends_after_the_last():
    assert next_step(PLAN, {}).id == "export_trail"
    done = journal(export_trail=StepState.VERIFIED, one=StepState.VERIFIED, two=StepState.VERIFIED)
    assert next_step(PLAN, done) is None


@pytest.mark.parametrize("state", list(StepState))
def test_a_run_goes_on_behind_settled_steps_only(state):
    told = journal(export_trail=StepState.VERIFIED, one=state)
    assert next_step(PLAN, told).id == ("two" if state in SETTLED else "one")


def test_a_run_goes_on_behind_a_step_that_was_passed_over():
    told = journal(export_trail=StepState.VERIFIED, one=StepState.FAILED)
    told["one"] = replace(told["one"], passed_over=True)
    assert next_step(PLAN, told).id == "two"


@pytest.mark.parametrize("state", list(StepState))
def test_an_intent_counts_as_written_and_a_step_that_was_never_intended_does_not(state):
    intended = {"one": a_step_record("one", state=state)}
    assert has_written(PLAN, intended) is (state not in (StepState.SKIPPED, StepState.WAITING))
    assert not has_written(PLAN, {"one": a_step_record("one", state=state, key="")})


def test_evidence_is_no_write():
    assert not has_written(PLAN, {"export_trail": a_step_record("export_trail", key="")})


def test_an_intent_of_a_step_that_the_plan_no_longer_has_counts_as_written():
    assert has_written(PLAN, {"gone": a_step_record("gone", state=StepState.STARTED)})


def test_the_undo_takes_back_what_took_effect_last_first():
    told = journal(export_trail=StepState.VERIFIED, one=StepState.DONE, two=StepState.VERIFIED)
    assert [step.id for step in undoable(PLAN, told)] == ["two", "one"]


@pytest.mark.parametrize("state", [s for s in StepState if s not in (StepState.DONE, StepState.VERIFIED)])
def test_the_undo_leaves_alone_what_did_not_take_effect(state):
    assert undoable(PLAN, journal(one=state)) == ()


def test_references_see_outputs_prior_state_and_inputs():
    told = {"one": a_step_record("one", outputs={"a": 1}, prior={"b": 2}, inputs={"c": 3})}
    assert step_scope(told) == {"one": {"outputs": {"a": 1}, "prior": {"b": 2}, "inputs": {"c": 3}}}
