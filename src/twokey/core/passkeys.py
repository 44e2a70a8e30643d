"""Passkeys: links by which a person signs a plan's digest, and public keys that wait to be confirmed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """One link for one person to sign one plan's digest, once."""

    id: str
    plan_id: str
    person_id: str
    digest: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One public key that somebody made, which a second person has to confirm."""

    id: str
    person_id: str
    state: str
    at: datetime
