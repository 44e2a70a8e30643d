"""The feed of findings: fetched, and taken off the feed when it is stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.toy_cloud.stratus.api import StratusApi
from twokey.core.signals import RawNotification, raw_id
from twokey.ports import Clock


@dataclass
class Feed:
    """One feed."""

    name: str
    api: StratusApi
    clock: Clock

    def receive(self) -> list[RawNotification]:
        """Return what stands on the feed."""
        now = self.clock.now()
        return [RawNotification(raw_id(self.name, body), self.name, body, now) for body in self.api.feed]

    def done(self, notifications: Iterable[RawNotification]) -> None:
        """Take off what is stored."""
        for raw in notifications:
            self.api.feed.remove(raw.body)
