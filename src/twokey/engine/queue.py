"""What the embedded engine asks of whoever keeps the owed jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from twokey.core.jobs import Job


class Taken(Protocol):
    """One job in one worker's hand. `turn` tells this hand from an earlier one whose lease ran out."""

    @property
    def job(self) -> Job: ...

    @property
    def attempts(self) -> int: ...  # how often it failed, or its worker died, before

    @property
    def turn(self) -> int: ...


T = TypeVar("T", bound=Taken)


class Queue(Protocol[T]):
    """Owed jobs, one at a time per lock, in the order they were owed; sorting comes after all else.

    A job that waits for its first time (`not_before`) does not hold up later ones of its lock; one that
    was begun and waits for another try does. Every settling answers False when the hand was not the last
    one any more: another worker has the job, and nothing was changed.
    """

    def take(self, worker: str, now: datetime, lease_until: datetime, *, sorts: bool = True) -> T | None:
        """Take the next job that is due; without `sorts` none that sorts.

        What another worker holds with a lease that ran out is due too; that counts as a failed attempt.
        A worker never takes from itself.
        """
        ...

    def renew(self, taken: T, until: datetime) -> bool:
        """Go on holding a job."""
        ...

    def done(self, taken: T) -> bool:
        """Owe it no longer."""
        ...

    def later(self, taken: T, due: datetime) -> bool:
        """Owe it again from then on, without counting this as a failure."""
        ...

    def fail(self, taken: T, due: datetime, error: str) -> bool:
        """Owe it again from then on, one attempt more."""
        ...

    def park(self, taken: T, error: str) -> bool:
        """Give it up: it stays visible, and no longer holds its lock."""
        ...

    def watch(self, called: Callable[[int], None]) -> None:
        """Have a function called whenever jobs were owed by this process, with how many."""
        ...


@dataclass(frozen=True, slots=True)
class Retries:
    """When a job that failed is tried again, and when it is given up."""

    attempts: int = 8
    first_s: float = 1.0
    longest_s: float = 300.0

    def wait_s(self, failed: int) -> float:
        """Return how long to wait after that many failures: 1, 2, 4 ... seconds."""
        return float(min(self.longest_s, self.first_s * 2 ** (max(1, failed) - 1)))

    def is_last(self, failed: int) -> bool:
        """Say whether that many failures are enough."""
        return failed >= self.attempts
