"""Clocks for tests: one that is set by hand, and the real one."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class SettableClock:
    """A clock that stands still until it is moved. Safe to move while other threads look at it."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start.astimezone(UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the moment it was set to."""
        with self._lock:
            return self._now

    def set(self, moment: datetime) -> None:
        """Jump to a moment, also backwards: real clocks do that too."""
        if moment.tzinfo is None:
            raise ValueError("a moment without a time zone is not a moment")
        with self._lock:
            self._now = moment.astimezone(UTC)

    def advance(self, seconds: float) -> datetime:
        """Move on, and return the new present."""
        with self._lock:
            self._now += timedelta(seconds=seconds)
            return self._now


class SystemClock:
    """The machine's own time, for tests in which several processes take part."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)
