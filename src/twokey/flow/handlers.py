"""Job handlers: what the engine calls for every kind of owed work, and for work that it gave up."""

from __future__ import annotations

from typing import Protocol

from twokey.core.errors import Message, TwokeyError, message
from twokey.core.incidents import Incident
from twokey.core.jobs import Job, JobKind, sorted_by
from twokey.core.people import system
from twokey.core.runbooks import Plan
from twokey.flow import outbox
from twokey.flow.containment import Containment
from twokey.flow.execution.run import Executor
from twokey.flow.intake import Intake
from twokey.flow.stamping import Stamping
from twokey.flow.watch import Watch
from twokey.ports import DeadLetterHandler, JobHandler, Store


class Reviewing(Protocol):
    """The part of the review that is owed work."""

    def run(self, job: Job) -> None:
        """Draft or publish."""
        ...


def job_handlers(
    intake: Intake,
    containment: Containment,
    executor: Executor,
    review: Reviewing,
    watch: Watch,
    stamping: Stamping | None = None,
) -> JobHandler:
    """Return what does a job, whatever its kind; a kind that is missing here would never be done."""

    def handle(job: Job) -> None:
        match job.kind:
            case JobKind.SORT if len(raw_ids := sorted_by(job)) == 1:
                intake.sort(raw_ids[0])
            case JobKind.SORT:
                intake.sort_together(sorted_by(job))
            case JobKind.EXECUTE:
                executor.execute(job.payload["plan_id"])
            case JobKind.EXPIRE:
                containment.expire(job.payload["plan_id"])
            case JobKind.CONFIRM:
                containment.remind_confirmation(job.payload["plan_id"])
            case JobKind.DRAFT | JobKind.PUBLISH:
                review.run(job)
            case JobKind.WATCH:
                watch.look(job.payload["plan_id"], job.payload.get("look", ""))
            case JobKind.STAMP:
                if stamping is not None:  # one that was owed before stamps were turned off is not
                    stamping.run(job)

    return handle


def dead_letter_handler(intake: Intake, executor: Executor, store: Store) -> DeadLetterHandler:
    """Return what tells people that a job was given up: nothing that is owed ends in silence."""

    def tell(job: Job, fault: Exception) -> None:
        # Of an unexpected fault only its kind is shown: its text may hold anything.
        reason = (
            fault.message
            if isinstance(fault, TwokeyError)
            else message("engine.fault", kind=type(fault).__name__)
        )
        match job.kind:
            case JobKind.SORT if len(raw_ids := sorted_by(job)) == 1:
                intake.keep_unreadable(raw_ids[0], reason)
            case JobKind.SORT:  # which of them it is shows when each is alone
                intake.sort_alone(sorted_by(job), str(reason))
            case JobKind.EXECUTE:
                executor.park(job.payload["plan_id"], str(reason))
            case _:
                _tell_thread(store, job, reason)

    return tell


def _tell_thread(store: Store, job: Job, reason: Message) -> None:
    """Tell the thread of the incident that a job belongs to: by its plan, itself, or its post-mortem's id."""
    of_review = job.payload.get("incident_id") or job.payload.get("postmortem_id", "").partition("/")[0]
    with store.change() as tx:
        plan = tx.get(Plan, job.payload.get("plan_id", ""))
        incident = tx.get(Incident, plan.incident_id if plan else of_review)
        entry = tx.append(
            system("engine"),
            "job.parked",
            incident_id=incident.id if incident else "",
            plan_id=plan.id if plan else "",
            data={"job": job.id, "kind": job.kind.value, "reason": str(reason)[:500]},
        )
        if incident:
            parked = message("flow.job_parked", kind=job.kind.value)
            outbox.tell_thread(tx, entry, parked, reason, plan_id=plan.id if plan else "")
