"""B3: how many notifications a second are taken in over 64 connections, each durable before its answer.

With strace there: how many fsyncs that takes for one notification.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import events
import measure
import programs
from measure import AbsentError, Figures, Outcome, Row, Size, Skipped, at_least, at_most, compared, spread
from tests.lab.postgres import Postgres, running

CONNECTIONS = 64
SYNCS = ("fsync", "fdatasync")
SLOW_CHAT = {"slack_per_second": "1"}  # as Slack: what is sent meanwhile is one message a second


def ours(sink: programs.Sink, count: int) -> Figures:
    """Post to our webhook."""
    with programs.folder() as home, programs.bot(home, sink, **SLOW_CHAT) as bot:
        return {"rate": _rate(bot.door, bodies(count), home)}


def _rate(url: str, posted: list[bytes], home: Path) -> float:
    seen = programs.post(url, posted, home, connections=CONNECTIONS)
    if seen["bad"]:
        raise RuntimeError(f"{seen['bad']} of {len(posted)} were not taken in")
    return len(posted) / float(seen["seconds"])


def bodies(count: int) -> list[bytes]:
    """Return notices that are all different."""
    return programs.lines([events.outage(number) for number in range(count)])


def alertmanager(sink: programs.Sink, count: int) -> Figures:
    """Post the same to Alertmanager, which keeps it in memory."""
    with programs.folder() as home, programs.Alertmanager(home, sink, wait="10m", by="alertname") as peer:
        found = [programs.alert(events.outage(n), events.mark(n), str(n)) for n in range(count)]
        return {"rate": _rate(peer.url, found, home)}


def dbos(postgres: Postgres, sink: programs.Sink, count: int) -> Figures:
    """Start durable workflows in DBOS on Postgres."""
    seen = programs.peer(
        "dbos_peer.py", postgres.fresh().replace("postgres://", "postgresql://"), sink.port, count, 0
    )
    return {"rate": float(seen["accepted"])}


def fsyncs(sink: programs.Sink, count: int) -> Figures:
    """Count the fsyncs of the bot's process from the first notification to the last answer."""
    strace = programs.program("strace")
    with programs.folder() as home, programs.bot(home, sink, **SLOW_CHAT) as bot:
        log = home / "strace.txt"
        watch = subprocess.Popen(
            [strace, "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", str(log), "-p", str(bot.process.pid)],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert watch.stderr is not None
        if "attached" not in (first := watch.stderr.readline()):
            watch.wait(10)
            raise AbsentError(f"strace may not watch here: {first.strip()[:100]}")
        time.sleep(1)
        _rate(bot.door, bodies(count), home)
        watch.terminate()
        watch.wait(30)
        # share of the time, seconds, microseconds a call, calls, perhaps errors, name
        told = [line.split() for line in log.read_text().splitlines()]
        return {"fsyncs": sum(int(line[3]) for line in told if line and line[-1] in SYNCS) / count}


def run(size: Size) -> Outcome:
    """Measure in turns."""
    count, short = size.of(6000, 600), size.of(1000, 100)
    outcome: Outcome = []
    with programs.Sink() as sink, running() as postgres:
        sides = {"twokey": lambda: ours(sink, count)}
        try:
            programs.program("prometheus-alertmanager")
            sides["Alertmanager"] = lambda: alertmanager(sink, count)
        except AbsentError as absent:
            outcome.append(Skipped("B3", "Alertmanager", str(absent)))
        try:
            programs.peers_python()
            sides["DBOS on Postgres"] = lambda: dbos(postgres, sink, short)
        except AbsentError as absent:
            outcome.append(Skipped("B3", "DBOS", str(absent)))
        figures = measure.interleaved(size, sides)
        what = f"ingest of {count:,}, durable, {CONNECTIONS} connections"
        if "DBOS on Postgres" in sides:
            limits = {"goal": at_least(5), "stretch": at_least(20)}
            outcome.append(compared("B3", what, "/s", figures, "rate", peer="DBOS on Postgres", **limits))
        if "Alertmanager" in sides:
            limits = {"goal": at_least(0.12), "stretch": at_least(0.4)}
            outcome.append(
                compared("B3", what, "/s", figures, "rate", peer="Alertmanager", note="not durable", **limits)
            )
        outcome.append(
            compared("B3", what, "/s", figures, "rate", goal=at_least(1000), stretch=at_least(3000))
        )
        outcome.append(_synced(sink, size))
    return outcome


def _synced(sink: programs.Sink, size: Size) -> Row | Skipped:
    try:
        if not shutil.which("strace"):
            raise AbsentError("strace is not installed")
        counted = [fsyncs(sink, size.of(1000, 200))["fsyncs"]]
    except AbsentError as absent:
        return Skipped("B3", "fsyncs", str(absent))
    # Sorting goes on beside the intake and has its own: one an event at most.
    return Row("B3", "fsyncs an event while it is taken in", "", spread(counted), goal=at_most(2))


if __name__ == "__main__":
    measure.main(run, __doc__)
