"""Rate limits: a token bucket per channel, and the pauses that the chat asked for."""

from __future__ import annotations

from collections.abc import Callable


class RateLimiter:
    """Tells how long to wait before the next call; time is any clock that never goes back."""

    def __init__(self, per_second: float, burst: float, now: Callable[[], float]) -> None:
        self._rate = per_second
        self._burst = burst
        self._now = now
        self._buckets: dict[str, tuple[float, float]] = {}  # channel -> tokens, and when they were counted
        self._paused_until: dict[str, float] = {}

    def wait(self, channel: str) -> float:
        """Return the seconds until this channel takes another call; 0 is now."""
        now = self._now()
        tokens = self._tokens(channel, now)
        for_token = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
        return max(for_token, self._paused_until.get(channel, now) - now)

    def take(self, channel: str) -> None:
        """Count a call."""
        now = self._now()
        self._buckets[channel] = (self._tokens(channel, now) - 1, now)

    def pause(self, channel: str, seconds: float) -> None:
        """Make no call in a channel for so long, as the chat asked for."""
        self._paused_until[channel] = max(self._paused_until.get(channel, 0.0), self._now() + seconds)

    def _tokens(self, channel: str, now: float) -> float:
        tokens, since = self._buckets.get(channel, (self._burst, now))
        return min(self._burst, tokens + (now - since) * self._rate)
