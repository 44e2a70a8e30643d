"""Roster changes on record: another roster than the one last seen is put in the trail and told, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime

from twokey.core.errors import Json, Refused, message
from twokey.core.people import ChatAccount, Person, Roster, RosterSeen, system
from twokey.flow import outbox
from twokey.ports import Clock, Rosters, Snapshot, Store, Transaction

WATCH = system("roster")
SHELL = system("shell")
_SEEN = "roster"  # there is one row
_SAID_ONLY = ("id", "name", "language")
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


def note_new_secret(store: Store, clock: Clock, person: Person, *, is_another: bool) -> None:
    """Put on record, and tell, that the shell made a person's one-time-code secret: who has it makes their codes."""
    data: dict[str, Json] = {"person": person.id}
    with store.change() as tx:
        if is_another:
            entry = tx.append(SHELL, "totp.replaced", data=data)
            told = message("roster.totp_replaced", person=person.name)
        else:
            entry = tx.append(SHELL, "totp.made", data=data)
            told = message("roster.totp_made", person=person.name)
        outbox.tell_duty(tx, f"totp:{entry.seq}", told, clock.now())


def _put_on_record(tx: Transaction, roster: Roster, now: datetime) -> None:
    before, old = _last_seen(tx)
    if before == roster.digest:
        return
    new = {person.id: _rights(person) for person in roster.people}
    added, removed = sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())
    differing = {
        person: [
            name for name in new[person] if (new[person][name] or None) != (old[person].get(name) or None)
        ]
        for person in sorted(new.keys() & old.keys())
    }
    changed: dict[str, Json] = {person: [*names] for person, names in differing.items() if names}
    tx.put(RosterSeen(_SEEN, roster.digest, now, new))
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
    seen = look.get(RosterSeen, _SEEN)
    return (seen.digest, seen.people) if seen else ("", {})


def _rights(person: Person) -> dict[str, Json]:
    """Return what decides what a person may do: all that the roster says of them but a name and a language."""
    return {
        one.name: _plain(getattr(person, one.name)) for one in fields(person) if one.name not in _SAID_ONLY
    }


def _plain(value: object) -> Json:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, ChatAccount):
        return f"{value.team}/{value.user}"
    return [*sorted(str(_plain(one)) for one in value)] if isinstance(value, Iterable) else str(value)


def _named(people: Iterable[str]) -> str:
    first = list(people)
    more = [f"+{len(first) - _NAMED}"] if len(first) > _NAMED else []
    return ", ".join([*first[:_NAMED], *more]) or "-"
