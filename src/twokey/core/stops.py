"""Stops: where nothing may act for now, because too much did or because somebody said so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Stop:
    """One account or subscription, or the whole installation, in which no run may begin or go on."""

    id: str
    account: str  # "" for the whole installation
    at: datetime
