"""Channels that cannot be written: since when, why, and when whoever is on duty must hear of it elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Trouble:
    since: float
    error: str
    is_told: bool = False


class Away:
    """Keeps count in any clock that never goes back; `after_s` is how long silence is borne."""

    def __init__(self, after_s: float, now: Callable[[], float]) -> None:
        self._after_s, self._now = after_s, now
        self._troubles: dict[str, _Trouble] = {}
        self._back: list[str] = []

    def failed(self, channel: str, error: str) -> None:
        """Note that a message could not be written."""
        trouble = self._troubles.setdefault(channel, _Trouble(self._now(), error))
        trouble.error = error

    def written(self, channel: str) -> None:
        """Note that one could."""
        trouble = self._troubles.pop(channel, None)
        if trouble is not None and trouble.is_told:
            self._back.append(channel)

    def due(self) -> list[tuple[str, str]]:
        """Return each channel, with its error, that has been away for too long; each once."""
        due = [(name, one) for name, one in self._troubles.items() if self._is_long(one) and not one.is_told]
        for _, trouble in due:
            trouble.is_told = True
        return [(name, trouble.error) for name, trouble in due]

    def back(self) -> list[str]:
        """Return the channels that were told of and can be written again; each once."""
        found, self._back = self._back, []
        return found

    def fault(self) -> str:
        """Say, for readiness, which channel has been away for too long; "" when none."""
        long = [f"{name}: {one.error}" for name, one in self._troubles.items() if self._is_long(one)]
        return "cannot write in " + "; ".join(long) if long else ""

    def _is_long(self, trouble: _Trouble) -> bool:
        return self._now() - trouble.since >= self._after_s
