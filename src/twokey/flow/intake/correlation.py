"""Tie availability incidents to what their provider says of itself, whichever of the two came first.

A provider's first public post comes a median of 76 minutes after the start it states, so every word of a provider
looks back at what is still unexplained, and every unexplained incident looks at what its provider has said.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from twokey.core.audit import AuditEntry
from twokey.core.correlations import (
    PROVIDERS_WORD,
    RULE,
    Explanation,
    best,
    explained_by,
    is_providers_voice,
    is_providers_word,
    may_be_explained,
    verdict_by,
)
from twokey.core.errors import message
from twokey.core.incidents import Incident, opened_by
from twokey.core.jobs import draft_job
from twokey.core.people import system
from twokey.core.postmortems import Postmortem
from twokey.core.responsibility import Label, Verdict
from twokey.core.sightings import Sighting
from twokey.core.signals import Signal, SignalStatus
from twokey.flow import outbox
from twokey.ports import Transaction

CORRELATION = system("correlation")
# A look back reaches over the incidents of a very bad day; older ones are none of a new event's.
REACH = 500
LATE_EVENTS = 200


def correlate(tx: Transaction, incident: Incident, now: datetime) -> Incident:
    """Look for the other side of an incident that was just opened or changed; return it as it is then."""
    if is_providers_word(incident):
        for other in _unexplained(tx, incident):
            explanation = explained_by(other, incident, now)
            if explanation:
                incident = _link(tx, other, explanation, now)[1]
        return incident
    if incident.related:
        _unlink(tx, incident, now)
    if may_be_explained(incident):
        events = tx.find(
            Incident, provider=incident.provider, label=PROVIDERS_WORD, newest_first=True, limit=REACH
        )
        explanation = best(explained_by(incident, event, now) for event in events)
        if explanation:
            incident = _link(tx, incident, explanation, now)[0]
    return incident


def is_late_event_about_us(tx: Transaction, signal: Signal, verdict: Verdict, now: datetime) -> bool:
    """Say whether a provider tells, when all is over, of an outage that an unexplained incident of ours was part of.

    Most of what providers post is said once, at the end. Where nothing of ours was hit, it opens no incident.
    """
    if not _is_late_event(signal, verdict):
        return False
    event = opened_by(signal, verdict, 0, now)
    return any(explained_by(other, event, now) for other in _unexplained(tx, event))


def late_events_explaining(tx: Transaction, incident: Incident, now: datetime) -> dict[str, Sighting]:
    """Return, by subject, what the provider said last when all was over, and what this later incident shows to
    have hit us."""
    if not may_be_explained(incident):
        return {}
    recent = tx.find(Sighting, incident_id="", newest_first=True, limit=LATE_EVENTS)
    last: dict[str, Sighting] = {}
    for seen in recent:
        if (
            seen.subject not in last
            and _is_late_event(seen.signal, seen.verdict)
            and explained_by(incident, opened_by(seen.signal, seen.verdict, 0, now), now)
        ):
            last[seen.subject] = seen
    return last


def _is_late_event(signal: Signal, verdict: Verdict) -> bool:
    is_real = not (signal.is_test or signal.is_muted or signal.disputed)
    return is_real and signal.status is SignalStatus.RESOLVED and is_providers_voice(signal, verdict.label)


def propagate(tx: Transaction, event: Incident, now: datetime) -> None:
    """Tell the incidents that an event explains that its provider calls its part over, or open again."""
    for other in _linked(tx, event):
        if other.provider_resolved is event.provider_resolved:
            continue
        changed = replace(
            other, provider_resolved=event.provider_resolved, provider_ended=event.provider_ended
        )
        tx.put(changed)
        code = "correlation.event_over" if event.provider_resolved else "correlation.event_goes_on"
        entry = tx.append(
            CORRELATION,
            "correlation.passed_on",
            incident_id=other.id,
            data={"event": event.id, "over": event.provider_resolved},
        )
        outbox.tell_thread(tx, entry, message(code, event=event.id, tracking=event.tracking_id or "-"))
        outbox.redraw_card(tx, changed, now)


def owe_new_draft(tx: Transaction, entry: AuditEntry, incident: Incident) -> None:
    """A provider's root cause, weeks later, renews the post-mortem's draft; the incident stays as it is."""
    if not tx.find(Postmortem, incident_id=incident.id, limit=1):
        return
    tx.enqueue(draft_job(incident.id, entry.seq))
    outbox.tell_thread(tx, entry, message("correlation.root_cause", incident=incident.id))


def _unexplained(tx: Transaction, event: Incident) -> list[Incident]:
    found = tx.find(Incident, provider=event.provider, label=Label.UNKNOWN, newest_first=True, limit=REACH)
    return [one for one in reversed(found) if may_be_explained(one)]


def _link(
    tx: Transaction, incident: Incident, explanation: Explanation, now: datetime
) -> tuple[Incident, Incident]:
    event = explanation.event
    verdict = verdict_by(explanation, incident.verdict)
    moved = replace(
        incident,
        verdict=verdict,
        related=_with(incident.related, event.id),
        tracking_id=incident.tracking_id or event.tracking_id,
        provider_resolved=event.provider_resolved,
        provider_ended=event.provider_ended,
    )
    explaining = replace(event, related=_with(event.related, incident.id))
    tx.put(moved)
    tx.put(explaining)
    entry = tx.append(
        CORRELATION,
        "correlated",
        incident_id=incident.id,
        data={"event": event.id, "label": verdict.label.value, "rule": RULE, **verdict.fields},
    )
    outbox.tell_thread(
        tx,
        entry,
        message(
            f"correlation.{explanation.by.value}",
            event=event.id,
            tracking=event.tracking_id or "-",
            after=verdict.label.value,
        ),
    )
    outbox.redraw_card(tx, moved, now)
    outbox.redraw_card(tx, explaining, now)
    return moved, explaining


def _unlink(tx: Transaction, event: Incident, now: datetime) -> None:
    """A provider's event that turned out to be none explains nothing: give back the verdicts of before."""
    for other in _linked(tx, event):
        latest = tx.find(Sighting, incident_id=other.id, newest_first=True, limit=1)
        if not latest:
            continue
        before = latest[0]  # with what the rules said of the incident's own signal
        freed = replace(
            other,
            verdict=before.verdict,
            tracking_id=before.signal.tracking_id,
            related=tuple(one for one in other.related if one != event.id),
            provider_resolved=False,
            provider_ended=None,
        )
        tx.put(freed)
        entry = tx.append(
            CORRELATION,
            "correlation.withdrawn",
            incident_id=other.id,
            data={"event": event.id, "label": freed.verdict.label.value, "rule": freed.verdict.rule},
        )
        outbox.tell_thread(
            tx, entry, message("correlation.withdrawn", event=event.id, after=freed.verdict.label.value)
        )
        outbox.redraw_card(tx, freed, now)
    tx.put(replace(event, related=()))


def _linked(tx: Transaction, event: Incident) -> list[Incident]:
    """Return the incidents whose verdict rests on this event, and on no person's word."""
    found = (tx.get(Incident, one) for one in event.related)
    return [
        one
        for one in found
        if one and one.verdict.rule == RULE and one.verdict.fields.get("event") == event.id and one.is_open
    ]


def _with(known: tuple[str, ...], fresh: str) -> tuple[str, ...]:
    return known if fresh in known else (*known, fresh)
