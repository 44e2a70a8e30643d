"""B13: what an event, an audit entry and a duplicate cost with little and with much on record."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import events
import filled
import measure
import programs
from b14_audit import DATA, WHO, appended
from measure import Figures, Outcome, Row, Size, at_most, compared, spread, timed
from twokey import app, settings
from twokey.core.incidents import Incident
from twokey.core.notices import Notice
from twokey.core.sightings import Sighting
from twokey.core.signals import RawNotification, raw_id
from twokey.store import open_store

SOURCE = "azure.webhook:bench"


@contextmanager
def program(home: Path, findings: int, incidents: int) -> Iterator[app.App]:
    """Give the program without its doors, over a record that holds so much."""
    variables = programs.settings(home, None, clouds="")
    filled.record(variables["TWOKEY_DATABASE_URL"], findings, incidents)
    wanted = {name: one for name, one in variables.items() if name.startswith("TWOKEY_")}
    built = app.build(settings.load(wanted))
    try:
        yield built
    finally:
        built.store.close()


def taken_in(built: app.App, first: int, count: int, *, matter: int | None = None) -> Figures:
    """Receive and sort new notices, one by one, each its own matter or about this one; return µs for one."""
    raws = [_raw(built, events.outage(number, matter)) for number in range(first, first + count)]

    def work() -> None:
        for raw in raws:
            built.intake.receive([raw])
            built.intake.sort(raw.id)

    return {"µs": timed(work) / count * 1e6}


def _raw(built: app.App, event: dict[str, object]) -> RawNotification:
    body = json.dumps(event).encode()
    return RawNotification(raw_id(SOURCE, body), SOURCE, body, built.clock.now())


def duplicates(home: Path, count: int) -> dict[str, int]:
    """Let one notice arrive many times; return what there is of it then."""
    with program(home, 0, 0) as built:
        for _ in range(count):
            built.intake.receive([_raw(built, events.outage(1))])
        built.engine.drain(count)
        with built.store.read() as look:
            kinds = {
                "rows": RawNotification,
                "sightings": Sighting,
                "incidents": Incident,
                "messages": Notice,
            }
            return {name: len(look.find(kind)) for name, kind in kinds.items()}


def updates(home: Path, size: Size) -> dict[str, list[Figures]]:
    """Take in updates of a new matter, and of one that has had thousands."""
    many, count = size.of(5_000, 500), size.of(200, 50)
    following, matters = iter(range(0, 10_000_000, count)), iter(range(1, 1000))
    with program(home, 0, 0) as built:
        taken_in(built, next(following) + 1_000_000, many, matter=0)
        sides = {
            "few": lambda: taken_in(built, next(following), count, matter=next(matters)),
            f"{many:,}": lambda: taken_in(built, next(following), count, matter=0),
        }
        return measure.interleaved(size, sides)


def audits(size: Size) -> dict[str, list[Figures]]:
    """Append to a short and to a long trail."""
    few, many = 1_000, size.of(300_000, 20_000)
    with programs.folder() as short, programs.folder() as long:
        stores = {}
        for home, entries in ((short, few), (long, many)):
            stores[entries] = open_store(f"sqlite:///{home}/record.db", app.SystemClock())
            for start in range(0, entries, 1000):
                with stores[entries].change() as tx:
                    for _ in range(min(1000, entries - start)):
                        tx.append(WHO, "joined", incident_id=f"INC-{start}", data=DATA)
        count = size.of(1000, 200)
        sides = {
            f"{entries:,} entries": lambda store=store: {"µs": appended(store, count)}
            for entries, store in stores.items()
        }
        found = measure.interleaved(size, sides)
        for store in stores.values():
            store.close()
        return found


def run(size: Size) -> Outcome:
    """Measure in turns, each side on its own record."""
    million = os.environ.get("TWOKEY_BENCH_LONG", "") != ""
    many = 1_000_000 if million else size.of(100_000, 5_000)
    open_ones, count = size.of(10_000, 500), size.of(300, 60)
    with (
        programs.folder() as one,
        programs.folder() as two,
        programs.folder() as three,
        program(one, 1_000, 1) as few,
        program(two, many, 1) as much,
        program(three, 1_000, open_ones) as busy,
    ):
        following = iter(range(1_000_000, 10_000_000, count))
        sides = {"few": few, "much": much, "busy": busy}
        for built in sides.values():
            taken_in(built, next(following), 20)
        figures = measure.interleaved(
            size,
            {name: lambda b=built: taken_in(b, next(following), count) for name, built in sides.items()},
        )
    audit = audits(size)
    short, long = audit
    with programs.folder() as home:
        repeated = duplicates(home, size.of(10_000, 1_000))
    with programs.folder() as home:
        told = updates(home, size)
    rarely, often = told
    figures["1,000 findings"] = figures["few"]
    peer = {"peer": "1,000 findings"}
    worst = float(max(repeated.values()))
    return [
        compared(
            "B13",
            f"an event taken in and sorted, {many:,} findings on record",
            "µs",
            figures,
            "µs",
            ours="much",
            goal=at_most(3),
            stretch=at_most(2.5),
            **peer,
        ),
        compared(
            "B13",
            f"an event taken in and sorted, {open_ones:,} open incidents",
            "µs",
            figures,
            "µs",
            ours="busy",
            goal=at_most(1.5),
            **peer,
        ),
        compared(
            "B13", f"audit append after {long}", "µs", audit, "µs", ours=long, peer=short, goal=at_most(1.3)
        ),
        compared(
            "B13",
            f"an update taken in and sorted, of a matter that had {often}",
            "µs",
            told,
            "µs",
            ours=often,
            peer=rarely,
            goal=at_most(1.5),
        ),
        Row(
            "B13",
            "one notice again and again: rows, sightings, incidents, messages (the most)",
            "",
            spread([worst]),
            goal=at_most(1),
        ),
    ]


if __name__ == "__main__":
    measure.main(run, __doc__)
