"""The engine for many machines: procrastinate on Postgres. Leasing, waking and fencing are its affair."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from threading import Event as Stop
from typing import Any

import procrastinate
from procrastinate import jobs as procrastinate_jobs
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.manager import JobManager
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from twokey.core.errors import TwokeyError
from twokey.engine.deferring import APPOINTMENT, QUEUE, RUN, defer_jobs, deferred, from_text
from twokey.engine.outcomes import End, attempt
from twokey.engine.preparing import conninfo, prepare
from twokey.engine.queue import Retries
from twokey.ports import Clock, DeadLetterHandler, JobHandler

__all__ = ["ProcrastinateEngine", "defer_jobs", "prepare"]

log = logging.getLogger(__name__)

RESCUE = "twokey.rescue"
_EVERY_TEN_SECONDS = "* * * * * */10"
_RESTART_S = 1.0
_ALIVE_S = 10.0

# One statement: a job that was settled or taken over in the meantime does not fit any more when its row
# is locked. The library's own list-then-retry would put back a job that another worker just took.
_RESCUE = """
UPDATE procrastinate_jobs
SET status = 'todo', scheduled_at = NULL, attempts = attempts + 1,
    args = jsonb_set(args, '{failed}', to_jsonb(coalesce((args ->> 'failed')::int, 0) + 1))
WHERE status = 'doing' AND queue_name = %(queue)s AND task_name <> %(rescue)s
  AND (worker_id IS NULL OR worker_id IN (
      SELECT id FROM procrastinate_workers
      WHERE last_heartbeat < now() - make_interval(secs => %(silent_s)s)))
