"""Reading Azure's lists: when one may be asked for again, and how a long one is handed on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

from twokey.core.errors import TwokeyError
from twokey.core.signals import RawNotification
from twokey.ports import Clock

LONGEST_WAIT_S = 20.0
BATCH = 500  # that are stored in one transaction


@dataclass
class PollInterval:
    """Says when to ask again; a failure stays the answer until then, so that readiness keeps showing it."""

    clock: Clock
    every: timedelta
    wait: Callable[[float], object] = field(default_factory=lambda: Event().wait, repr=False)
    _next: datetime | None = None
    _fault: TwokeyError | None = None

    def is_due(self) -> bool:
        """Say whether to ask now; when it is too early, wait a while first, and tell the last failure again."""
        now = self.clock.now()
        if self._next is None or now >= self._next:
            return True
        self.wait(min((self._next - now).total_seconds(), LONGEST_WAIT_S))
        if self._fault is not None:
            raise self._fault
        return False

    @contextmanager
    def asking(self) -> Iterator[datetime]:
        """Ask within this block; what fails is asked for next time, or when Azure lets us."""
        now = self.clock.now()
        self._next = now + self.every
        try:
            yield now
        except TwokeyError as fault:
            wanted = (
                fault.message.params.get("seconds", "") if fault.message.code == "azure.throttled" else ""
            )
            after = timedelta(seconds=int(wanted)) if wanted.isdigit() else timedelta(0)
            self._fault, self._next = fault, now + max(self.every, after)
            raise
        self._fault = None


@dataclass
class Batches:
    """Hands a long list on bit by bit; it is through when the last bit was stored, and not before."""

    _left: list[RawNotification] = field(default_factory=list, repr=False)
    _is_out: bool = False

    def put(self, found: list[RawNotification]) -> None:
        """Take a list that was read; what was left of an older one is in it again."""
        self._left, self._is_out = found, False

    def next(self) -> list[RawNotification]:
        """Return the next bit. Where the last one was not stored the list is dropped: it is read again whole."""
        if self._is_out:
            self.put([])
        bit, self._left = self._left[:BATCH], self._left[BATCH:]
        self._is_out = bool(bit)
        return bit

    def is_through(self) -> bool:
        """Take note that the last bit is stored, and say whether it was the last of all."""
        self._is_out = False
        return not self._left
