"""B2: from a message that SQS hands out to the message in the chat; it is deleted only when it is durable."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from pathlib import Path

import b01_notify
import events
import measure
import programs
from measure import Figures, Outcome, Size, at_most, compared
from sqs import Queue
from twokey.core.signals import raw_id

SOURCE = "aws.sqs:findings"
PACE = 50.0


def is_kept(record: Path, body: bytes) -> None:
    """Look from outside whether a body is on record; raise when it is not."""
    link = sqlite3.connect(f"file:{record}?mode=ro", uri=True)
    try:
        found = link.execute(
            "SELECT 1 FROM raw_notification WHERE id = ?", (raw_id(SOURCE, body),)
        ).fetchone()
    finally:
        link.close()
    if not found:
        raise RuntimeError("a message was deleted before it was on record")


def fed(queue: Queue, bodies: list[bytes]) -> None:
    """Let messages arrive at a pace."""
    begin = time.perf_counter()
    for number, body in enumerate(bodies):
        time.sleep(max(0.0, begin + number / PACE - time.perf_counter()))
        queue.put([body])


def ours(sink: programs.Sink, count: int) -> Figures:
    """Read the queue, say it in the chat."""
    sink.reset()
    with programs.folder() as home, Queue(lambda body: is_kept(home / "record.db", body)) as queue:
        more = {"slack_per_second": "10000", "aws_queues": queue.url, "aws_endpoint_url": queue.endpoint}
        with programs.bot(home, sink, **more):
            bodies = [json.dumps(events.finding(number)).encode() for number in range(count)]
            feeding = threading.Thread(target=fed, args=(queue, bodies))
            feeding.start()
            feeding.join()
            sink.until(count)
            if queue.faults:
                raise RuntimeError(queue.faults[0])
            return b01_notify.latencies(sink, [queue.handed[body] for body in bodies])


def run(size: Size) -> Outcome:
    """Measure in turns with the webhook of B1."""
    count = size.of(400, 40)
    with programs.Sink() as sink:
        sides = {"twokey": lambda: ours(sink, count), "our webhook": lambda: b01_notify.ours(sink, count)}
        figures = measure.interleaved(size, sides)
    what = "SQS receive to chat, 50/s, "
    return [
        compared("B2", what + "p50", "ms", figures, "p50", peer="our webhook"),
        compared("B2", what + "p99", "ms", figures, "p99", peer="our webhook", goal=at_most(2)),
    ]


if __name__ == "__main__":
    measure.main(run, __doc__)
