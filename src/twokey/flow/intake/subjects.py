"""What is on record about a signal when it arrives, and the sightings of its subject that no incident has."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from twokey.core.incidents import Incident, group_of
from twokey.core.responsibility import Verdict
from twokey.core.sightings import Sighting, SubjectState, fold_signal
from twokey.core.signals import Signal
from twokey.flow.intake.correlation import is_late_event_about_us
from twokey.flow.intake.decide import Arrival, is_alarm
from twokey.ports import Snapshot, Transaction

_PAGE = 500


def look_up(
    tx: Transaction, signal: Signal, verdict: Verdict, now: datetime, storm_window: timedelta
) -> Arrival:
    """Read what a decision about a signal is made from; what cannot matter any more is not looked for."""
    arrival = Arrival(signal, verdict, now, storm_window=storm_window)
    if tx.get(Sighting, signal.id):
        return replace(arrival, is_repeat=True)
    before = subject_state(tx, signal.subject)
    own = tx.get(Incident, before.incident_id) if before and before.incident_id else None
    arrival = replace(arrival, before=before, own=own)
    if own and own.is_open:
        return arrival
    if is_alarm(signal, verdict):
        group = group_of(signal, verdict.label)
        newest = tx.find(Incident, group=group, newest_first=True, limit=1) if group else []
        return replace(arrival, same_group=newest[0] if newest else None)
    return replace(arrival, explains_ours=is_late_event_about_us(tx, signal, verdict, now))


def subject_state(look: Snapshot, subject: str) -> SubjectState | None:
    """Return what came of a subject so far; None when nothing did."""
    newest = look.find(Sighting, subject=subject, newest_first=True, limit=1)
    if not newest:
        return None
    if newest[0].so_far:
        return newest[0].so_far
    state: SubjectState | None = None
    skip, page = 0, look.find(Sighting, subject=subject, limit=_PAGE)
    while page:  # one, or what was taken in before `so_far` was kept
        for seen in page:
            state = fold_signal(state, seen.signal, seen.verdict, seen.incident_id)
        skip += _PAGE
        is_last = len(page) < _PAGE
        page = [] if is_last else look.find(Sighting, subject=subject, limit=_PAGE, skip=skip)
    return state


def assign_unassigned(tx: Transaction, subject: str, incident_id: str) -> list[Sighting]:
    """Put all of a subject that no incident has into this one, and return it as it was, oldest first."""
    assigned = []
    while unassigned := tx.find(Sighting, subject=subject, incident_id="", limit=_PAGE):
        for seen in unassigned:
            tx.put(replace(seen, incident_id=incident_id))
        assigned += unassigned
    for newest in tx.find(Sighting, subject=subject, newest_first=True, limit=1):
        if newest.so_far:
            state = replace(newest.so_far, incident_id=incident_id, is_loose=False)
            tx.put(replace(newest, so_far=state))
    return assigned
