"""Executions: the write-ahead journal of a run, and what to do next, told from the journal alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from twokey.core.errors import Json, Message
from twokey.core.people import ChatAccount
from twokey.core.runbooks import Plan, Step, references
from twokey.core.younger import younger


class StepState(StrEnum):
    """A step's life: planned -> started -> done | failed | unknown -> verified; undone by a later plan."""

    WAITING = "waiting"  # the cloud did not answer before anything was intended
    STARTED = "started"  # the intent is on record; the call may or may not have been made
    UNKNOWN = "unknown"  # found started by a later attempt: must be read back, never blindly repeated
    DONE = "done"  # the call was answered
    VERIFIED = "verified"  # and a read shows the effect
    SKIPPED = "skipped"  # not needed: a `when` or an `or_skip` said so
    FAILED = "failed"
    UNDONE = "undone"

    @property
    def is_settled(self) -> bool:
        """Say whether the run may go on behind this step."""
        return self in (StepState.VERIFIED, StepState.SKIPPED, StepState.UNDONE)


class Found(StrEnum):
    """What a read says about a call whose answer was never recorded."""

    DONE = "done"
    NOT_DONE = "not-done"
    CANNOT_TELL = "cannot-tell"


@dataclass(frozen=True, slots=True)
class Lookup:
    """The answer of an action's read-back: with the outputs, when the effect is there."""

    found: Found
    outputs: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The journal's row for one step of one plan.

    `prior` is the state before the first write, read before it and never overwritten by a later attempt:
    it is what the undo needs. `key` is the idempotency key that the action was given.
    """

    id: str  # <plan id>/<step id>
    plan_id: str
    step_id: str
    order: int
    state: StepState
    key: str
    attempt: int = 1
    fence: int = 0
    inputs: Mapping[str, Json] = field(default_factory=dict)  # as resolved for the call
    prior: Mapping[str, Json] = field(default_factory=dict)
    outputs: Mapping[str, Json] = field(default_factory=dict)
    seen: Mapping[str, Json] = field(default_factory=dict)  # what the verification saw
    error: Message | None = None
    passed_over: bool = False  # it failed, and the runbook or a person said: go on without it
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of one plan. `fence` grows with every worker that takes it: older ones must not write."""

    id: str  # the plan's id
    incident_id: str
    started_at: datetime
    fence: int = 1
    ended_at: datetime | None = None
    account: str = younger("")  # where it acts
    is_counted: bool = younger(True)  # by the breaker: it writes, and takes nothing back
    head_seq: int = younger(0)  # the audit entry that it began with
    head: str = younger("")  # and its hash: the cloud's own log names both


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person asks about a step at which a run stopped, and who confirmed exactly that; it counts once.

    `digest` and `fence` say of which plan and which stop it speaks: once the run has gone on, it is about nothing.
    """

    id: str
    plan_id: str
    step_id: str
    decision: str
    person_id: str
    at: datetime
    digest: str = ""
    fence: int = 0
    step_up: str = ""  # the identity of the code that was given
    account: ChatAccount | None = None
    confirmed_by: str = ""  # person id
    confirmed_at: datetime | None = None
    confirmed_step_up: str = ""


def kept_digest(record: StepRecord) -> str:
    """Return SHA-256 over what is kept of a step for its undo: the trail says it, so that a row can be held to it."""
    kept = [record.inputs, record.prior, record.outputs]
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=dict).encode()).hexdigest()


def record_id(plan_id: str, step_id: str) -> str:
    """Name the journal row of a step."""
    return f"{plan_id}/{step_id}"


def next_step(plan: Plan, journal: Mapping[str, StepRecord]) -> Step | None:
    """Return the first step, in the plan's order, that is not settled; None when the run is over."""
    for step in plan.steps:
        record = journal.get(step.id)
        if record is None or not (record.state.is_settled or record.passed_over):
            return step
    return None


def has_written(plan: Plan, journal: Mapping[str, StepRecord]) -> bool:
    """Say whether any write of the plan may have reached the cloud: whether one was ever intended, that is.

    A step that failed before it was intended (a guard, a precondition) has no key and touched nothing.
    """
    untouched = (StepState.SKIPPED, StepState.WAITING)
    reads = {step.id for step in plan.steps if not step.effect.is_write}
    return any(
        record.key and record.state not in untouched and step_id not in reads
        for step_id, record in journal.items()
    )


def dependents(plan: Plan, step_id: str) -> tuple[str, ...]:
    """Return the later steps that need a step: they name it in `needs`, or refer to what it leaves."""
    own, ids = _template(step_id), [step.id for step in plan.steps]
    later = plan.steps[ids.index(step_id) + 1 :]
    return tuple(step.id for step in later if own != _template(step.id) and own in _needed(step))


def dependents_of_undo(undo: Plan, undone: Plan, step_id: str) -> tuple[str, ...]:
    """Return the later steps of an undo that presuppose one of its steps: the other way round than in the run."""
    own, ids = step_id.removeprefix("undo-"), [step.id for step in undo.steps]
    later = undo.steps[ids.index(step_id) + 1 :]
    return tuple(step.id for step in later if own in dependents(undone, step.id.removeprefix("undo-")))


def _needed(step: Step) -> set[str]:
    calls = [step.inputs, *(check.inputs for check in step.pre)]
    if step.verify:
        calls.append(step.verify.inputs)
    paths = [path.split(".") for call in calls for path in references(dict(call))]
    return {*step.needs, *(_template(path[1]) for path in paths if path[0] == "steps" and len(path) > 1)}


def _template(step_id: str) -> str:
    """Return the id that a step has in the runbook: one of a list has its number behind it in the plan."""
    return step_id.partition("[")[0]


def verified_writes(plan: Plan, journal: Mapping[str, StepRecord]) -> tuple[Step, ...]:
    """Return the writes whose effect a read showed."""
    return tuple(
        step for step in plan.writes if step.id in journal and journal[step.id].state is StepState.VERIFIED
    )


def left_undone(plan: Plan, journal: Mapping[str, StepRecord]) -> tuple[Step, ...]:
    """Return the writes whose effect nobody has seen, and which nothing said are not needed."""
    return tuple(
        step for step in plan.writes if step.id not in journal or not journal[step.id].state.is_settled
    )


def step_scope(journal: Mapping[str, StepRecord]) -> dict[str, Json]:
    """Return what `${{ steps.* }}` references may name: outputs and prior state of the steps that ran."""
    return {
        step_id: {"outputs": dict(record.outputs), "prior": dict(record.prior), "inputs": dict(record.inputs)}
        for step_id, record in journal.items()
    }


def undoable(plan: Plan, journal: Mapping[str, StepRecord]) -> tuple[Step, ...]:
    """Return the writes that took effect and can be taken back, last first."""
    took_effect = (StepState.DONE, StepState.VERIFIED)
    return tuple(
        step
        for step in reversed(plan.writes)
        if step.undo and step.id in journal and journal[step.id].state in took_effect
    )
