"""B4: storms. Thousands of findings about one key are one incident; scattered ones go out at Slack's pace."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import events
import measure
import programs
from measure import Figures, Outcome, Row, Size, at_most, spread
from sqs import Queue
from twokey import app
from twokey.core.incidents import Incident
from twokey.core.signals import RawNotification, RawState
from twokey.ports import Store

KEY = {
    "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "principalId": "AIDAEXAMPLE",
    "userName": "deploy",
    "userType": "IAMUser",
}
CARD_EVERY_S = 5.0


def deletion(number: int, key: dict[str, str]) -> bytes:
    """Return a finding about a key that deletes a bucket."""
    event = events.finding(number, type="Impact:S3/AnomalousBehavior.Delete", severity=8)
    bucket = {"name": f"bucket-{number}", "arn": f"arn:aws:s3:::bucket-{number}", "type": "Destination"}
    event["detail"]["resource"] = {
        "resourceType": "AccessKey",
        "accessKeyDetails": key,
        "s3BucketDetails": [bucket],
    }
    event["account"] = event["detail"]["accountId"] = events.account(1)
    return json.dumps(event).encode()


def scattered(number: int) -> bytes:
    """Return a finding that has nothing to do with any other."""
    return json.dumps(events.finding(number, severity=8)).encode()


def storm(sink: programs.Sink, bodies: list[bytes], patience_s: float, *, drains: bool) -> Figures:
    """Let all of it wait in a queue; return what became of it in the record and in the chat."""
    sink.reset()
    with programs.folder() as home, Queue() as queue:
        more = {"aws_queues": queue.url, "aws_endpoint_url": queue.endpoint, "slack_per_second": "1"}
        with programs.bot(home, sink, **more):
            begin = time.monotonic_ns()
            queue.put(bodies)
            record = _until_sorted(home, len(bodies), patience_s) if drains else None
            seconds = (time.monotonic_ns() - begin) / 1e9
            time.sleep(CARD_EVERY_S + 2 if drains else patience_s)
            came = sink.arrivals()
            watched = (time.monotonic_ns() - begin) / 1e9
        record = record or _looked_at(home)
    posts = [one for one in came if one[1] == "chat.postMessage"]
    updates = [one for one in came if one[1] == "chat.update"]
    return {
        **record,
        "seconds": seconds,
        "posts": float(len(posts)),
        "posts a second": len(posts) / watched,
        "updates above one in 5 s": max(0.0, len(updates) - watched / CARD_EVERY_S - 1),
        "body": float(max((one[3] for one in came), default=0)),
        "first": (came[0][0] - begin) / 1e9 if came else float("inf"),
    }


def _looked_at(home: Path) -> dict[str, float]:
    with closing(app.look_at_record(_settings(home))) as looked:
        return _counted(looked)


def _counted(looked: Store) -> dict[str, float]:
    with looked.read() as look:
        return {
            "incidents": float(look.count(Incident)),
            "kept": float(look.count(RawNotification)),
            "new": float(look.count(RawNotification, state=RawState.NEW)),
        }


def _settings(home: Path) -> Any:
    from twokey import settings

    return settings.load({"TWOKEY_DATABASE_URL": f"sqlite:///{home}/record.db"})


def _until_sorted(home: Path, count: int, patience_s: float) -> dict[str, float]:
    finish = time.monotonic() + patience_s
    # opened once: opening takes as long as forty findings
    with closing(app.look_at_record(_settings(home))) as looked:
        while True:
            found = _counted(looked)
            if found["kept"] == count and not found["new"]:
                return found
            if time.monotonic() > finish:
                raise RuntimeError(
                    f"of {count} findings {found['kept']:.0f} were kept, {found['new']:.0f} not sorted"
                )
            time.sleep(0.25)


def run(size: Size) -> Outcome:
    """Measure each storm; one that fills minutes is measured once."""
    many = size.of(10_000, 500)
    rounds = 1 if size.is_short else min(3, size.rounds)
    with programs.Sink() as sink:
        deletions = [
            storm(sink, [deletion(n, KEY) for n in range(45)], 300, drains=True) for _ in range(rounds)
        ]
        one = [storm(sink, [deletion(n, KEY) for n in range(many)], 1800, drains=True) for _ in range(rounds)]
        watch = 60.0 if os.environ.get("TWOKEY_BENCH_LONG") else size.of(30, 10)
        other = [storm(sink, [scattered(n) for n in range(many)], watch, drains=False) for _ in range(rounds)]

    def row(what: str, figures: list[Figures], figure: str, unit: str, most: float) -> Row:
        return Row("B4", what, unit, spread([each[figure] for each in figures]), goal=at_most(most))

    rows: Outcome = []
    for name, figures in (("45 deletions, one key", deletions), (f"{many:,} findings, one key", one)):
        rows += [
            row(f"{name}: incidents", figures, "incidents", "", 1),
            row(f"{name}: messages", figures, "posts", "", 1),
            row(f"{name}: updates above one in 5 s", figures, "updates above one in 5 s", "", 0),
            row(f"{name}: largest body", figures, "body", "bytes", 12_000),
            row(f"{name}: all sorted", figures, "seconds", "s", 15),
        ]
    name = f"{many:,} findings, each its own matter"
    rows += [
        row(f"{name}: first message", other, "first", "s", 2),
        row(f"{name}: messages a second", other, "posts a second", "", 1.1),
        row(f"{name}: largest body", other, "body", "bytes", 12_000),
    ]
    return rows


if __name__ == "__main__":
    measure.main(run, __doc__)