"""
_FAILED = """
UPDATE procrastinate_jobs SET args = jsonb_set(args, '{failed}', %(failed)s::text::jsonb) WHERE id = %(id)s
"""
_FINISH = """
SELECT procrastinate_finish_job_v1(id, %(status)s, %(delete_job)s)
FROM procrastinate_jobs WHERE id = %(job_id)s AND worker_id = %(worker_id)s AND status = 'doing' FOR UPDATE
"""
_RETRY = """
SELECT procrastinate_retry_job_v2(id, %(retry_at)s, %(priority)s, %(queue)s, %(lock)s)
FROM procrastinate_jobs WHERE id = %(job_id)s AND worker_id = %(worker_id)s AND status = 'doing' FOR UPDATE
"""


class ProcrastinateEngine:
    """Runs owed jobs with procrastinate; see ports.Engine. As many processes as one likes, on any machine."""

    def __init__(  # one line for each thing that a test or a setting may choose
        self,
        url: str,
        handle: JobHandler,
        parked: DeadLetterHandler,
        clock: Clock,
        *,
        workers: int = 4,
        retries: Retries | None = None,
        heartbeat_s: float = 10.0,
        silent_s: float = 30.0,
        poll_s: float = 5.0,
        rescue: str = _EVERY_TEN_SECONDS,
    ) -> None:
        self._url, self._handle, self._parked, self._clock = conninfo(url), handle, parked, clock
        self._workers, self._retries = workers, retries or Retries()
        self._heartbeat_s, self._silent_s, self._poll_s = heartbeat_s, silent_s, poll_s
        self._rescue = rescue
        self._seen = 0.0
        self._ran, self._limit, self._enough = 0, -1, asyncio.Event()  # of a drain

    def run(self, stop: Stop) -> None:
        """Work until told to stop; jobs in hand are finished first."""
        asyncio.run(self._run(stop))

    def drain(self, limit: int = 1000) -> int:
        """Run what is due now, until nothing is; return how many jobs ran."""
        return asyncio.run(self._drain(limit))

    def alive(self) -> bool:
        """Say, for readiness, whether the worker is at work."""
        return self._seen > 0 and time.monotonic() - self._seen < _ALIVE_S

    async def _run(self, stop: Stop) -> None:
        try:
            while not stop.is_set():
                try:
                    await self._run_once(stop)
                except Exception:
                    # The database went away, or took us for dead: begin again as a new worker.
                    log.exception("the worker ended, and is started again")
                    await asyncio.sleep(_RESTART_S)
        finally:
            self._seen = 0.0

    async def _run_once(self, stop: Stop) -> None:
        with ThreadPoolExecutor(self._workers + 1, thread_name_prefix="engine") as threads:
            app = self._app(threads)
            async with app.open_async():
                worker = self._worker(app, concurrency=self._workers + 1)
                work = asyncio.create_task(worker, name="engine-work")
                rescue = asyncio.create_task(self._rescue_again_and_again(app), name="engine-rescue")
                while not (work.done() or rescue.done() or stop.is_set()):
                    self._seen = time.monotonic()
                    await asyncio.wait([work], timeout=0.1)
                for task in (rescue, work):  # procrastinate finishes the jobs in hand before it gives in
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task

    async def _drain(self, limit: int) -> int:
        self._ran, self._limit, self._enough = 0, limit, asyncio.Event()
        with ThreadPoolExecutor(1, thread_name_prefix="engine") as threads:
            app = self._app(threads)
            async with app.open_async():
                await self._save_abandoned(app)
                enough = asyncio.create_task(self._enough.wait())
                work = asyncio.create_task(self._worker(app, concurrency=1, wait=False))
                await asyncio.wait([work, enough], return_when=asyncio.FIRST_COMPLETED)
                for task in (work, enough):
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
        return self._ran

    async def _worker(self, app: procrastinate.App, *, concurrency: int, wait: bool = True) -> None:
        await app.run_worker_async(
            queues=[QUEUE],
            concurrency=concurrency,
            wait=wait,
            listen_notify=wait,
            install_signal_handlers=False,
            delete_jobs="successful",  # the record remembers which ids were ever owed
            fetch_job_polling_interval=self._poll_s,
            update_heartbeat_interval=self._heartbeat_s,
            stalled_worker_timeout=self._silent_s,
        )

    def _app(self, threads: ThreadPoolExecutor) -> procrastinate.App:
        # A worker that is stopped in the middle of a transaction keeps its locks: the server ends it for
        # us, or the others would wait for the one they want to replace.
        patience_ms = int(1000 * max(1.0, min(10.0, self._silent_s)))
        options = f"-c idle_in_transaction_session_timeout={patience_ms} -c lock_timeout={patience_ms}"
        connector = procrastinate.PsycopgConnector(
            conninfo=self._url,
            kwargs={"options": options, "application_name": "twokey-engine"},
            min_size=1,
            max_size=self._workers + 4,
            timeout=10.0,
        )
        app = procrastinate.App(connector=connector)
        app.job_manager = _FencedManager(connector)

        @app.task(name=RUN, queue=QUEUE, pass_context=True, retry=_Again(self._clock))
        async def run(context: procrastinate.JobContext, job: str, failed: int = 0) -> None:
            await self._run_job(context, threads, job, failed)

        @app.task(name=APPOINTMENT, queue=QUEUE, retry=_Again(self._clock))
        async def appointment(job: str, **_: Any) -> None:
            with suppress(AlreadyEnqueued):  # it joined the line before a crash cut us off
                await app.job_manager.defer_job_async(deferred(from_text(job), is_due=True))

        # It also keeps the library's watch over its side tasks going: without any periodic task that watch
        # ends at once, and a heartbeat that failed would go unnoticed.
        @app.periodic(cron=self._rescue)
        @app.task(name=RESCUE, queue=QUEUE, queueing_lock=RESCUE)
        async def rescue(timestamp: int) -> None:  # noqa: ARG001 - the library's
            await self._save_abandoned(app)

        return app

    async def _run_job(
        self, context: procrastinate.JobContext, threads: ThreadPoolExecutor, job: str, failed: int
    ) -> None:
        loop = asyncio.get_running_loop()
        outcome = await loop.run_in_executor(
            threads, attempt, from_text(job), failed, self._handle, self._parked, self._retries
        )
        self._ran += 1
        if self._ran == self._limit:
            self._enough.set()
        if outcome.end is End.DONE:
            return
        if outcome.end is End.PARKED:
            raise GivenUpError(outcome.error)
        if outcome.end is End.FAILED:
            await context.app.connector.execute_query_async(
                _FAILED, failed=str(failed + 1), id=context.job.id
            )
        raise RunAgainError(outcome.wait_s)

    async def _rescue_again_and_again(self, app: procrastinate.App) -> None:
        # Beside the periodic task: that one waits for a free hand, and its deferrer for other workers.
        while True:
            try:
                await self._save_abandoned(app)
            except ConnectorException as error:
                log.warning("silent workers could not be looked for: %s", error)
            await asyncio.sleep(self._silent_s / 3)

    async def _save_abandoned(self, app: procrastinate.App) -> None:
        """Owe again what the workers that fell silent had in hand; it counts as a failed attempt."""
        await app.connector.execute_query_async(_RESCUE, queue=QUEUE, rescue=RESCUE, silent_s=self._silent_s)


class RunAgainError(Exception):
    """Tells procrastinate to run the job again after a while."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__(f"again in {wait_s:.1f} s")


class GivenUpError(TwokeyError):
    """Tells procrastinate that the job is parked: it stays in its table as failed."""

    def __init__(self, error: str) -> None:
        super().__init__("engine.parked", error=error)


class _Again(BaseRetryStrategy):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def get_retry_decision(
        self,
        *,
        exception: BaseException,
        job: procrastinate_jobs.Job,
    ) -> RetryDecision | None:
        if isinstance(exception, GivenUpError):
            return None
        wait_s = exception.wait_s if isinstance(exception, RunAgainError) else _RESTART_S
        return RetryDecision(retry_at=self._clock.now() + timedelta(seconds=wait_s))


class _FencedManager(JobManager):
    """Lets only the worker that holds a job settle it: one that was taken for dead may come back."""

    async def finish_job(
        self, job: procrastinate_jobs.Job, status: procrastinate_jobs.Status, delete_job: bool
    ) -> None:
        await self.connector.execute_query_async(
            _FINISH,
            status=status.value,
            delete_job=delete_job,
            job_id=job.id,
            worker_id=job.worker_id,
        )

    async def retry_job(
        self,
        job: procrastinate_jobs.Job,
        retry_at: Any = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        await self.connector.execute_query_async(
            _RETRY,
            retry_at=retry_at,
            priority=priority,
            queue=queue,
            lock=lock,
            job_id=job.id,
            worker_id=job.worker_id,
        )
