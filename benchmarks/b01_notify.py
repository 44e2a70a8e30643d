"""B1: from a webhook's POST to the message in the chat, 50 a second, durable before the answer."""

from __future__ import annotations

import events
import measure
import programs
from measure import Figures, Outcome, Size, Skipped, at_most, compared, percentile


def latencies(sink: programs.Sink, starts: list[int]) -> Figures:
    """Return percentiles from a POST's start to the first arrival of its mark."""
    came: dict[int, int] = {}
    for at, _, marks, _, status in sink.until(len(starts)):
        for mark in marks if status == 200 else ():
            came.setdefault(mark, at)
    missing = [number for number in range(len(starts)) if number not in came]
    if missing:
        raise RuntimeError(f"{len(missing)} notifications never arrived, the first is {missing[0]}")
    took = [(came[number] - start) / 1e6 for number, start in enumerate(starts)]
    return {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99)}


def ours(sink: programs.Sink, count: int) -> Figures:
    """Post Azure notices to our webhook; the limit of Slack's one message a second is lifted."""
    sink.reset()
    with programs.folder() as home, programs.bot(home, sink, slack_per_second="10000") as bot:
        bodies = programs.lines([events.outage(number) for number in range(count)])
        seen = programs.post(bot.door, bodies, home, pace=50)
        return latencies(sink, seen["starts"])


def alertmanager(sink: programs.Sink, count: int) -> Figures:
    """Post the same as alerts; one group each, and no waiting for others of the group."""
    sink.reset()
    with programs.folder() as home, programs.Alertmanager(home, sink) as peer:
        found = [events.outage(number) for number in range(count)]
        bodies = [
            programs.alert(event, events.mark(number), str(number)) for number, event in enumerate(found)
        ]
        seen = programs.post(peer.url, bodies, home, pace=50)
        return latencies(sink, seen["starts"])


def dbos(sink: programs.Sink, count: int) -> Figures:
    """Start the same number of durable workflows of one step each, in DBOS on SQLite."""
    sink.reset()
    with programs.folder() as home:
        seen = programs.peer("dbos_peer.py", f"sqlite:///{home}/dbos.sqlite", sink.port, count, 50)
        return latencies(sink, [int(one) for one in seen["starts"]])


def run(size: Size) -> Outcome:
    """Measure in turns."""
    count = size.of(400, 40)
    outcome: Outcome = []
    with programs.Sink() as sink:
        sides = {"twokey": lambda: ours(sink, count)}
        try:
            programs.program("prometheus-alertmanager")
            sides["Alertmanager"] = lambda: alertmanager(sink, count)
        except measure.AbsentError as absent:
            outcome.append(Skipped("B1", "Alertmanager", str(absent)))
        try:
            programs.peers_python()
            sides["DBOS on SQLite"] = lambda: dbos(sink, count)
        except measure.AbsentError as absent:
            outcome.append(Skipped("B1", "DBOS", str(absent)))
        figures = measure.interleaved(size, sides)
    what = "POST to chat, 50/s, "
    if "Alertmanager" in sides:
        am = {"peer": "Alertmanager", "note": "Alertmanager is not durable"}
        outcome.append(
            compared("B1", what + "p50", "ms", figures, "p50", goal=at_most(2.5), stretch=at_most(1), **am)
        )
        outcome.append(
            compared("B1", what + "p99", "ms", figures, "p99", goal=at_most(3), stretch=at_most(1.2), **am)
        )
    if "DBOS on SQLite" in sides:
        peer = "DBOS on SQLite"
        outcome.append(
            compared(
                "B1", what + "p50", "ms", figures, "p50", peer=peer, goal=at_most(1.5), stretch=at_most(0.7)
            )
        )
        outcome.append(compared("B1", what + "p99", "ms", figures, "p99", peer=peer))
    if len(sides) == 1:
        outcome.append(compared("B1", what + "p50", "ms", figures, "p50", goal=at_most(5)))
        outcome.append(compared("B1", what + "p99", "ms", figures, "p99", goal=at_most(20)))
    return outcome


if __name__ == "__main__":
    measure.main(run, __doc__)
