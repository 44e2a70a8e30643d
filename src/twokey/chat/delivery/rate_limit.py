"""How fast Slack lets us speak: a token bucket a channel, and pauses that Slack asked for."""

from __future__ import annotations

from collections.abc import Callable


class Pace:
    """Tells how long to wait before the next call; time is any clock that never goes back."""

    def __init__(self, per_second: float, burst: float, now: Callable[[], float]) -> None:
        self._rate = per_second
        self._burst = burst
        self._now = now
        self._buckets: dict[str, tuple[float, float]] = {}
        self._closed: dict[str, float] = {}

    def wait(self, channel: str) -> float:
        """Return the seconds until this channel takes another call; 0 is now."""
        now = self._now()
        tokens, since = self._buckets.get(channel, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        for_token = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
        return max(for_token, self._closed.get(channel, now) - now)

    def take(self, channel: str) -> None:
        """Note a call."""
        now = self._now()
        tokens, since = self._buckets.get(channel, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        self._buckets[channel] = (tokens - 1, now)

    def close(self, channel: str, seconds: float) -> None:
        """Keep away from a channel, as Slack asked with Retry-After."""
        self._closed[channel] = max(self._closed.get(channel, 0.0), self._now() + seconds)
