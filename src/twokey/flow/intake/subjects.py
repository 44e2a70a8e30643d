"""What came of a subject so far, and what of it still goes to an incident."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from twokey.core.sightings import Sighting, SoFar, went_on
from twokey.ports import Transaction

_PAGE = 500


def so_far(tx: Transaction, subject: str) -> SoFar | None:
    """Return what came of a subject; None when nothing did."""
    newest = tx.find(Sighting, subject=subject, newest_first=True, limit=1)
    if not newest:
        return None
    if newest[0].so_far:
        return newest[0].so_far
    told: SoFar | None = None
    for seen in _all(tx, subject):  # one, or what was taken in before `so_far` was kept
        told = went_on(told, seen.signal, seen.verdict, seen.incident_id)
    return told


def place(tx: Transaction, subject: str, incident_id: str) -> list[Sighting]:
    """Put all of a subject that went to no incident into this one, and return it as it was, oldest first."""
    placed = []
    while loose := tx.find(Sighting, subject=subject, incident_id="", limit=_PAGE):
        for seen in loose:
            tx.put(replace(seen, incident_id=incident_id))
        placed += loose
    for newest in tx.find(Sighting, subject=subject, newest_first=True, limit=1):
        if newest.so_far:
            told = replace(newest.so_far, incident_id=incident_id, is_loose=False)
            tx.put(replace(newest, so_far=told))
    return placed


def _all(tx: Transaction, subject: str) -> Iterator[Sighting]:
    for skip in count(0, _PAGE):
        found = tx.find(Sighting, subject=subject, limit=_PAGE, skip=skip)
        yield from found
        if len(found) < _PAGE:
            return
