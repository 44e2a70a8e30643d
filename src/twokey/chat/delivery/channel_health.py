"""Channel health: which channels cannot be written, since when and why, and when that has to be reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Failure:
    since: float
    error: str
    is_reported: bool = False


class ChannelHealth:
    """Counts in any clock that never goes back; a channel is unreachable when it failed for `after_s` seconds."""

    def __init__(self, after_s: float, now: Callable[[], float]) -> None:
        self._after_s, self._now = after_s, now
        self._failures: dict[str, _Failure] = {}
        self._recovered: list[str] = []

    def failed(self, channel: str, error: str) -> None:
        """Count a message that could not be written."""
        failure = self._failures.setdefault(channel, _Failure(self._now(), error))
        failure.error = error

    def written(self, channel: str) -> None:
        """Count a message that was."""
        failure = self._failures.pop(channel, None)
        if failure is not None and failure.is_reported:
            self._recovered.append(channel)

    def newly_unreachable(self) -> list[tuple[str, str]]:
        """Return the channels that have become unreachable, with their errors; each once."""
        found = [(name, one) for name, one in self._unreachable() if not one.is_reported]
        for _, failure in found:
            failure.is_reported = True
        return [(name, failure.error) for name, failure in found]

    def newly_recovered(self) -> list[str]:
        """Return the channels that were reported and can be written again; each once."""
        found, self._recovered = self._recovered, []
        return found

    def fault(self) -> str:
        """Return, for readiness, which channels are unreachable; "" when none is."""
        unreachable = [f"{name}: {one.error}" for name, one in self._unreachable()]
        return "cannot write in " + "; ".join(unreachable) if unreachable else ""

    def _unreachable(self) -> list[tuple[str, _Failure]]:
        return [
            (name, one) for name, one in self._failures.items() if self._now() - one.since >= self._after_s
        ]
