"""Decide where a signal goes: one pure function from what is on record to a decision, without store or clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from twokey.core import correlations
from twokey.core.incidents import (
    Incident,
    Severity,
    State,
    absorb,
    severity_of,
)
from twokey.core.responsibility import HUMAN, Label, Verdict
from twokey.core.sightings import SubjectState, is_stale, knows, settled
from twokey.core.signals import Signal, SignalKind, SignalStatus

TOLD_TURNS = 4  # over, open again, over, open again: from then on it flaps, and only the card counts
_NONE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A signal with its verdict, and what is on record about it: all that a decision is made from."""

    signal: Signal
    verdict: Verdict
    now: datetime
    is_repeat: bool = False  # this very signal was taken in before
    before: SubjectState | None = None  # the state of its subject; None when the subject is new
    own: Incident | None = None  # the incident that its subject's signals go to
    same_group: Incident | None = None  # the newest incident of its storm group
    explains_ours: bool = False  # a provider's late event that explains an incident of ours
    storm_window: timedelta = _NONE  # for how long after its last signal an incident takes in its group's
    patience: timedelta = _NONE  # for how long the signal may still wait for the one that has its cause


class Turn(StrEnum):
    """How people learn that a source changed its mind about whether its part is over."""

    OVER = "over"
    OPEN_AGAIN = "open-again"
    FLAPPING = "flapping"  # told once, in place of all further turns
    COUNTED = "counted"  # only the card shows it


@dataclass(frozen=True, slots=True)
class Repeat:
    """Change nothing: it was taken in before."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Sort it later: the signal that has its cause is on its way."""

    at_most: timedelta


@dataclass(frozen=True, slots=True)
class Join:
    """Count it into an incident: an update of the incident's own matter, or part of its storm."""

    incident: Incident  # as it is with this signal
    goes_on: bool = False  # people called the matter resolved, and this is the first signal since
    label_before: Label | None = None  # the label that another one replaces
    turn: Turn | None = None
    renews_draft: bool = False  # the provider's root cause, published for the first time


@dataclass(frozen=True, slots=True)
class Open:
    """Open an incident for it."""

    signal: Signal
    verdict: Verdict
    severity: Severity
    is_over: bool  # its source calls its part over already


@dataclass(frozen=True, slots=True)
class KeepUnassigned:
    """Keep it without an incident: it goes to the next one that its subject opens."""


Decision = Repeat | Wait | Join | Open | KeepUnassigned


def decide(arrival: Arrival) -> Decision:
    """Say where a signal goes; the first case that holds is the answer."""
    signal, verdict, before = arrival.signal, arrival.verdict, arrival.before
    own, storm = arrival.own, arrival.same_group
    if arrival.is_repeat:
        return Repeat()
    # Its cause, on its way too, may say that it is no alarm.
    if arrival.patience > _NONE and signal.waits_for_cause and not before and is_alarm(signal, verdict):
        return Wait(arrival.patience)
    # An update finds its incident, open or closed, unless what people closed goes on.
    if own and (own.is_open or not _comes_back(signal, before)):
        return _join(arrival, own)
    # A storm takes in what its principal does, until it has been quiet for a while.
    since = arrival.now - arrival.storm_window
    if storm and storm.is_open and storm.last_signal_at >= since and is_alarm(signal, verdict):
        return _join(arrival, storm)
    # What waited for its cause is judged by the latest word on its subject.
    if is_alarm(signal, settled(signal, verdict, before) if signal.waits_for_cause else verdict):
        return open_for(signal, verdict, before)
    # A provider told of its outage when all was over, and an incident of ours was part of it.
    if arrival.explains_ours:
        return open_for(signal, verdict, before)
    return KeepUnassigned()


def is_alarm(signal: Signal, verdict: Verdict) -> bool:
    """Say whether a signal may open an incident: samples, muted findings and news of an end may not."""
    is_over = signal.status is SignalStatus.RESOLVED
    return verdict.opens_incident and not (signal.is_test or signal.is_muted or is_over)


def open_for(signal: Signal, verdict: Verdict, before: SubjectState | None) -> Open:
    """Return the incident to open as its source sees it by now: an update that was overtaken tells old news."""
    is_over = signal.status is SignalStatus.RESOLVED
    was_overtaken_by_end = before is not None and before.said_over and is_stale(signal, before)
    severity = severity_of(signal, verdict.label)
    return Open(signal, settled(signal, verdict, before), severity, is_over or was_overtaken_by_end)


def _comes_back(signal: Signal, before: SubjectState | None) -> bool:
    """Say whether an attack or an alarm goes on after its incident was closed: that is a new incident.

    A provider's late word about an event is none: a final review comes weeks later.
    """
    is_back = signal.is_availability and signal.status is not SignalStatus.RESOLVED
    return (signal.kind is SignalKind.FINDING or is_back) and not is_stale(signal, before)


def _join(arrival: Arrival, incident: Incident) -> Join:
    """Return an incident with a signal counted in: nothing re-opens, no older update undoes a newer one.

    What belongs to a storm is counted; only an update speaks for the incident's own matter.
    """
    signal, verdict, before = arrival.signal, arrival.verdict, arrival.before
    is_update = before is not None or signal.kind is SignalKind.EVENT
    is_news = not is_stale(signal, before)
    after = absorb(incident, signal, verdict, arrival.now)
    resolved = incident.times.resolved if incident.state in (State.RESOLVED, State.POSTMORTEM) else None
    is_first_since_resolved = resolved is not None and incident.last_signal_at <= resolved
    is_first_root_cause = signal.is_root_cause and not (before and before.has_root_cause)
    label_before, turn = None, None
    if is_update and (is_news or not knows(incident.verdict)):
        latest = settled(signal, verdict, before)
        if _replaces(latest, incident.verdict, signal):
            after, label_before = replace(after, verdict=latest), incident.verdict.label
    if is_update and is_news:
        after, turn = _with_source_state(after, signal, arrival.now)
    return Join(
        after,
        goes_on=is_news and is_alarm(signal, verdict) and is_first_since_resolved,
        label_before=label_before,
        turn=turn,
        renews_draft=is_update and is_news and is_first_root_cause,
    )


def _replaces(after: Verdict, before: Verdict, signal: Signal) -> bool:
    """Say whether an update's verdict replaces the incident's; a person's stands until a person changes it.

    News that names no cause takes away none that was known: that a resource is well again, or one more update
    of what a provider's event explained.
    """
    is_well = signal.is_availability and signal.status is SignalStatus.RESOLVED
    if after.label is Label.UNKNOWN and (is_well or before.rule == correlations.RULE):
        return False
    if knows(before) and not knows(after):
        return False
    return before.label is not after.label and before.rule != HUMAN


def _with_source_state(incident: Incident, signal: Signal, now: datetime) -> tuple[Incident, Turn | None]:
    """Take over when the source's part ended and whether it calls it over, and say whether it changed its mind.

    What flaps is told a few times, then once as such, then only counted.
    """
    is_over = signal.status is SignalStatus.RESOLVED
    ended = signal.ended_at or (signal.updated_at or now if is_over else None)
    if is_over is incident.provider_resolved:
        return replace(incident, provider_ended=ended), None
    turns = incident.turns + 1
    if turns <= TOLD_TURNS:
        turn = Turn.OVER if is_over else Turn.OPEN_AGAIN
    else:
        turn = Turn.FLAPPING if turns == TOLD_TURNS + 1 else Turn.COUNTED
    return replace(incident, provider_ended=ended, provider_resolved=is_over, turns=turns), turn
