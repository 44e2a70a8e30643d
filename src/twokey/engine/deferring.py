"""Owed jobs as procrastinate keeps them, and how they get there inside the transaction that owes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from procrastinate import jobs as procrastinate_jobs
from procrastinate.manager import JobManager
from procrastinate.sync_psycopg_connector import SyncPsycopgConnector

from twokey.core.jobs import Job, JobKind

QUEUE = "twokey"
RUN = "twokey.run"
APPOINTMENT = "twokey.appointment"

# Never opened: it only knows how to speak on the connection that is handed to it.
_MANAGER = JobManager(SyncPsycopgConnector())


def defer_jobs(connection: Any, jobs: Sequence[Job]) -> None:
    """Owe jobs on the caller's own psycopg connection: they exist when its transaction is committed."""
    if jobs:
        _MANAGER.batch_defer_jobs(jobs=[deferred(job) for job in jobs], connection=connection)


def deferred(job: Job, *, is_due: bool = False) -> procrastinate_jobs.Job:
    """Return a job as procrastinate keeps it.

    In procrastinate a job that waits for its time holds up all later ones of its lock. So one with a
    lock and a time of its own begins as an appointment without a lock, and joins the lock's line when
    it is due: a plan's expiry in half an hour must not hold up its execution now.
    """
    waits = job.not_before is not None and bool(job.lock) and not is_due
    return procrastinate_jobs.Job(
        queue=QUEUE,
        task_name=APPOINTMENT if waits else RUN,
        lock=None if waits else lock_key(job.lock),
        queueing_lock=lock_key(f"{APPOINTMENT if waits else RUN}:{job.id}"),
        task_kwargs={"job": to_text(job), "failed": 0},
        # What people wait for goes ahead of a storm that waits to be sorted.
        priority=0 if job.kind is JobKind.SORT else 1,
        scheduled_at=None if is_due else job.not_before,
    )


def lock_key(lock: str) -> str | None:
    """Return a lock that Postgres can index whatever it was made from; None for the empty one."""
    if not lock:
        return None
    if len(lock) <= 200 and lock.isascii() and lock.isprintable():
        return lock
    return "sha256:" + hashlib.sha256(lock.encode("utf-8", "surrogatepass")).hexdigest()


def to_text(job: Job) -> str:
    """Return a job as text. It goes into jsonb as one string: jsonb refuses some text that JSON allows."""
    not_before = job.not_before.isoformat() if job.not_before else None
    return json.dumps([job.id, job.kind.value, dict(job.payload), job.lock, not_before])


def from_text(text: str) -> Job:
    """Return the job that a text holds."""
    id_, kind, payload, lock, not_before = json.loads(text)
    return Job(id_, JobKind(kind), payload, lock, datetime.fromisoformat(not_before) if not_before else None)
