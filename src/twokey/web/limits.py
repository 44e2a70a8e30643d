"""How much a caller may send, and how long anything may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much and how long. Azure waits 10 s for an answer: body and storing together stay below."""

    max_body: int = 1 << 20
    body_s: float = 5.0
    store_s: float = 4.0
    max_batch: int = 100
    max_waiting: int = 1000
    max_waiting_bytes: int = 24 << 20
    max_reading_bytes: int = 16 << 20
    readiness_s: float = 2.0
    readiness_kept_s: float = 1.0


DEFAULT = Limits()
