"""B10 and B11: how soon the bot is ready and how much memory it holds, empty and with much on record."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import events
import filled
import measure
import programs
from measure import AbsentError, Figures, Outcome, Size, Skipped, at_most, compared, timed

# What the bot is made of, and a client for each of AWS's services that it calls.
IMPORTS = """\
import slack_bolt.async_app, azure.identity, azure.mgmt.monitor, azure.mgmt.resourcehealth, sqlmodel, jinja2, boto3
services = ("guardduty", "securityhub", "health", "ec2", "iam", "s3", "organizations", "sqs")
clients = [boto3.client(name, region_name="us-east-1") for name in services]
"""
RSS = "import os; print(int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2**20)"


def empty(sink: programs.Sink) -> Figures:
    """Start on an empty folder."""
    with programs.folder() as home, programs.bot(home, sink) as bot:
        time.sleep(0.5)
        return {"ms": bot.start_s * 1e3, "MiB": programs.memory(bot.process.pid)}


def loaded(sink: programs.Sink, original: Path) -> Figures:
    """Start on a copy of a record that holds much, and owes much."""
    with programs.folder() as home:
        shutil.copy(original, home / "record.db")
        with programs.bot(home, sink) as bot:
            return {"ms": bot.start_s * 1e3, "MiB": programs.memory(bot.process.pid)}


def imports() -> Figures:
    """Start an interpreter that imports the same packages and does nothing."""
    command = [sys.executable, "-I", "-c", IMPORTS + RSS]
    told = ""

    def run() -> None:
        nonlocal told
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return {"ms": timed(run) * 1e3, "MiB": float(told)}


def grown(sink: programs.Sink, count: int) -> Figures:
    """Take in that many findings, and return the memory before and after."""
    sink.reset()
    with programs.folder() as home, programs.bot(home, sink) as bot:
        time.sleep(0.5)
        before = programs.memory(bot.process.pid)
        bodies = programs.lines([events.outage(number) for number in range(count)])
        seen = programs.post(bot.door, bodies, home, connections=8)
        if seen["bad"]:
            raise RuntimeError(f"{seen['bad']} were not taken in")
        time.sleep(2)
        after = programs.memory(bot.process.pid)
    return {"before": before, "after": after, "growth": after - before}


def alertmanager(sink: programs.Sink, count: int) -> Figures:
    """Do the same with Alertmanager."""
    with programs.folder() as home, programs.Alertmanager(home, sink, wait="10m", by="alertname") as peer:
        before = programs.memory(peer.process.pid)
        bodies = [programs.alert(events.outage(n), events.mark(n), str(n)) for n in range(count)]
        programs.post(peer.url, bodies, home, connections=8)
        after = programs.memory(peer.process.pid)
    return {"before": before, "after": after, "growth": after - before}


def run(size: Size) -> Outcome:
    """Measure in turns."""
    findings, owed = size.of(100_000, 5_000), size.of(10_000, 500)
    count = size.of(10_000, 1_000)
    outcome: Outcome = []
    with programs.Sink() as sink, programs.folder() as kept:
        original = kept / "record.db"
        filled.record(f"sqlite:///{original}", findings, 100, owed)
        sides = {"twokey": lambda: empty(sink), "imports": imports, "loaded": lambda: loaded(sink, original)}
        starts = measure.interleaved(size, sides)
        growing = {"twokey": lambda: grown(sink, count)}
        try:
            programs.program("prometheus-alertmanager")
            growing["Alertmanager"] = lambda: alertmanager(sink, count)
        except AbsentError as absent:
            outcome.append(Skipped("B11", "Alertmanager", str(absent)))
        grew = measure.interleaved(Size(size.is_short, min(size.rounds, 3)), growing)
    starts["empty"] = starts["twokey"]
    what = f"start to ready, {findings:,} findings and {owed:,} messages owed"
    outcome += [
        compared("B10", "start to ready, empty", "ms", starts, "ms", peer="imports", goal=at_most(1.6)),
        compared(
            "B10", "start to ready, empty", "ms", starts, "ms", goal=at_most(1700), stretch=at_most(1000)
        ),
        compared("B10", what, "ms", starts, "ms", ours="loaded", peer="empty", goal=at_most(1.5)),
        compared("B11", "memory, idle", "MiB", starts, "MiB", peer="imports", goal=at_most(1.2)),
        compared("B11", "memory, idle", "MiB", starts, "MiB", goal=at_most(185), stretch=at_most(110)),
        compared("B11", f"memory, growth over {count:,} findings", "MiB", grew, "growth", goal=at_most(30)),
    ]
    if "Alertmanager" in grew:
        what = f"memory after {count:,} findings"
        outcome.append(compared("B11", what, "MiB", grew, "after", peer="Alertmanager"))
    return outcome


if __name__ == "__main__":
    measure.main(run, __doc__)
