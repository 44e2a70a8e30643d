"""What to do next is told from the journal alone."""

from dataclasses import replace

import pytest

from twokey.core.executions import (
    StepState,
    dependents,
    dependents_of_undo,
    has_written,
    left_undone,
    next_step,
    step_scope,
    undoable,
    verified_writes,
)
from twokey.core.runbooks import CheckCall
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


# who needs whom, and what is left


def test_a_step_is_needed_by_those_that_name_it_or_use_what_it_leaves():
    made = "${{ steps.make.outputs.id }}"
    plan = a_plan(
        steps=(
            a_step("make"),
            a_step("by_input", inputs={"unit": {"id": [made]}}),
            a_step("by_check", inputs={}, pre=(CheckCall("x", {"id": made}),)),
            a_step("by_sight", inputs={}, verify=CheckCall("x", {"id": f"unit {made}"})),
            a_step("by_word", inputs={}, verify=None, needs=("make",)),
            a_step("free", inputs={"param": "${{ params.make }}"}, verify=None),
        )
    )
    assert dependents(plan, "make") == ("by_input", "by_check", "by_sight", "by_word")
    assert dependents(plan, "by_word") == ()


def test_a_step_of_a_list_is_needed_like_its_template_and_not_by_its_siblings():
    itself = "${{ steps.each[2].prior.policy }}"
    plan = a_plan(
        steps=(
            a_step("each[1]"),
            a_step("each[2]", inputs={"policy": itself}),
            a_step("after", needs=("each",)),
        )
    )
    assert dependents(plan, "each[1]") == dependents(plan, "each[2]") == ("after",)


def test_an_undo_is_needed_the_other_way_round():
    run = a_plan(steps=(a_step("make"), a_step("use", needs=("make",)), a_step("free")))
    undo = a_plan("undo", steps=(a_step("undo-free"), a_step("undo-use"), a_step("undo-make")))
    assert dependents_of_undo(undo, run, "undo-use") == ("undo-make",)
    assert dependents_of_undo(undo, run, "undo-free") == ()


@pytest.mark.parametrize("state", list(StepState))
def test_what_nobody_has_seen_in_force_is_left_undone(state):
    told = journal(one=state)
    left = [step.id for step in left_undone(PLAN, told)]
    assert left == (["two"] if state in SETTLED else ["one", "two"])
    seen = [step.id for step in verified_writes(PLAN, told)]
    assert seen == (["one"] if state is StepState.VERIFIED else [])
