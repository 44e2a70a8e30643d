"""Roster changes on record: another roster than the one last seen is put in the trail and told, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from twokey.core.errors import Json, Refused, message
from twokey.core.people import Person, Roster, system
from twokey.core.signals import Cursor
from twokey.flow import outbox
from twokey.ports import Clock, Rosters, Snapshot, Store, Transaction

WATCH = system("roster")
_SEEN = (
    "roster"  # the name under which the roster last seen is kept, among the places up to which we have read
)
_NAMED = 20

Rights = Mapping[str, Mapping[str, Json]]


@dataclass(frozen=True)
class RosterWatch:
    """Looks at the roster now and then, and at every start."""

    store: Store
    clock: Clock
    rosters: Rosters

    def look(self) -> None:
        """Put a roster that was not seen before on record; one that cannot be read is told to all who act."""
        try:
            roster = self.rosters.current()
        except Refused:
            return
        with self.store.read() as look:
            if _last_seen(look)[0] == roster.digest:
                return
        with self.store.change() as tx:
            _put_on_record(tx, roster, self.clock.now())


def note_roster(tx: Transaction, roster: Roster, now: datetime) -> None:
    """Put the roster by which somebody acts on record, if it is not the one last seen: it may be gone in a minute."""
    digest, _ = _last_seen(tx)
    if digest:  # before the first look there is nothing to compare with
        _put_on_record(tx, roster, now)


def _put_on_record(tx: Transaction, roster: Roster, now: datetime) -> None:
    before, old = _last_seen(tx)
    if before == roster.digest:
        return
    new = {person.id: _rights(person) for person in roster.people}
    added, removed = sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())
    changed: dict[str, Json] = {
        person: [name for name in new[person] if new[person][name] != old[person].get(name)]
        for person in sorted(new.keys() & old.keys())
        if new[person] != old[person]
    }
    tx.put(Cursor(_SEEN, json.dumps({"digest": roster.digest, "people": new}), now))
    data: dict[str, Json] = {
        "digest": roster.digest,
        "before": before,
        "added": [*added],
        "removed": [*removed],
        "changed": changed,
    }
    entry = tx.append(WATCH, "roster.changed", data=data)
    if before:
        told = message(
            "roster.changed", added=_named(added), removed=_named(removed), changed=_named(list(changed))
        )
        outbox.tell_duty(tx, f"roster:{entry.seq}", told, now)


def _last_seen(look: Snapshot) -> tuple[str, Rights]:
    seen = look.get(Cursor, _SEEN)
    if seen is None:
        return "", {}
    kept = json.loads(seen.position)
    return kept["digest"], kept["people"]


def _rights(person: Person) -> dict[str, Json]:
    """Return what decides what a person may do; a name and a language do not."""
    return {
        "roles": [*sorted(role.value for role in person.roles)],
        "scopes": [*sorted(person.scopes)],
        "accounts": [*sorted(f"{account.team}/{account.user}" for account in person.accounts)],
        "step_up": person.has_step_up,
    }


def _named(people: Iterable[str]) -> str:
    first = list(people)
    more = [f"+{len(first) - _NAMED}"] if len(first) > _NAMED else []
    return ", ".join([*first[:_NAMED], *more]) or "-"
