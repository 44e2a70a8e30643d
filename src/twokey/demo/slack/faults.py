"""What goes wrong at Slack, on demand."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass
class Fault:
    """One scripted failure and how long it lasts."""

    method: str
    kind: str
    status: int = 200
    error: str = ""
    retry_after: int = 1
    delay: float = 0.0
    channel: str | None = None
    left: int | None = 1
    until: float | None = None


class FaultScript:
    """Failures to come: `times` calls (None: no end), or every call for `seconds`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def rate_limited(
        self,
        method: str = "*",
        *,
        retry_after: int = 1,
        times: int | None = 1,
        seconds: float | None = None,
        channel: str | None = None,
    ) -> Fault:
        """Answer 429 with Retry-After."""
        fault = Fault(method, "status", 429, "ratelimited", retry_after, channel=channel)
        return self._add(fault, times, seconds)

    def server_error(
        self,
        method: str = "*",
        *,
        status: int = 500,
        times: int | None = 1,
        seconds: float | None = None,
        channel: str | None = None,
    ) -> Fault:
        """Answer 500 or 503 without doing anything."""
        return self._add(Fault(method, "status", status, "internal_error", channel=channel), times, seconds)

    def refuse(
        self,
        method: str,
        error: str,
        *,
        times: int | None = 1,
        seconds: float | None = None,
        channel: str | None = None,
    ) -> Fault:
        """Answer an error code such as token_revoked or is_archived."""
        return self._add(Fault(method, "refuse", 200, error, channel=channel), times, seconds)

    def hang(
        self,
        method: str = "*",
        *,
        delay: float,
        times: int | None = 1,
        seconds: float | None = None,
        channel: str | None = None,
    ) -> Fault:
        """Wait before doing anything; the caller may have left by then, and it is done all the same."""
        return self._add(Fault(method, "hang", delay=delay, channel=channel), times, seconds)

    def lose_reply(
        self,
        method: str = "*",
        *,
        times: int | None = 1,
        seconds: float | None = None,
        channel: str | None = None,
    ) -> Fault:
        """Do it, then cut the connection before answering."""
        return self._add(Fault(method, "lose_reply", channel=channel), times, seconds)

    def cut(
        self,
        method: str = "*",
        *,
        times: int | None = 1,
        seconds: float | None = None,
        channel: str | None = None,
    ) -> Fault:
        """Cut the connection without doing anything."""
        return self._add(Fault(method, "cut", channel=channel), times, seconds)

    def clear(self) -> None:
        """Let everything work again."""
        with self._lock:
            self._faults.clear()

    def _add(self, fault: Fault, times: int | None, seconds: float | None) -> Fault:
        if seconds is not None:
            fault.until, fault.left = time.monotonic() + seconds, None
        else:
            fault.left = times
        with self._lock:
            self._faults.append(fault)
        return fault

    def take(self, method: str, channel: str | None) -> Fault | None:
        """Return the failure this call meets, and count it down."""
        now = time.monotonic()
        with self._lock:
            self._faults = [f for f in self._faults if f.left != 0 and (f.until is None or now < f.until)]
            for fault in self._faults:
                if not fnmatchcase(method, fault.method) or fault.channel not in (
                    None,
                    channel,
                ):
                    continue
                if fault.left is not None:
                    fault.left -= 1
                return fault
        return None


class RateLimit:
    """Slack's own limit: about one message a second and channel, with a little burst."""

    def __init__(self, per_second: float, burst: int = 1) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def allows(self, channel: str) -> bool:
        """Take one token from the channel's bucket."""
        now = time.monotonic()
        with self._lock:
            tokens, since = self._buckets.get(channel, (self._burst, now))
            tokens = min(self._burst, tokens + (now - since) * self._per_second)
            allowed = tokens >= 1
            self._buckets[channel] = (tokens - 1 if allowed else tokens, now)
        return allowed
