"""A time-stamp authority that signs by remembering."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from twokey.core.errors import Tampered, TwokeyError
from twokey.ports import Clock


@dataclass
class RememberingStamper:
    """See ports.TimeStamper. `fault` is why it gives none."""

    clock: Clock
    fault: TwokeyError | None = None
    asked: list[bytes] = field(default_factory=list)
    given: dict[bytes, tuple[datetime, bytes]] = field(default_factory=dict)

    def stamp(self, data: bytes) -> tuple[datetime, bytes]:
        """Return the present moment and an answer that only this object knows."""
        self.asked.append(data)
        if self.fault:
            raise self.fault
        answer = f"signed {len(self.given)}".encode()
        self.given[answer] = (self.clock.now(), data)
        return self.clock.now(), answer

    def check(self, data: bytes, answer: bytes) -> datetime:
        """Return the moment of an answer that was given for these bytes."""
        if answer not in self.given or self.given[answer][1] != data:
            raise Tampered("audit.stamp_broken", why="-")
        return self.given[answer][0]
