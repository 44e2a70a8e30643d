"""One thing told to the app, every attempt to tell it, and what the app said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .model import Json


@dataclass
class Attempt:
    """One try; `status` stays None until the app answers."""

    retry: int = 0
    reason: str = ""
    sent_at: float = field(default_factory=time.monotonic)
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""
    body: Json | None = None
    ms: float | None = None
    error: str = ""
    done: threading.Event = field(default_factory=threading.Event)

    def answer(
        self,
        status: int,
        body: Json | None,
        text: str = "",
        headers: Json | None = None,
    ) -> None:
        """Note the answer and when it came."""
        self.status, self.body, self.text = status, body, text
        self.headers = {name.lower(): str(value) for name, value in (headers or {}).items()}
        self.ms = (time.monotonic() - self.sent_at) * 1000
        self.done.set()

    @property
    def accepted(self) -> bool:
        """Say whether the app acknowledged."""
        return self.status is not None and 200 <= self.status < 300


class Transport(Protocol):
    """A way to reach the app."""

    def send(self, delivery: Delivery, attempt: Attempt) -> None:
        """Send once, and wait for the answer as long as Slack does."""


class Held:
    """Sends nothing: what a person did is kept, for somebody else to send it."""

    def send(self, delivery: Delivery, attempt: Attempt) -> None:
        """Keep it."""


class Delivery:
    """What a person's act became: `.ack`, `.ack_ms`, `.response`, `.redeliver(n)`."""

    def __init__(self, kind: str, payload: Json, envelope_id: str, transport: Transport) -> None:
        self.kind = kind
        self.payload = payload
        self.envelope_id = envelope_id
        self.attempts: list[Attempt] = []
        self.after_ack: Callable[[Json], None] | None = None
        self._transport = transport

    def __repr__(self) -> str:
        return f"<Delivery {self.kind} {self.envelope_id} acked={self.acked}>"

    @property
    def response(self) -> Attempt:
        """Return the latest attempt with its status, headers, text and body."""
        return self.attempts[-1]

    @property
    def acked(self) -> bool:
        """Say whether the latest attempt was acknowledged."""
        return self.response.accepted

    @property
    def ack(self) -> Json | None:
        """Return what the acknowledgement carried: {} when nothing, None when there was none."""
        return (self.response.body or {}) if self.acked else None

    @property
    def ack_ms(self) -> float | None:
        """Return how long the acknowledgement took."""
        return self.response.ms if self.acked else None

    @property
    def errors(self) -> dict[str, str]:
        """Return the field errors a submission was answered with."""
        ack = self.ack or {}
        return dict(ack.get("errors") or {}) if ack.get("response_action") == "errors" else {}

    def send(self) -> Delivery:
        """Tell the app for the first time; its acknowledgement takes effect."""
        self._try(0, "")
        if self.acked and self.after_ack is not None:
            self.after_ack(self.ack or {})
        return self

    def redeliver(self, n: int = 1, *, reason: str = "timeout") -> Delivery:
        """Tell the app the same again, n times, as Slack does when it saw no acknowledgement."""
        for _ in range(n):
            self._try(len(self.attempts), reason)
        return self

    def _try(self, retry: int, reason: str) -> None:
        attempt = Attempt(retry, reason)
        self.attempts.append(attempt)
        self._transport.send(self, attempt)
