"""What a job's end means: done, later, failed, or given up. One rule for every engine."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum

from twokey.core.errors import LostLease, RetryAfter, TwokeyError, Unavailable
from twokey.core.jobs import Job
from twokey.engine.queue import Retries
from twokey.ports import DeadLetterHandler, JobHandler

log = logging.getLogger(__name__)

LOST_LEASE_S = 30.0
"""How long a job is left alone whose run another worker has taken over."""


class End(Enum):
    """How one attempt at a job ended."""

    DONE = "done"
    LATER = "later"  # asked to be run again; not a failure
    FAILED = "failed"  # tried again with back-off
    PARKED = "parked"  # given up, and people were told


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one attempt, with how long to wait where there is another."""

    end: End
    wait_s: float = 0.0
    error: str = ""


def attempt(
    job: Job, failed: int, handle: JobHandler, parked: DeadLetterHandler, retries: Retries
) -> Outcome:
    """Run a job that failed that many times before, and say what to do with it now."""
    if retries.is_last(failed):
        # Its workers died with it: it must not take down one after the other.
        return _give_up(job, Unavailable("engine.died", job=job.id, attempts=failed), failed, parked, retries)
    try:
        handle(job)
    except RetryAfter as later:
        return Outcome(End.LATER, max(0.0, later.seconds))
    except LostLease as lost:
        return Outcome(End.LATER, LOST_LEASE_S, str(lost))
    except Unavailable as error:  # by its own words worth another try
        return _after_fault(job, error, failed + 1, parked, retries)
    except TwokeyError as error:
        return _give_up(job, error, failed + 1, parked, retries)
    except Exception as error:
        log.exception("job %s failed", job.id)
        return _after_fault(job, error, failed + 1, parked, retries)
    return Outcome(End.DONE)


def _after_fault(
    job: Job, error: Exception, failed: int, parked: DeadLetterHandler, retries: Retries
) -> Outcome:
    if retries.is_last(failed):
        return _give_up(job, error, failed, parked, retries)
    return Outcome(End.FAILED, retries.wait_s(failed), _error_text(error))


def _give_up(job: Job, error: Exception, failed: int, parked: DeadLetterHandler, retries: Retries) -> Outcome:
    try:
        parked(job, error)
    except Exception:
        # Nobody was told: giving up now would be silent. It is tried again, the telling with it.
        log.exception("job %s is given up, but telling it failed", job.id)
        return Outcome(End.FAILED, retries.wait_s(max(1, failed)), _error_text(error))
    return Outcome(End.PARKED, error=_error_text(error))


def _error_text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
