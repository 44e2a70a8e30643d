"""Retries of messages that were not sent: when the next try is due, and which of them may stand twice."""

from __future__ import annotations

from collections.abc import Callable

from twokey.core.notices import Notice

BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class RetrySchedule:
    """Counts the tries of this process, in any clock that never goes back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._not_before: dict[str, float] = {}
        self._tries: dict[str, int] = {}
        self._unconfirmed: set[str] = set()

    def wait(self, notice_id: str) -> float:
        """Return the seconds until the next try; 0 or less is now."""
        now = self._now()
        return self._not_before.get(notice_id, now) - now

    def back_off(self, notice_id: str, *, is_unconfirmed: bool = False) -> None:
        """Put the next try off, longer each time; `is_unconfirmed`: the answer to this one was lost."""
        tries = self._tries.get(notice_id, 0)
        self._tries[notice_id] = tries + 1
        self._not_before[notice_id] = self._now() + BACKOFF_S[min(tries, len(BACKOFF_S) - 1)]
        if is_unconfirmed:
            self._unconfirmed.add(notice_id)

    def forget(self, notice_id: str) -> None:
        """Forget a notice that was sent."""
        self._not_before.pop(notice_id, None)
        self._tries.pop(notice_id, None)
        self._unconfirmed.discard(notice_id)

    def mark(self, claimed: Notice) -> str:
        """Return the code of the words that say why this message may stand twice; "" when it cannot."""
        if claimed.sent_as or claimed.attempts < 2:
            return ""  # an update may be repeated, and the first try is this one
        return "chat.sent_again_lost" if claimed.id in self._unconfirmed else "chat.sent_again_restart"
