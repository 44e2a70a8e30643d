"""Work that is owed: a job is committed with the change that owes it, and may run more than once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class JobKind(StrEnum):
    """What the engine knows how to run; the values are stored, so they are never renamed."""

    SORT = "sort"  # one stored notification -> verdict -> incident
    EXECUTE = "execute"  # one approved plan
    EXPIRE = "expire"  # one plan whose time may be over
    CONFIRM = "confirm"  # one break-glass run that still owes its second person
    DRAFT = "draft"  # one post-mortem
    PUBLISH = "publish"  # one post-mortem that a person told to publish: finished here after a crash
    WATCH = "watch"  # one look at what a plan contains, and the reminder of its review
    STAMP = "stamp"  # one time stamp over the audit trail's head


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of owed work.

    `id` is stable: enqueuing the same id twice owes the work once. Jobs with the same `lock` run one
    at a time and in the order they were enqueued; an empty lock runs freely.
    """

    id: str
    kind: JobKind
    payload: Mapping[str, str] = field(default_factory=dict)
    lock: str = ""
    not_before: datetime | None = None


MOST_TOGETHER = 16
"""Notifications that are sorted in one change: nobody else changes anything meanwhile, some 20 ms."""


def sort_job(raw_id: str) -> Job:
    """Name the job that sorts one notification."""
    return Job(f"sort:{raw_id}", JobKind.SORT, {"raw_id": raw_id})


def sort_jobs(raw_ids: Sequence[str]) -> list[Job]:
    """Name the jobs that sort what arrived together: a storm comes by the dozen, and is sorted by the dozen."""
    parts = [raw_ids[start : start + MOST_TOGETHER] for start in range(0, len(raw_ids), MOST_TOGETHER)]
    return [
        # Not the name of the first one's own job: that one may still be owed alone.
        Job(f"sort-from:{part[0]}", JobKind.SORT, {"raw_ids": " ".join(part)})
        if len(part) > 1
        else sort_job(part[0])
        for part in parts
    ]


def sorted_by(job: Job) -> list[str]:
    """Return the notifications that a job sorts."""
    return job.payload["raw_ids"].split() if "raw_ids" in job.payload else [job.payload["raw_id"]]


def draft_job(incident_id: str, after: int = 0) -> Job:
    """Name the job that drafts an incident's post-mortems; `after` is the audit entry that made it owed."""
    return Job(
        id=f"draft:{incident_id}:{after}",
        kind=JobKind.DRAFT,
        payload={"incident_id": incident_id, "after": str(after)},
        lock=f"draft:{incident_id}",
    )


def watch_job(plan_id: str, look: int, not_before: datetime) -> Job:
    """Name the next look at what a plan contains; `look` is the one that is owed, an older one is stale."""
    payload = {"plan_id": plan_id, "look": str(look)}
    # No lock: a look that waits for a cloud must not hold up a run.
    return Job(f"watch:{plan_id}:{look}", JobKind.WATCH, payload, not_before=not_before)
