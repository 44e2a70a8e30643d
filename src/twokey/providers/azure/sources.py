"""The backstop: Azure's events are also asked for, as a webhook that failed is not called for 15 minutes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import Any

from twokey.core.signals import RawNotification, raw_id
from twokey.ports import Clock
from twokey.providers.azure.session import AzureSession, speaking_of

MAX_EVENTS = 1000
LONGEST_WAIT_S = 20.0


@dataclass
class ServiceHealthEvents:
    """Asks a subscription for its service health events; an unchanged event is the same notification."""

    session: AzureSession
    subscription: str
    tenant: str
    clock: Clock
    every: timedelta = timedelta(minutes=5)
    look_back: timedelta = timedelta(days=3)
    wait: Callable[[float], object] = field(default_factory=lambda: Event().wait, repr=False)
    _asked_at: datetime | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Return the source's name as it stands in every notification."""
        return f"azure.poll:{self.subscription}"

    def receive(self) -> list[RawNotification]:
        """Return the events; when it is not time yet, wait a while and return nothing. Errors are ours."""
        now = self.clock.now()
        if self._asked_at and now - self._asked_at < self.every:
            self.wait(min((self._asked_at + self.every - now).total_seconds(), LONGEST_WAIT_S))
            return []
        self._asked_at = now  # also when it fails: an Azure that throttles is not asked again at once
        since = (now - self.look_back).strftime("%m/%d/%Y")
        client = self.session.health(self.subscription)
        found: list[RawNotification] = []
        with speaking_of(self.subscription):
            for event in client.events.list_by_subscription_id(query_start_time=since):
                found.append(self._raw(event.as_dict(), now))
                if len(found) == MAX_EVENTS:
                    break
        return found

    def done(self, notifications: Iterable[RawNotification]) -> None:
        """Acknowledge nothing: Azure keeps its events, and ours are told apart by what they say."""

    def _raw(self, event: Any, now: datetime) -> RawNotification:
        # Sorted, so that the same event is the same text however the SDK orders its keys.
        body = json.dumps(event, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
        return RawNotification(
            id=raw_id(self.name, body),
            source=self.name,
            body=body,
            received_at=now,
            account=self.subscription,
            tenant=self.tenant,
        )
