"""Work that is owed: a job is committed with the change that owes it, and may run more than once."""

from __future__ import annotations

from collections.abc import Mapping
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


def draft_job(incident_id: str, after: int = 0) -> Job:
    """Name the job that drafts an incident's post-mortems; `after` is the audit entry that made it owed."""
    return Job(
        id=f"draft:{incident_id}:{after}",
        kind=JobKind.DRAFT,
        payload={"incident_id": incident_id, "after": str(after)},
        lock=f"draft:{incident_id}",
    )
