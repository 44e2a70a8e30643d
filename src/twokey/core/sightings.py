"""Sightings: every signal that was taken in, and what its source has said of one subject so far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from twokey.core.responsibility import Confidence, Label, Verdict
from twokey.core.signals import Signal, SignalStatus

_NEVER, _FOREVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SubjectState:
    """What came of one subject by now: enough to place its next signal without reading all before it.

    An alarm that flaps, or a provider that writes every few minutes, has thousands of signals.
    """

    incident_id: str  # of the latest that went to one
    is_loose: bool  # some went to none, and would go with the next
    verdict: Verdict  # the latest that says something; while none does, what was said last
    is_known: bool  # that verdict says something
    known_at: datetime | None  # when it was said, by the source's clock
    said_at: datetime | None  # the newest moment by the source's clock
    said_over: bool  # at that moment it called its part over
    has_root_cause: bool = False


@dataclass(frozen=True, slots=True)
class Sighting:
    """One signal that was taken in, with its verdict and the incident it went to ("" when it opened none)."""

    id: str  # the signal's id: a repeat is seen by it
    subject: str
    incident_id: str
    at: datetime
    signal: Signal
    verdict: Verdict
    so_far: SubjectState | None = None  # with this one; the first of a subject says all of it by itself


def knows(verdict: Verdict) -> bool:
    """Say whether a verdict names a side, or is sure that none can be named."""
    return verdict.label is not Label.UNKNOWN or verdict.confidence is not Confidence.LOW


def is_stale(signal: Signal, so_far: SubjectState | None) -> bool:
    """Say whether its source has said something newer already: it was overtaken on its way."""
    newest = so_far.said_at if so_far else None
    return newest is not None and signal.updated_at is not None and signal.updated_at < newest


def settled(signal: Signal, verdict: Verdict, so_far: SubjectState | None) -> Verdict:
    """Return what the source's latest word is that says something: not knowing takes no answer back."""
    if so_far and so_far.is_known:
        is_newer = (signal.updated_at or _FOREVER) >= (so_far.known_at or _NEVER)
        return verdict if knows(verdict) and is_newer else so_far.verdict
    if so_far and not knows(verdict) and is_stale(signal, so_far):
        return so_far.verdict
    return verdict


def fold_signal(
    so_far: SubjectState | None, signal: Signal, verdict: Verdict, incident_id: str
) -> SubjectState:
    """Return what is known of a subject with one more signal."""
    at, is_over = signal.updated_at, signal.status is SignalStatus.RESOLVED
    if so_far is None:
        alone = SubjectState(incident_id, not incident_id, verdict, knows(verdict), at, at, is_over)
        return replace(alone, has_root_cause=signal.is_root_cause)
    is_newest = at is not None and at >= (so_far.said_at or _NEVER)
    if so_far.is_known:
        counts = knows(verdict) and (at or _NEVER) >= (so_far.known_at or _NEVER)
    else:
        counts = knows(verdict) or is_newest
    grown = replace(
        so_far,
        incident_id=incident_id or so_far.incident_id,
        is_loose=so_far.is_loose or not incident_id,
        has_root_cause=so_far.has_root_cause or signal.is_root_cause,
    )
    if is_newest:
        grown = replace(grown, said_at=at, said_over=is_over)
    return replace(grown, verdict=verdict, is_known=knows(verdict), known_at=at) if counts else grown
