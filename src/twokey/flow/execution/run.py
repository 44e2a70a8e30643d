"""Execute: an approved plan, one step after the other, each intended on record before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import cast

from twokey.core.errors import Json, LostLease, Refused, RetryAfter, TwokeyError, Unavailable
from twokey.core.executions import Found, StepRecord, StepState, has_written, next_step, step_scope
from twokey.core.runbooks import CheckCall, CheckResult, Effect, Step, resolve
from twokey.core.stops import Limits
from twokey.flow.crashpoints import Around, At, around
from twokey.flow.execution.claim import (
    claim,
    require_guards_hold,
    require_may_go_on,
    require_unchanged,
    require_undo_goes_on,
)
from twokey.flow.execution.journal import Run
from twokey.flow.execution.outcomes import RunOver, finish, give_up, park_run, try_later
from twokey.flow.execution.stops import require_going_on
from twokey.flow.planning.planner import Planner
from twokey.ports import (
    ACTING_FOR,
    ActingFor,
    Action,
    Checkpoint,
    Clock,
    Library,
    NoPasskeys,
    Passkeys,
    Rosters,
    Store,
    no_checkpoint,
)


@dataclass(frozen=True)
class Executor:
    """Run the fourth stage: nothing but a plan row whose approvals hold right now reaches an action's `apply`."""

    store: Store
    clock: Clock
    rosters: Rosters
    library: Library
    planner: Planner
    checkpoint: Checkpoint = no_checkpoint
    limits: Limits = field(default_factory=Limits)
    passkeys: Passkeys = field(default_factory=NoPasskeys)

    def execute(self, plan_id: str) -> None:
        """Run a plan to its end, or as far as it can go; after a crash it goes on where it was."""
        self.checkpoint(At.CLAIM)
        claimed = claim(self.store, self.clock, self.rosters, self.limits, self.passkeys, plan_id)
        if claimed is None:
            return
        run = replace(claimed, checkpoint=self.checkpoint)
        self.checkpoint(At.CLAIMED)
        acting = ACTING_FOR.set(ActingFor(run.plan.id, run.plan.incident_id, *run.head))
        try:
            if not has_written(run.plan, run.journal()):
                require_unchanged(run, self.planner, self.library)
            else:
                require_undo_goes_on(run, self.planner)
            while step := next_step(run.plan, run.journal()):
                if not self._run_step(run, step):
                    return
            self.checkpoint(At.FINISH)
            finish(run)
            self.checkpoint(At.FINISHED)
        except (LostLease, RunOver):
            return  # another worker has the run now and will end it, or it was ended and says why
        finally:
            ACTING_FOR.reset(acting)

    def park(self, plan_id: str, fault: str) -> None:
        """Stop a run that the engine gave up on, and ask a person."""
        park_run(self.store, self.clock, plan_id, fault)

    def _run_step(self, run: Run, step: Step) -> bool:
        """Bring one step to its settled end; False when the run stops here."""
        row = run.journal().get(step.id)
        row = replace(row, fence=run.fence) if row else None
        try:
            if step.effect is Effect.READ:
                self._read(run, step)
                return True
            if row is None or row.state in (StepState.FAILED, StepState.WAITING):
                row = self._intend(run, step)
                if row is None:
                    return True
                row = self._act(run, step, row)
            elif row.state is StepState.UNKNOWN:
                row = self._read_back(run, step, row)
            self._verify(run, step, row)
            return True
        except (RetryAfter, LostLease):
            raise
        except Unavailable as fault:
            self.checkpoint(around(step.id, Around.FAILED))
            return try_later(run, step, fault)
        except TwokeyError as fault:
            self.checkpoint(around(step.id, Around.FAILED))
            return give_up(run, step, fault.message)

    def _read(self, run: Run, step: Step) -> None:
        """Take evidence: a read needs no intent, and asking twice changes nothing."""
        inputs = _resolved(step.inputs, run)
        outputs = self._action(run, step).apply(run.plan.target, inputs, "")
        row = replace(
            run.row(step, StepState.VERIFIED, inputs),
            outputs=_kept(step, outputs),
            seen=outputs,
            ended_at=run.now(),
        )
        run.write(row, "step.read", {"action": step.action, "result": dict(outputs)})

    def _intend(self, run: Run, step: Step) -> StepRecord | None:
        """Check what must hold, keep what an undo needs, write the intent; None when it is not needed."""
        self.checkpoint(around(step.id, Around.BEFORE_INTENT))
        require_going_on(run, step)
        inputs = _resolved(step.inputs, run)
        journal = run.journal()
        if not has_written(run.plan, journal):
            require_guards_hold(run, self.planner)
        elif run.is_resumed:
            require_may_go_on(run, self.planner, self.library, self.rosters, self.passkeys)
        for check in step.pre:
            result = self._ask(run, check)
            if not result.holds and check.or_skip:
                skipped = run.row(step, StepState.SKIPPED, {})
                skipped = replace(skipped, seen=result.seen, error=result.reason)
                run.write(skipped, "step.skipped", {"seen": dict(result.seen)})
                return None
            if not result.holds:
                why = result.reason or "-"
                raise Refused("execution.pre_failed", step=step.id, check=check.check, why=why)
        earlier = journal.get(step.id)
        prior = earlier.prior if earlier else {}
        row = replace(
            run.row(step, StepState.STARTED, inputs, key=f"{run.plan.id}/{step.id}"),
            prior=prior or self._action(run, step).capture(run.plan.target, inputs),
            attempt=earlier.attempt + 1 if earlier else 1,
        )
        intent: dict[str, Json] = {"action": step.action, "inputs": inputs, "attempt": row.attempt}
        run.write(row, "step.started", {**intent, "prior": dict(row.prior)})
        return row

    def _act(self, run: Run, step: Step, row: StepRecord) -> StepRecord:
        with run.store.read() as look:
            run.held(look)  # a worker that slept here must not act on its old intent
        require_going_on(run, step)
        self.checkpoint(around(step.id, Around.BEFORE_CALL))
        outputs = self._action(run, step).apply(run.plan.target, row.inputs, row.key)
        self.checkpoint(around(step.id, Around.AFTER_CALL))
        done = replace(row, state=StepState.DONE, outputs=_kept(step, outputs), ended_at=run.now())
        run.write(done, "step.done", {"outputs": dict(done.outputs)})
        return done

    def _read_back(self, run: Run, step: Step, row: StepRecord) -> StepRecord:
        """Find out by a read, never by repeating it, whether a call without a recorded answer took effect."""
        lookup = self._action(run, step).find(run.plan.target, row.inputs, row.key)
        if lookup.found is Found.CANNOT_TELL:
            raise Refused("execution.cannot_tell", step=step.id, action=step.action)
        if lookup.found is Found.DONE:
            outputs = _kept(step, lookup.outputs)
            done = replace(row, state=StepState.DONE, outputs=outputs, ended_at=run.now())
            run.write(done, "step.found_done", {"outputs": dict(outputs), "attempt": row.attempt + 1})
            return done
        require_may_go_on(run, self.planner, self.library, self.rosters, self.passkeys)
        again = replace(row, state=StepState.STARTED, attempt=row.attempt + 1)
        intent: dict[str, Json] = {
            "action": step.action,
            "inputs": dict(row.inputs),
            "attempt": again.attempt,
            "prior": dict(row.prior),
        }
        run.write(again, "step.started", intent)
        return self._act(run, step, again)

    def _verify(self, run: Run, step: Step, row: StepRecord) -> None:
        """Read the effect back from the cloud; a step is over only when a read shows it."""
        if step.verify is None:
            lookup = self._action(run, step).find(run.plan.target, row.inputs, row.key)
            result = CheckResult(lookup.found is Found.DONE, {"found": lookup.found.value})
        else:
            result = self._ask(run, step.verify)
        if not result.holds:
            waited = run.now() - (row.ended_at or run.now())
            within = step.verify.within_s if step.verify else 0.0
            if waited < timedelta(seconds=within):
                raise RetryAfter(2.0, "execution.verifying", step=step.id)
            raise Refused("execution.not_verified", step=step.id, why=result.reason or "-")
        verified = replace(row, state=StepState.VERIFIED, seen=result.seen, ended_at=run.now())
        run.write(verified, "step.verified", {"seen": dict(result.seen)})

    def _action(self, run: Run, step: Step) -> Action:
        return self.planner.cloud(run.plan.provider).actions[step.action]

    def _ask(self, run: Run, check: CheckCall) -> CheckResult:
        asked = self.planner.cloud(run.plan.provider).checks[check.check]
        return asked.holds(run.plan.target, _resolved(check.inputs, run))


def _resolved(inputs: Mapping[str, Json], run: Run) -> dict[str, Json]:
    """Return inputs in which everything that earlier steps left is filled in."""
    scope: dict[str, Json] = {"steps": cast("Json", step_scope(run.journal()))}
    return cast("dict[str, Json]", resolve(cast("Json", dict(inputs)), scope))


def _kept(step: Step, outputs: Mapping[str, Json]) -> dict[str, Json]:
    """Return the outputs under the names that the runbook gave them."""
    if not step.outputs:
        return dict(outputs)
    return {name: outputs.get(key) for name, key in step.outputs.items()}
