"""What arrives: the notification as it came, and the signal that was read from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from twokey.core.errors import Json, Message
from twokey.core.younger import younger


class RawState(StrEnum):
    """What became of a notification."""

    NEW = "new"
    SORTED = "sorted"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class RawNotification:
    """A notification exactly as it arrived; nothing that arrives is ever dropped.

    `id` is made from the source and the body, so that a redelivery is the same row.
    `source` is `<provider>.<door>[:<name>]`, e.g. `aws.sqs:findings`, `azure.webhook`, `aws.file`.
    """

    id: str
    source: str
    body: bytes
    received_at: datetime
    account: str = ""  # what the door knows: the account, subscription or tenant it belongs to
    tenant: str = ""
    state: RawState = RawState.NEW
    reason: str = ""  # why it is unreadable

    @property
    def provider(self) -> str:
        """Return the cloud this came from: the first part of the source."""
        return self.source.partition(".")[0]


NOT_TAKEN = "twokey did not take a body"
"""How a note begins that stands for a notification which no door could take in."""


def raw_id(source: str, body: bytes) -> str:
    """Name a notification by where it came from and what it says: the same delivery has the same name."""
    return "raw-" + hashlib.sha256(source.encode() + b"\0" + body).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a source that is asked again and again has been read: kept, so that a restart misses nothing.

    `position` is the source's own text (a moment, a token); nobody else reads it.
    """

    source: str  # the source's name, as in RawNotification.source
    position: str
    at: datetime  # when it came to stand there
    account: str = ""
    tenant: str = ""

    @property
    def id(self) -> str:
        """Return the source's name: a source has one cursor."""
        return self.source


class SignalKind(StrEnum):
    """A finding is a security observation; an event is the provider speaking about itself or an operation."""

    FINDING = "finding"
    EVENT = "event"


class SignalStatus(StrEnum):
    """Where the source says the matter stands."""

    OPEN = "open"
    UPDATED = "updated"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing in the cloud. `id` and `type` are the provider's own words, as they were given.

    The rest is what its cloud's reader makes of them: rules of ours compare and offer only that.
    """

    id: str
    type: str = ""
    region: str = ""
    kind: str = younger("")  # its type in the one spelling that all senders' share; "" when nobody knows it
    name: str = younger("")  # what it is called, where the id says more than that
    # what a runbook may take of it: a list's items are added up over resources, of anything else the first stands
    containable: Mapping[str, Json] = younger(default_factory=dict, hash=False)

    @property
    def key(self) -> str:
        """Return what two names of the same thing have in common."""
        return (self.name or self.id).lower()


@dataclass(frozen=True, slots=True)
class Principal:
    """Who did it, as far as the source says."""

    name: str = ""  # user or role name
    type: str = ""  # IAMUser, AssumedRole, Root, ...
    access_key_id: str = ""
    arn: str = ""

    @property
    def key(self) -> str:
        """Return what two signals by the same principal have in common; empty when unknown."""
        return self.access_key_id or self.arn or self.name


@dataclass(frozen=True, slots=True)
class Signal:
    """One finding or event in our own words, whatever the cloud and the envelope were.

    `id` is the identity of this message (a redelivery, page copy or backup copy has the same id);
    `subject` is the identity of the matter (an update has the same subject). Both after EVENTS section 4.
    All text may be an attacker's. `severity` is 0.0 to 10.0, None where the source has none.
    """

    id: str
    subject: str
    kind: SignalKind
    provider: str  # the cloud, by its folder's name
    family: str  # which of its sources speaks, in its reader's word: rules and triggers match on it
    type: str  # finding type, eventTypeCode, incidentType, operation
    title: str
    description: str = ""
    service: str = ""
    region: str = ""
    account: str = ""  # account or subscription id
    tenant: str = ""  # organisation or Entra tenant
    severity: float | None = None
    status: SignalStatus = SignalStatus.OPEN
    started_at: datetime | None = None  # first bad event, or the provider's start
    detected_at: datetime | None = None  # the source's own time of noticing
    updated_at: datetime | None = None
    ended_at: datetime | None = None  # the provider's end of its own part, said or planned
    resources: tuple[Resource, ...] = ()
    principal: Principal = field(default_factory=Principal)
    tracking_id: str = ""  # the provider's public id of the matter
    is_test: bool = False  # a sample: keeps its class, opens nothing
    is_muted: bool = False  # archived, suppressed, resolved at the source: keeps its class, opens nothing
    waits_for_cause: bool = False  # its source says why in a second notification: worth a short wait
    facts: Mapping[str, Json] = field(default_factory=dict)  # further normalised fields that rules may match
    raw_id: str = ""
    disputed: Message | None = None  # why its source may not speak for what it names
    # What the cloud's reader answers, in words that are no cloud's: core and flow ask these, never the facts.
    has_answers: bool = younger(
        False
    )  # a noun from before the answers were kept has none: the record completes it
    is_availability: bool = younger(False)  # something does not work, and no security finding says so
    is_root_cause: bool = younger(
        False  # the provider publishes why it happened: weeks later, under the same tracking id
    )
    is_account_specific: bool = younger(False)  # the provider's event is about this account alone
    is_security_finding: bool = younger(False)  # a security service found it, whatever the rules make of it
    speaks_for_provider: bool = younger(False)  # its source is the provider telling of itself
    services: tuple[str, ...] = younger(())  # all that are affected, where the source names several
    service_keys: tuple[str, ...] = younger(
        ()
    )  # the same (or `service`), in the one spelling that all senders' share
    regions: tuple[str, ...] = younger(())  # all that are affected, where the source names several
    flap_group: str = younger("")  # the thing whose health comes and goes: all its turns are one matter


def untrusted(signal: Signal, why: Message) -> Signal:
    """Mark a signal whose source may not speak for what it names.

    Its names are no longer an honest signal's: it joins no honest matter, ends none, and is no repeat that keeps
    the honest one out.
    """
    return replace(signal, id=f"disputed/{signal.id}", subject=f"disputed/{signal.subject}", disputed=why)
