"""Execute: an approved plan, one step after the other, each intended on record before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NoReturn, cast

from twokey.core.approvals import Approval, is_confirmed, may_run
from twokey.core.errors import (
    Json,
    Later,
    LostLease,
    Message,
    Refused,
    TwokeyError,
    Unavailable,
    message,
)
from twokey.core.executions import (
    Execution,
    Found,
    StepRecord,
    StepState,
    has_written,
    next_step,
    record_id,
    step_scope,
)
from twokey.core.incidents import Incident, State
from twokey.core.people import system
from twokey.core.runbooks import (
    CheckCall,
    CheckResult,
    Effect,
    OnFailure,
    Plan,
    PlanState,
    Step,
    digest_of,
    resolve,
)
from twokey.flow import outbox
from twokey.flow.planning import Planner
from twokey.flow.response import found
from twokey.ports import (
    Action,
    Checkpoint,
    Clock,
    Library,
    Reading,
    Rosters,
    Store,
    Transaction,
    no_checkpoint,
)

EXECUTOR = system("executor")
_OVER = (
    PlanState.DONE,
    PlanState.FAILED,
    PlanState.VOIDED,
    PlanState.REFUSED,
    PlanState.WITHDRAWN,
    PlanState.EXPIRED,
)
_TRIES = 5  # at least, where the cloud does not answer
_LONGEST_WAIT_S = 300.0


class _Over(Exception):
    """The run was ended just now, and the record says why."""


@dataclass(frozen=True)
class Executor:
    """The fourth stretch. Nothing but a plan row whose keys hold right now reaches an action's `apply`."""

    store: Store
    clock: Clock
    rosters: Rosters
    library: Library
    planner: Planner
    checkpoint: Checkpoint = no_checkpoint

    def execute(self, plan_id: str) -> None:
        """Run a plan to its end, or as far as it can go; after a crash it goes on where it was."""
        self.checkpoint("run:claim")
        claimed = self._claim(plan_id)
        if claimed is None:
            return
        plan, fence = claimed
        self.checkpoint("run:claimed")
        try:
            if not has_written(plan, self._journal(plan)):
                self._still_the_same(plan, fence)
            while step := next_step(plan, self._journal(plan)):
                if not self._run_step(plan, step, fence):
                    return
            self.checkpoint("run:finish")
            self._finish(plan, fence)
        except (LostLease, _Over):
            return  # another worker has the run now and will end it, or it was ended and says why

    def _claim(self, plan_id: str) -> tuple[Plan, int] | None:
        """Take the run: raise the fence, mark what an earlier worker left open; or end what may not run."""
        roster_fault: TwokeyError | None = None
        try:
            roster = self.rosters.current()
        except TwokeyError as fault:
            roster_fault = fault
        with self.store.change() as tx:
            plan = tx.get(Plan, plan_id)
            if plan is None or plan.state in _OVER or plan.state is PlanState.ASKING:
                tx.append(EXECUTOR, "run.not_needed", plan_id=plan_id)
                return None
            incident = found(tx.get(Incident, plan.incident_id), plan.incident_id)
            journal = {record.step_id: record for record in tx.find(StepRecord, plan_id=plan.id)}
            keys = tx.find(Approval, plan_id=plan.id)
            begun = has_written(plan, journal)
            try:
                if (
                    begun
                ):  # who may stand behind it was settled before the first write; what it is must still be so
                    is_confirmed(plan, keys, digest_of(plan))
                elif roster_fault:
                    raise roster_fault
                else:
                    may_run(plan, keys, incident, roster, digest_of(plan), now=self.clock.now())
            except TwokeyError as refusal:
                self._end(tx, plan, PlanState.FAILED if begun else PlanState.VOIDED, refusal.message)
                return None
            earlier = tx.get(Execution, plan.id)
            fence = earlier.fence + 1 if earlier else 1
            tx.put(
                replace(earlier, fence=fence)
                if earlier
                else Execution(plan.id, plan.incident_id, self.clock.now(), fence)
            )
            left_open = [r for r in journal.values() if r.state is StepState.STARTED]
            for record in left_open:
                tx.put(replace(record, state=StepState.UNKNOWN, fence=fence))
            tx.put(replace(plan, state=PlanState.RUNNING))
            entry = tx.append(
                EXECUTOR,
                "run.resumed" if earlier else "run.started",
                incident_id=plan.incident_id,
                plan_id=plan.id,
                data={"attempt": fence, "unknown": [r.step_id for r in left_open], "digest": plan.digest},
            )
            if not earlier:
                outbox.tell_thread(tx, entry, message("execution.started", plan=plan.short, title=plan.title))
            outbox.redraw_plan(tx, replace(plan, state=PlanState.RUNNING), self.clock.now())
        return replace(plan, state=PlanState.RUNNING), fence

    def _still_the_same(self, plan: Plan, fence: int) -> None:
        """Look at runbook and cloud once more; any difference from what was confirmed voids the keys."""
        try:
            if plan.undo_of:
                fresh = self.planner.observe_undo_again(plan)
            else:
                runbook = self.library.runbook(plan.runbook_id)
                with self.store.read() as look:
                    incident = found(look.get(Incident, plan.incident_id), plan.incident_id)
                fresh = self.planner.observe_again(plan, runbook, incident)
        except Unavailable as fault:
            self._look_later(plan, fence, fault)
        except TwokeyError as refusal:
            self._void_run(plan, fence, refusal.message)
        else:
            if fresh.digest != plan.digest:
                self._void_run(
                    plan, fence, message("execution.observed_differs", what=_difference(plan, fresh))
                )

    def _guards_still_hold(self, plan: Plan, fence: int) -> None:
        """Ask the guards again right before the first write. A no voids the keys, whatever a step says about
        its failures; and so does a yes for another reason than people saw."""
        try:
            seen = self.planner.ask_guards(plan)
        except Unavailable:
            raise
        except TwokeyError as refusal:
            self._void_run(plan, fence, refusal.message)
        else:
            changed = [name for name, now in seen.items() if plan.observed.get(name) != now]
            if changed:
                self._void_run(plan, fence, message("execution.observed_differs", what=", ".join(changed)))

    def _look_later(self, plan: Plan, fence: int, fault: Unavailable) -> NoReturn:
        """Nothing was begun: wait for the cloud, but no longer than the keys are good for."""
        with self.store.change() as tx:
            self._fenced(tx, plan, fence)
            tx.append(
                EXECUTOR,
                "run.waits",
                incident_id=plan.incident_id,
                plan_id=plan.id,
                data={"reason": str(fault)[:500]},
            )
        raise Later(min(2.0 * fence, 60.0), "execution.unavailable", step="-")

    def _run_step(self, plan: Plan, step: Step, fence: int) -> bool:
        """Bring one step to its settled end; False when the run stops here."""
        record = self._journal(plan).get(step.id)
        record = replace(record, fence=fence) if record else None
        try:
            if step.effect is Effect.READ:
                self._read(plan, step, fence)
                return True
            if record is None or record.state in (StepState.FAILED, StepState.WAITING):
                record = self._intend(plan, step, fence)
                if record is None:
                    return True
                record = self._act(plan, step, record)
            elif record.state is StepState.UNKNOWN:
                record = self._read_back(plan, step, record, fence)
            self._verify(plan, step, record)
            return True
        except (Later, LostLease):
            raise
        except Unavailable as fault:
            return self._try_later(plan, step, fault, fence)
        except TwokeyError as fault:
            return self._give_up(plan, step, fault.message, fence)

    def _read(self, plan: Plan, step: Step, fence: int) -> None:
        inputs = self._inputs(plan, step)
        outputs = self._action(plan, step).apply(plan.target, inputs, "")
        now = self.clock.now()
        record = self._record(plan, step, fence, inputs, "")
        with self.store.change() as tx:
            self._fenced(tx, plan, fence)
            tx.put(
                replace(
                    record, state=StepState.VERIFIED, outputs=_kept(step, outputs), seen=outputs, ended_at=now
                )
            )
            tx.append(
                EXECUTOR,
                "step.read",
                incident_id=plan.incident_id,
                plan_id=plan.id,
                data={"step": step.id, "action": step.action, "result": dict(outputs)},
            )

    def _intend(self, plan: Plan, step: Step, fence: int) -> StepRecord | None:
        """Check what must hold, keep what an undo needs, write the intent; None when it is not needed."""
        self.checkpoint(f"{step.id}:before-intent")
        inputs = self._inputs(plan, step)
        journal = self._journal(plan)
        if not has_written(plan, journal):
            self._guards_still_hold(plan, fence)
        for check in step.pre:
            result = self._ask(plan, check)
            if not result.holds and check.or_skip:
                self._skip(plan, step, fence, result)
                return None
            if not result.holds:
                raise Refused(
                    "execution.pre_failed", step=step.id, check=check.check, why=result.reason or "-"
                )
        earlier = journal.get(step.id)
        prior = earlier.prior if earlier and earlier.prior else self._capture(plan, step, inputs)
        record = replace(
            self._record(plan, step, fence, inputs, f"{plan.id}/{step.id}"),
            prior=prior,
            attempt=earlier.attempt + 1 if earlier else 1,
        )
        self._write(record, plan, "step.started", {"inputs": inputs, "attempt": record.attempt})
        self.checkpoint(f"{step.id}:after-intent")
        return record

    def _act(self, plan: Plan, step: Step, record: StepRecord) -> StepRecord:
        with self.store.read() as look:
            self._fenced(look, plan, record.fence)  # a worker that slept here must not act on its old intent
        outputs = self._action(plan, step).apply(plan.target, record.inputs, record.key)
        self.checkpoint(f"{step.id}:after-call")
        done = replace(record, state=StepState.DONE, outputs=_kept(step, outputs), ended_at=self.clock.now())
        self._write(done, plan, "step.done", {"outputs": dict(done.outputs)})
        self.checkpoint(f"{step.id}:recorded")
        return done

    def _read_back(self, plan: Plan, step: Step, record: StepRecord, fence: int) -> StepRecord:
        """Find out by a read, never by repeating it, whether a call without a recorded answer took effect."""
        lookup = self._action(plan, step).find(plan.target, record.inputs, record.key)
        if lookup.found is Found.CANNOT_TELL:
            raise Refused("execution.cannot_tell", step=step.id, action=step.action)
        if lookup.found is Found.DONE:
            done = replace(
                record,
                state=StepState.DONE,
                outputs=_kept(step, lookup.outputs),
                fence=fence,
                ended_at=self.clock.now(),
            )
            self._write(
                done, plan, "step.found_done", {"outputs": dict(done.outputs), "attempt": record.attempt + 1}
            )
            return done
        again = replace(record, state=StepState.STARTED, attempt=record.attempt + 1, fence=fence)
        self._write(again, plan, "step.started", {"inputs": dict(record.inputs), "attempt": again.attempt})
        self.checkpoint(f"{step.id}:after-intent")
        return self._act(plan, step, again)

    def _verify(self, plan: Plan, step: Step, record: StepRecord) -> None:
        """Read the effect back from the cloud; a step is over only when a read shows it."""
        if step.verify is None:
            lookup = self._action(plan, step).find(plan.target, record.inputs, record.key)
            result = CheckResult(lookup.found is Found.DONE, {"found": lookup.found.value})
        else:
            result = self._ask(plan, step.verify)
        if not result.holds:
            waited = self.clock.now() - (record.ended_at or self.clock.now())
            within = step.verify.within_s if step.verify else 0.0
            if waited < timedelta(seconds=within):
                raise Later(2.0, "execution.verifying", step=step.id)
            raise Refused("execution.not_verified", step=step.id, why=result.reason or "-")
        verified = replace(record, state=StepState.VERIFIED, seen=result.seen, ended_at=self.clock.now())
        self._write(verified, plan, "step.verified", {"seen": dict(result.seen)})
        self.checkpoint(f"{step.id}:verified")

    def _try_later(self, plan: Plan, step: Step, fault: Unavailable, fence: int) -> bool:
        """The cloud did not answer: what was sent may have arrived, so the next attempt reads first."""
        record = self._journal(plan).get(step.id) or replace(
            self._record(plan, step, fence, {}, ""), state=StepState.WAITING, attempt=0
        )
        # Evidence that may be missing does not hold up a containment. What the rest needs is asked for again,
        # and an effect of unknown outcome must be found out.
        may_be_missing = not step.effect.is_write and step.on_failure is OnFailure.CONTINUE
        tries = step.retry.max_attempts if may_be_missing else max(step.retry.max_attempts, _TRIES)
        if record.attempt + may_be_missing >= tries:
            return self._give_up(plan, step, fault.message, fence)
        unsure = record.state in (StepState.STARTED, StepState.UNKNOWN)
        state = StepState.UNKNOWN if unsure else record.state
        waiting = replace(record, state=state, attempt=record.attempt + 1, error=fault.message, fence=fence)
        self._write(waiting, plan, "step.unavailable", {"reason": str(fault), "attempt": waiting.attempt})
        wait = min(step.retry.backoff_s * 2 ** min(record.attempt, 10), _LONGEST_WAIT_S)
        raise Later(wait, "execution.unavailable", step=step.id)

    def _give_up(self, plan: Plan, step: Step, reason: Message, fence: int) -> bool:
        """Do as the runbook says with a step that failed for good; True when the run goes on without it."""
        with self.store.change() as tx:
            plan = self._fenced(tx, plan, fence)
            record = tx.get(StepRecord, record_id(plan.id, step.id))
            failed = record or self._record(plan, step, fence, {}, "")
            # A step whose outcome is unknown stays unknown: only a read or a person can settle it. One that
            # was answered but not seen to work stays done: what it changed must be in the undo.
            stays = failed.state in (StepState.UNKNOWN, StepState.DONE)
            state = failed.state if stays else StepState.FAILED
            goes_on = step.on_failure is OnFailure.CONTINUE and state is not StepState.UNKNOWN
            tx.put(replace(failed, state=state, error=reason, passed_over=goes_on, ended_at=self.clock.now()))
            entry = tx.append(
                EXECUTOR,
                "step.failed",
                incident_id=plan.incident_id,
                plan_id=plan.id,
                data={"step": step.id, "code": reason.code, **reason.params},
            )
            asks = step.on_failure is OnFailure.ASK or state is StepState.UNKNOWN
            said = (
                "execution.step_passed_over"
                if goes_on
                else "execution.step_asks"
                if asks
                else "execution.step_failed"
            )
            told = [message(said, step=step.id, action=step.action), reason]
            if step.on_failure is OnFailure.ROLLBACK and not asks:
                told.append(message("execution.undo_offered", plan=plan.short))
            outbox.tell_thread(tx, entry, *told, plan_id=plan.id)
            if not goes_on:
                after = replace(plan, state=PlanState.ASKING if asks else PlanState.FAILED, reason=reason)
                tx.put(after)
                if not asks:
                    self._ended(tx, plan)
                outbox.redraw_plan(tx, after, self.clock.now())
        return goes_on

    def park(self, plan_id: str, fault: str) -> None:
        """Stop a run that the engine gave up on, and ask a person."""
        with self.store.change() as tx:
            plan = tx.get(Plan, plan_id)
            entry = tx.append(
                EXECUTOR,
                "run.parked",
                incident_id=plan.incident_id if plan else "",
                plan_id=plan_id,
                data={"fault": fault[:500]},
            )
            if plan and plan.state in (PlanState.APPROVED, PlanState.RUNNING):
                asking = replace(
                    plan, state=PlanState.ASKING, reason=message("execution.parked", fault=fault[:200])
                )
                tx.put(asking)
                outbox.tell_thread(tx, entry, message("execution.parked", fault=fault[:200]), plan_id=plan.id)
                outbox.redraw_plan(tx, asking, self.clock.now())

    def _finish(self, plan: Plan, fence: int) -> None:
        now = self.clock.now()
        with self.store.change() as tx:
            plan = self._fenced(tx, plan, fence)
            incident = found(tx.get(Incident, plan.incident_id), plan.incident_id)
            done = replace(plan, state=PlanState.DONE)
            tx.put(done)
            self._ended(tx, plan)
            journal = {record.step_id: record for record in tx.find(StepRecord, plan_id=plan.id)}
            if plan.undo_of:
                self._mark_undone(tx, plan, journal)
            elif any(
                step.id in journal and journal[step.id].state is StepState.VERIFIED for step in plan.writes
            ):
                contained = (
                    State.CONTAINED
                    if incident.state in (State.TRIAGE, State.INVESTIGATING)
                    else incident.state
                )
                times = replace(incident.times, contained=incident.times.contained or now)
                incident = replace(incident, state=contained, times=times)
                tx.put(incident)
            entry = tx.append(EXECUTOR, "run.done", incident_id=incident.id, plan_id=plan.id)
            said = "execution.undone" if plan.undo_of else "execution.done"
            told = [message(said, plan=plan.short, title=plan.title)]
            if without := [step.id for step in plan.steps if _is_passed_over(journal.get(step.id))]:
                told.append(message("execution.done_without", steps=", ".join(without)))
            outbox.tell_thread(tx, entry, *told, broadcast=True, plan_id=plan.id)
            outbox.redraw_plan(tx, done, now)
            outbox.redraw_card(tx, incident, now)

    @staticmethod
    def _mark_undone(tx: Transaction, plan: Plan, journal: Mapping[str, StepRecord]) -> None:
        for step in plan.writes:
            record = tx.get(StepRecord, record_id(plan.undo_of, step.id.removeprefix("undo-")))
            undone = journal.get(step.id)
            if record and undone and undone.state is StepState.VERIFIED:
                tx.put(replace(record, state=StepState.UNDONE))

    def _void_run(self, plan: Plan, fence: int, why: Message) -> NoReturn:
        """Take the keys back before anything was touched, and end this run."""
        with self.store.change() as tx:
            self._end(tx, self._fenced(tx, plan, fence), PlanState.VOIDED, why)
        raise _Over

    def _end(self, tx: Transaction, plan: Plan, state: PlanState, why: Message) -> None:
        ended = replace(plan, state=state, reason=why)
        tx.put(ended)
        entry = tx.append(
            EXECUTOR,
            state.value,
            incident_id=plan.incident_id,
            plan_id=plan.id,
            data={"code": why.code, **why.params},
        )
        self._ended(tx, plan)
        outbox.tell_thread(
            tx,
            entry,
            message(f"execution.{state.value}", plan=plan.short, title=plan.title),
            why,
            plan_id=plan.id,
        )
        outbox.redraw_plan(tx, ended, self.clock.now())

    def _ended(self, tx: Transaction, plan: Plan) -> None:
        if execution := tx.get(Execution, plan.id):
            tx.put(replace(execution, ended_at=self.clock.now()))

    def _skip(self, plan: Plan, step: Step, fence: int, result: CheckResult) -> None:
        record = replace(
            self._record(plan, step, fence, {}, ""),
            state=StepState.SKIPPED,
            seen=result.seen,
            error=result.reason,
        )
        self._write(record, plan, "step.skipped", {"seen": dict(result.seen)})

    def _capture(self, plan: Plan, step: Step, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        return self._action(plan, step).capture(plan.target, inputs)

    def _write(self, record: StepRecord, plan: Plan, action: str, data: Mapping[str, Json]) -> None:
        with self.store.change() as tx:
            plan = self._fenced(tx, plan, record.fence)
            tx.put(record)
            tx.append(
                EXECUTOR,
                action,
                incident_id=plan.incident_id,
                plan_id=plan.id,
                data={"step": record.step_id, **data},
            )
            outbox.redraw_plan(tx, plan, self.clock.now())

    @staticmethod
    def _fenced(look: Reading, plan: Plan, fence: int) -> Plan:
        """Return the plan as it is on record, while this worker has the run and people have not ended it."""
        execution, now = look.get(Execution, plan.id), look.get(Plan, plan.id)
        if execution is None or execution.fence != fence or now is None or now.state is not PlanState.RUNNING:
            raise LostLease("execution.lost_lease", plan=plan.short)
        return now

    def _journal(self, plan: Plan) -> dict[str, StepRecord]:
        with self.store.read() as look:
            return {record.step_id: record for record in look.find(StepRecord, plan_id=plan.id)}

    def _record(self, plan: Plan, step: Step, fence: int, inputs: Mapping[str, Json], key: str) -> StepRecord:
        return StepRecord(
            record_id(plan.id, step.id),
            plan.id,
            step.id,
            plan.steps.index(step),
            StepState.STARTED,
            key,
            fence=fence,
            inputs=inputs,
            started_at=self.clock.now(),
        )

    def _action(self, plan: Plan, step: Step) -> Action:
        return self.planner.cloud(plan.provider).actions[step.action]

    def _ask(self, plan: Plan, check: CheckCall) -> CheckResult:
        inputs = resolve(cast("Json", dict(check.inputs)), self._scope(plan))
        return (
            self.planner.cloud(plan.provider)
            .checks[check.check]
            .holds(plan.target, cast("Mapping[str, Json]", inputs))
        )

    def _inputs(self, plan: Plan, step: Step) -> dict[str, Json]:
        return cast("dict[str, Json]", resolve(cast("Json", dict(step.inputs)), self._scope(plan)))

    def _scope(self, plan: Plan) -> dict[str, Json]:
        return {"steps": cast("Json", step_scope(self._journal(plan)))}


def _is_passed_over(record: StepRecord | None) -> bool:
    return record is not None and record.passed_over


def _kept(step: Step, outputs: Mapping[str, Json]) -> dict[str, Json]:
    """Return the outputs under the names that the runbook gave them."""
    if not step.outputs:
        return dict(outputs)
    return {name: outputs.get(key) for name, key in step.outputs.items()}


def _difference(before: Plan, after: Plan) -> str:
    """Name what is different between two plans that should be one, for people."""
    parts = [
        name
        for name in ("runbook_digest", "params", "steps", "guards", "touches", "blast")
        if getattr(before, name) != getattr(after, name)
    ]
    changed = {
        k for k in {*before.observed, *after.observed} if before.observed.get(k) != after.observed.get(k)
    }
    return ", ".join([*parts, *sorted(changed)]) or "digest"
