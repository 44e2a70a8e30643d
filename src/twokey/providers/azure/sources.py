"""The backstop: what Azure would have sent is also polled, as a webhook that failed is not called for 15 minutes.

https://learn.microsoft.com/en-us/azure/azure-monitor/alerts/action-groups
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from threading import Event
from typing import Any

from twokey.core.errors import Unavailable
from twokey.core.signals import RawNotification, raw_id
from twokey.ports import Clock, Cursors
from twokey.providers.azure.faults import translating_errors
from twokey.providers.azure.impact import Impacts
from twokey.providers.azure.poll_interval import Batches, PollInterval
from twokey.providers.azure.session import AzureSession

PERMISSIONS = (
    "Microsoft.Insights/eventtypes/values/read",
    "Microsoft.ResourceHealth/AvailabilityStatuses/current/read",
    "Microsoft.ResourceHealth/AvailabilityStatuses/read",
    "Microsoft.ResourceHealth/events/impactedResources/read",
    "Microsoft.ResourceHealth/events/listSecurityAdvisoryImpactedResources/action",
    "Microsoft.ResourceHealth/events/read",
)
MAX_EVENTS = 1000
MAX_ENTRIES = 20_000  # of the activity log that are looked through at once
KEPT = timedelta(days=89)  # Azure keeps the activity log for 90 days


@dataclass
class ServiceHealthEvents:
    """Asks for the events of a subscription, or of the whole tenant; an unchanged event is the same notification.

    Azure filters by the day of the last update, so the cursor is a day too, and one day is read again.
    """

    session: AzureSession
    subscription: str
    tenant: str
    clock: Clock
    cursors: Cursors
    every: timedelta = timedelta(minutes=5)
    look_back: timedelta = timedelta(days=3)
    of_tenant: bool = False
    wait: Callable[[float], object] = field(default_factory=lambda: Event().wait, repr=False)
    name: str = field(init=False)
    _interval: PollInterval = field(init=False, repr=False)
    _batches: Batches = field(init=False, default_factory=Batches, repr=False)
    _impacts: Impacts = field(init=False, repr=False)
    _read_to: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self.name = f"azure.poll:{'tenant' if self.of_tenant else self.subscription}"
        self._interval = PollInterval(self.clock, self.every, self.wait)
        self._impacts = Impacts(self.session, self.subscription, self.clock, self.of_tenant)

    def receive(self) -> list[RawNotification]:
        """Return the events; when it is not time yet, wait a while and return nothing. Errors are ours."""
        if rest := self._batches.next():
            return rest
        if not self._interval.is_due():
            return []
        with self._interval.asking() as now:
            account = "" if self.of_tenant else self.subscription
            found = [_notification(self.name, one, now, account, self.tenant) for one in self._events(now)]
        self._batches.put(found)
        self._read_to = now.date().isoformat()
        if not found:
            self.done(())
        return self._batches.next()

    def done(self, notifications: Iterable[RawNotification]) -> None:
        """Acknowledge nothing at Azure, which keeps its events; what is stored need not be asked for again."""
        if self._batches.is_through() and self._read_to:
            self.cursors.move(self.name, self._read_to)

    def _events(self, now: datetime) -> list[dict[str, Any]]:
        since = min(_moment(self.cursors.position(self.name), now) - timedelta(days=1), now - self.look_back)
        wanted = {"query_start_time": max(since, now - KEPT).strftime("%m/%d/%Y")}
        client = self.session.health(self.subscription).events
        with translating_errors(self.name):
            listed = (
                client.list_by_tenant_id(**wanted)
                if self.of_tenant
                else client.list_by_subscription_id(**wanted)
            )
            events = [event.as_dict() for event in islice(listed, MAX_EVENTS)]
        return [event | self._impacts.of(event) for event in events]


@dataclass
class ActivityLog:
    """Asks for a subscription's activity log and takes the entries of the wanted categories.

    Entries appear minutes after they happened, so an hour before the cursor is read again. The filter of the
    API knows no category: everything in between is paged through.
    """

    session: AzureSession
    subscription: str
    tenant: str
    clock: Clock
    cursors: Cursors
    categories: tuple[str, ...] = ("ServiceHealth", "ResourceHealth", "Security")
    every: timedelta = timedelta(minutes=5)
    look_back: timedelta = timedelta(hours=6)
    overlap: timedelta = timedelta(hours=1)
    wait: Callable[[float], object] = field(default_factory=lambda: Event().wait, repr=False)
    name: str = field(init=False)
    _interval: PollInterval = field(init=False, repr=False)
    _batches: Batches = field(init=False, default_factory=Batches, repr=False)
    _read_to: datetime | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.name = f"azure.activitylog:{self.subscription}"
        self._interval = PollInterval(self.clock, self.every, self.wait)

    def receive(self) -> list[RawNotification]:
        """Return the entries; when it is not time yet, wait a while and return nothing. Errors are ours."""
        if rest := self._batches.next():
            return rest
        if not self._interval.is_due():
            return []
        with self._interval.asking() as now:
            entries = self._entries(now)
            found = [_notification(self.name, one, now, self.subscription, self.tenant) for one in entries]
        self._batches.put(found)
        self._read_to = now
        if not found:
            self.done(())
        return self._batches.next()

    def done(self, notifications: Iterable[RawNotification]) -> None:
        """Keep how far the log was read: at most once an hour, as every move stands in the audit trail."""
        if not self._batches.is_through() or self._read_to is None:
            return
        before = self.cursors.position(self.name)
        if not before or self._read_to - _moment(before, self._read_to) >= timedelta(hours=1):
            self.cursors.move(self.name, self._read_to.isoformat())

    def _entries(self, now: datetime) -> list[dict[str, Any]]:
        position = self.cursors.position(self.name)
        since = _moment(position, now) - self.overlap if position else now - self.look_back
        since = max(since, now - KEPT)
        wanted = f"eventTimestamp ge '{_stamp(since)}' and eventTimestamp le '{_stamp(now)}'"
        categories = {category.casefold() for category in self.categories}
        found: list[dict[str, Any]] = []
        with translating_errors(self.name):
            for number, entry in enumerate(
                self.session.monitor(self.subscription).activity_logs.list(wanted)
            ):
                if number >= MAX_ENTRIES:
                    # Never silently less than everything: a narrower set of days or categories is needed.
                    raise Unavailable("azure.log_too_long", subscription=self.subscription, limit=MAX_ENTRIES)
                if entry.category and str(entry.category.value).casefold() in categories:
                    found.append(dict(entry.serialize(keep_readonly=True)))
        return found


def _notification(
    source: str, document: Any, now: datetime, subscription: str, tenant: str
) -> RawNotification:
    # Sorted, so that the same document is the same text however the SDK orders its keys.
    body = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    content = body.encode("utf-8", "surrogatepass")
    return RawNotification(raw_id(source, content), source, content, now, account=subscription, tenant=tenant)


def _moment(position: str, otherwise: datetime) -> datetime:
    """Read a cursor; one that is not a moment (never read) says nothing."""
    try:
        found = datetime.fromisoformat(position)
    except ValueError:
        return otherwise
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
