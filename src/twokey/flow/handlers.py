"""What the engine calls: one function for every kind of owed work, and one for work that it gave up."""

from __future__ import annotations

from collections.abc import Sequence
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
from twokey.ports import Handle, Parked, Store


class Reviewing(Protocol):
    """The part of the review that is owed work."""

    def run(self, job: Job) -> None:
        """Draft or publish."""
        ...


def duties(intake: Intake, containment: Containment, executor: Executor, review: Reviewing) -> Handle:
    """Return what does a job, whatever its kind; a kind that is missing here would never be done."""

    def handle(job: Job) -> None:
        match job.kind:
            case JobKind.SORT:
                _sort(intake, sorted_by(job))
            case JobKind.EXECUTE:
                executor.execute(job.payload["plan_id"])
            case JobKind.EXPIRE:
                containment.expire(job.payload["plan_id"])
            case JobKind.CONFIRM:
                containment.remind_confirmation(job.payload["plan_id"])
            case JobKind.DRAFT | JobKind.PUBLISH:
                review.run(job)

    return handle


def parked(intake: Intake, executor: Executor, store: Store) -> Parked:
    """Return what tells people that a job was given up: nothing that is owed ends in silence."""

    def tell(job: Job, fault: Exception) -> None:
        match job.kind:
            case JobKind.SORT:
                _give_up_sorting(intake, sorted_by(job), _reason(fault))
            case JobKind.EXECUTE:
                executor.park(job.payload["plan_id"], str(_reason(fault)))
            case _:
                _tell_thread(store, job, _reason(fault))

    return tell


def _sort(intake: Intake, raw_ids: Sequence[str]) -> None:
    if len(raw_ids) == 1:
        intake.sort(raw_ids[0])
    else:
        intake.sort_together(raw_ids)


def _give_up_sorting(intake: Intake, raw_ids: Sequence[str], reason: Message) -> None:
    """Show the notification that could not be sorted; of several, find out first which one it is."""
    if len(raw_ids) == 1:
        intake.keep_unreadable(raw_ids[0], reason)
    else:
        intake.sort_alone(raw_ids, str(reason))


def _reason(fault: Exception) -> Message:
    if isinstance(fault, TwokeyError):
        return fault.message
    # Of an unexpected fault only its kind is shown: its text may hold anything.
    return message("engine.fault", kind=type(fault).__name__)


def _tell_thread(store: Store, job: Job, reason: Message) -> None:
    with store.change() as tx:
        plan = tx.get(Plan, job.payload.get("plan_id", ""))
        incident = tx.get(Incident, plan.incident_id if plan else _incident_id(job))
        entry = tx.append(
            system("engine"),
            "job.parked",
            incident_id=incident.id if incident else "",
            plan_id=plan.id if plan else "",
            data={"job": job.id, "kind": job.kind.value, "reason": str(reason)[:500]},
        )
        if incident:
            said = message("flow.job_parked", kind=job.kind.value)
            outbox.tell_thread(tx, entry, said, reason, plan_id=plan.id if plan else "")


def _incident_id(job: Job) -> str:
    """Return the incident that a job belongs to: named by itself, or by its post-mortem's id."""
    return job.payload.get("incident_id") or job.payload.get("postmortem_id", "").partition("/")[0]
