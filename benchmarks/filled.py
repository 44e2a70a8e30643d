"""Records that hold very much already: written in bulk, in the shapes that the program itself writes."""

from __future__ import annotations

import itertools
import json
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import events
from twokey import app
from twokey.core.errors import message
from twokey.core.incidents import Incident, State
from twokey.core.notices import Notice, NoticeKind, NoticeState
from twokey.core.people import system
from twokey.core.sightings import Sighting
from twokey.core.signals import RawNotification, RawState, raw_id
from twokey.ports import Noun
from twokey.store import SqlStore, migrate, open_store
from twokey.store.kinds import kind_of
from twokey.testing.builders import a_signal, a_verdict, an_incident

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WHO = system("benchmark")
_SOME = 2_000


def record(url: str, findings: int, incidents: int, notices: int = 0) -> None:
    """Make a record with so many sorted findings, open incidents, and messages that are still owed."""
    migrate(url)
    store = open_store(url, app.SystemClock())
    try:
        _kept(store, Incident, (_incident(number) for number in range(1, incidents + 1)))
        _kept(store, Notice, (_card(number) for number in range(1, incidents + 1)))
        _kept(store, Notice, (_owed(number) for number in range(1, notices + 1)))
        body = json.dumps(events.finding(1)).encode()
        _kept(store, RawNotification, (_raw(number, body) for number in range(findings)))
        _kept(store, Sighting, (_sighting(number, max(1, incidents)) for number in range(findings)))
        with store.change() as tx:
            for _ in range(incidents + notices + 1):
                tx.next_number("notice")
            for _ in range(incidents):
                tx.next_number("incident")
            tx.append(WHO, "filled", data={"findings": findings, "incidents": incidents})
    finally:
        store.close()
    # The last of the log is moved into the file, or the first one who comes would pay for it.
    link = sqlite3.connect(url.removeprefix("sqlite:///"))
    link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    link.close()


def _kept(store: SqlStore, kind: type, nouns: object) -> None:
    known = kind_of(kind)
    found = iter(nouns)  # type: ignore[call-overload]
    while some := list(itertools.islice(found, _SOME)):
        with store._changing() as change:
            change.insert_new(kind, [known.values(noun) for noun in some])
            change.append(WHO, "filled", data={"kind": kind.__name__, "count": len(some)})


def _incident(number: int) -> Noun:
    opened = NOW - timedelta(minutes=number)
    made = an_incident(id=f"INC-{number}", number=number, title=f"An open matter, number {number}")
    return replace(made, state=State.TRIAGE, opened_at=opened, subject=f"subject-{number}", group="")


def _card(number: int) -> Noun:
    stands = {"state": NoticeState.SENT, "sent_as": f"C0BENCH:1600000000.{number:06d}", "sent_at": NOW}
    return Notice(
        f"card:INC-{number}", NoticeKind.CARD, NOW, incident_id=f"INC-{number}", order=number, **stands
    )


def _owed(number: int) -> Noun:
    said = (message("intake.unreadable", source="aws.sqs:q", reason="-", raw=f"raw-{number}"),)
    order = 10_000_000 + number
    return Notice(f"unreadable:raw-{number}", NoticeKind.UNREADABLE, NOW, messages=said, order=order)


def _raw(number: int, body: bytes) -> Noun:
    small = body[:400] + f"{number:010d}".encode()
    identity = raw_id("aws.sqs:q", small)
    return RawNotification(identity, "aws.sqs:q", small, NOW, events.account(number), state=RawState.SORTED)


def _sighting(number: int, incidents: int) -> Noun:
    signal = replace(
        a_signal(), id=f"signal-{number}", subject=f"seen-{number}", description="", resources=()
    )
    return Sighting(signal.id, signal.subject, f"INC-{number % incidents + 1}", NOW, signal, a_verdict())
