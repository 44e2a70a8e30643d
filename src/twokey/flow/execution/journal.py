"""The journal of a run: written ahead of what is done, by the one worker that has the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from twokey.core.errors import Json, LostLease
from twokey.core.executions import Execution, StepRecord, StepState, kept_digest, record_id
from twokey.core.people import system
from twokey.core.runbooks import Plan, PlanState, Step
from twokey.flow import outbox
from twokey.flow.crashpoints import Around, after_row, around
from twokey.ports import Checkpoint, Clock, Snapshot, Store, no_checkpoint

EXECUTOR = system("executor")


def journal_of(look: Snapshot, plan_id: str) -> dict[str, StepRecord]:
    """Return the journal of a plan, by step."""
    return {record.step_id: record for record in look.find(StepRecord, plan_id=plan_id)}


@dataclass(frozen=True)
class Run:
    """Hold one plan for one worker, which writes nothing any more once another has overtaken it."""

    store: Store
    clock: Clock
    plan: Plan
    fence: int
    head: tuple[int, str]  # the entry that the run began with
    is_resumed: bool = False  # it had written before this worker took it up
    checkpoint: Checkpoint = no_checkpoint

    def now(self) -> datetime:
        """Return the present moment."""
        return self.clock.now()

    def journal(self) -> dict[str, StepRecord]:
        """Return the rows as they stand, by step."""
        with self.store.read() as look:
            return journal_of(look, self.plan.id)

    def row(self, step: Step, state: StepState, inputs: Mapping[str, Json], key: str = "") -> StepRecord:
        """Make a fresh row for a step; it is not yet written."""
        return StepRecord(
            record_id(self.plan.id, step.id),
            self.plan.id,
            step.id,
            self.plan.steps.index(step),
            state,
            key,
            fence=self.fence,
            inputs=inputs,
            started_at=self.now(),
        )

    def write(self, row: StepRecord, action: str, data: Mapping[str, Json]) -> None:
        """Write a row with its audit entry, if this worker still has the run."""
        with self.store.change() as tx:
            plan = self.held(tx)
            tx.put(row)
            tx.append(
                EXECUTOR,
                action,
                incident_id=plan.incident_id,
                plan_id=plan.id,
                data={"step": row.step_id, **data, **_kept(row, action)},
            )
            outbox.redraw_plan(tx, plan, self.now())
            self.checkpoint(around(row.step_id, Around.BEFORE_RECORD))
        self.checkpoint(around(row.step_id, after_row(action)))

    def held(self, look: Snapshot) -> Plan:
        """Return the plan as it is on record, while this worker has the run and people have not ended it."""
        execution, plan = look.get(Execution, self.plan.id), look.get(Plan, self.plan.id)
        is_ours = execution is not None and execution.fence == self.fence
        if not is_ours or plan is None or plan.state is not PlanState.RUNNING:
            raise LostLease("execution.lost_lease", plan=self.plan.short)
        return plan


def _kept(row: StepRecord, action: str) -> dict[str, Json]:
    """Return what holds a row to the trail where an undo will be made from it."""
    return {"kept": kept_digest(row)} if action in ("step.done", "step.found_done") else {}
