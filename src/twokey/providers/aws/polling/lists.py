"""One list of AWS's that is asked again and again: from where it was read to, and a little before."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import Any

from twokey.core.errors import TwokeyError
from twokey.core.signals import RawNotification, raw_id
from twokey.ports import Clock, Cursors
from twokey.providers.aws.faults import error_code

log = logging.getLogger("twokey")
LONGEST_WAIT_S = 20.0
ASK_AGAIN = timedelta(hours=24)  # a support plan may be bought, a service turned on
# No support plan that has the Health API; Security Hub is not on in this account and Region.
_NOT_HERE = frozenset({"SubscriptionRequiredException", "InvalidAccessException"})


@dataclass(frozen=True, slots=True)
class Page:
    """What one request brought, oldest first: `newest` is the moment up to which the list has been read."""

    bodies: tuple[bytes, ...]
    newest: datetime
    account: str = ""


Pages = Callable[[datetime, datetime], Iterator[Page]]
"""Asks a list for everything that changed since a moment, up to another; page by page."""


@dataclass
class PolledList:
    """See ports.Source. What is read twice is the same row; what is not stored yet is asked for again.

    The cursor moves when a page is stored, so a restart goes on there; `overlap` before it is read anew, since a
    list may learn late of what happened earlier.
    """

    name: str
    pages: Pages
    clock: Clock
    cursors: Cursors
    every: timedelta = timedelta(minutes=5)
    overlap: timedelta = timedelta(hours=1)
    look_back: timedelta = timedelta(hours=24)
    wait: Callable[[float], object] = field(default_factory=lambda: Event().wait, repr=False)
    _next_at: datetime | None = field(default=None, repr=False)
    _round: Iterator[Page] | None = field(default=None, repr=False)
    _page: Page | None = field(default=None, repr=False)
    _is_told: bool = field(default=False, repr=False)

    def receive(self) -> list[RawNotification]:
        """Return the next page; when it is not time to ask, wait a while and return nothing."""
        now = self.clock.now()
        if self._round is None:
            if self._next_at and now < self._next_at:
                self.wait(min((self._next_at - now).total_seconds(), LONGEST_WAIT_S))
                return []
            stood = _moment(self.cursors.position(self.name))
            self._next_at = now + self.every  # also when it fails: who throttles is not asked again at once
            self._round = self.pages(stood - self.overlap if stood else now - self.look_back, now)
        try:
            self._page = next(self._round, None)
        except TwokeyError as fault:
            self._round = None
            if error_code(fault) not in _NOT_HERE:
                raise
            self._rest(now, fault)
            return []
        if self._page is None:
            self._round = None
            return []
        return [
            RawNotification(raw_id(self.name, body), self.name, body, now, account=self._page.account)
            for body in self._page.bodies
        ]

    def done(self, notifications: Iterable[RawNotification]) -> None:
        """Remember how far the list was read: what came is stored."""
        if self._page is not None:
            stood = _moment(self.cursors.position(self.name))
            if stood is None or self._page.newest > stood:
                self.cursors.move(self.name, self._page.newest.isoformat())

    def _rest(self, now: datetime, fault: TwokeyError) -> None:
        """Say once that this list cannot be had here, and go on without it; once a day it is tried again."""
        self._next_at = now + ASK_AGAIN
        if not self._is_told:
            log.warning("%s is not to be had in this account and is left out: %s", self.name, fault)
        self._is_told = True


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def written(document: Any) -> bytes:
    """Return a document of the SDK's as the same bytes whenever it says the same."""
    return json.dumps(
        document, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain
    ).encode("utf-8", "surrogatepass")


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
