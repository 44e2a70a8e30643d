"""Passkeys: links by which a person signs a plan's digest, and public keys that wait to be confirmed.

All bytes stand in hexadecimal digits, also in the roster and in the trail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from twokey.core.approvals import Approval, needs_signature
from twokey.core.errors import Refused, message
from twokey.core.people import ChatAccount, Passkey, Person, Roster
from twokey.core.runbooks import Plan

LINK_LIVES_S = 5 * 60.0
SIGNED_FIELDS = ("credential", "nonce", "client_data", "authenticator_data", "signature")

Signs = Callable[[Passkey, bytes, Mapping[str, str]], bool]
"""Says whether this passkey made this signature over this challenge, its person being verified by the device."""


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """One link for one person to sign one plan's digest, once. Its id is the hash of the link: no row opens a page."""

    id: str
    plan_id: str
    person_id: str
    digest: str
    expires_at: datetime
    nonce: str = ""
    chat: ChatAccount | None = None  # the account that asked for it
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One public key that somebody made, which a second person has to confirm."""

    id: str
    person_id: str
    state: str  # asked | made | confirmed
    at: datetime
    nonce: str = ""
    chat: ChatAccount | None = None  # the account that asked for it
    credential: str = ""
    public_key: str = ""
    confirmed_by: str = ""


def link_id(token: str) -> str:
    """Name the row of a link: who reads the record cannot follow it."""
    return hashlib.sha256(f"twokey link {token}".encode()).hexdigest()


def signing_challenge(plan_id: str, digest: str, person_id: str, nonce: str) -> bytes:
    """Return what a passkey signs for a key: this plan, this digest, this person, once."""
    return hashlib.sha256("\n".join(("twokey key", plan_id, digest, person_id, nonce)).encode()).digest()


def enrolment_challenge(person_id: str, nonce: str) -> bytes:
    """Return what a new passkey answers to."""
    return hashlib.sha256("\n".join(("twokey passkey", person_id, nonce)).encode()).digest()


def fingerprint(public_key: str) -> str:
    """Return what two people compare of a public key, in groups that can be read aloud."""
    digits = hashlib.sha256(public_key.encode()).hexdigest()[:20]
    return "-".join(digits[at : at + 4] for at in range(0, 20, 4))


def is_signed(plan: Plan, approval: Approval, person: Person, signs: Signs) -> bool:
    """Say whether a key is signed by a passkey of its person, over exactly this plan."""
    given = approval.assertion
    passkey = next((one for one in person.passkeys if one.id == given.get("credential")), None)
    if passkey is None:
        return False
    challenge = signing_challenge(plan.id, plan.digest, person.id, given.get("nonce", ""))
    return signs(passkey, challenge, given)


def require_signed(plan: Plan, approvals: Iterable[Approval], roster: Roster, signs: Signs) -> None:
    """Refuse a plan one of whose keys is not signed, where they must be, or has a signature that is wrong."""
    for approval in approvals:
        if approval.role == "confirmation" or not (needs_signature(plan) or approval.assertion):
            continue
        person = roster.person(approval.person_id)
        if person is None or not is_signed(plan, approval, person, signs):
            why = message("standing.no_signature", person=person.name if person else approval.person_id)
            raise Refused("refused.keys_void", plan=plan.short, why=why)
