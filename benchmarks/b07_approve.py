"""B7: from the second approver's click to a run that is on record as started, the cloud costing nothing."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import measure
import programs
from b06_slash import bare_bolt, signed
from measure import AbsentError, Figures, Outcome, Row, Size, Skipped, at_most, compared, percentile, spread


class Stubbed:
    """stubbed_bot.py as a process, and what it tells."""

    def __init__(self, home: Path, sink: programs.Sink, count: int) -> None:
        self.port = programs.free_port()
        command = [sys.executable, str(programs.HERE / "stubbed_bot.py"), str(home), sink.url, str(self.port)]
        self.process = subprocess.Popen([*command, str(count)], stdout=subprocess.PIPE, text=True)
        self.plans: list[dict[str, str]] = json.loads(self._line())
        self._number = 0
        for _ in range(600):
            try:
                http.client.HTTPConnection("127.0.0.1", self.port, timeout=2).connect()
                break
            except OSError:
                time.sleep(0.05)

    def _line(self) -> str:
        assert self.process.stdout is not None
        alarm = threading.Timer(120, self.process.kill)  # a refusal would let us wait for ever
        alarm.start()
        line = self.process.stdout.readline()
        alarm.cancel()
        if not line:
            raise RuntimeError("the stubbed bot ended")
        return line

    def _told(self, name: str) -> tuple[int, float]:
        while True:
            found, monotonic, wall = self._line().split()
            if found == name:
                return int(monotonic), float(wall)

    def approve(self) -> tuple[float, float, float]:
        """Turn the second key on the next plan; return milliseconds, and the wall clock at both ends."""
        plan = self.plans[self._number]
        self._number += 1
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        begin, wall = time.monotonic_ns(), time.time()
        signed(link, submission(plan, f"{self._number:05d}7"))
        claimed, at = self._told("run:claimed")
        self._told("run:finish")
        time.sleep(0.05)  # the run's last entries
        link.close()
        return (claimed - begin) / 1e6, wall, at


@contextmanager
def stubbed(sink: programs.Sink, count: int) -> Iterator[Stubbed]:
    """Run it with so many plans that wait for their second key."""
    with programs.folder() as home:
        running = Stubbed(home, sink, count)
        try:
            yield running
        finally:
            programs.end(running.process)


def submission(plan: dict[str, str], code: str) -> dict[str, str]:
    """Return what Slack posts when the modal is sent."""
    typed = {"type": "plain_text_input", "value": plan["typed"]}
    values = {
        "typed": {"typed": typed},
        "code": {"code": {"type": "plain_text_input", "value": code}},
        "checked": {"checked": {"type": "checkboxes", "selected_options": [{"value": "yes"}]}},
    }
    view = {
        "id": f"V{code}",
        "hash": code,
        "type": "modal",
        "callback_id": "plan_approve",
        "private_metadata": plan["notes"],
        "state": {"values": values},
    }
    body = {
        "type": "view_submission",
        "team": {"id": programs.TEAM},
        "user": {"id": "U0BEN", "team_id": programs.TEAM},
        "trigger_id": f"1.{code}",
        "api_app_id": "A1",
        "view": view,
    }
    return {"payload": json.dumps(body)}


def approved(running: Stubbed, count: int) -> Figures:
    """Approve plan after plan."""
    took = [running.approve()[0] for _ in range(count)]
    return {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99)}


def bare(port: int, count: int) -> Figures:
    """Send the same modal to a Bolt that acknowledges and does nothing."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    plan = {"typed": "x", "notes": "{}"}
    took = []
    for number in range(count):
        took.append(signed(link, submission(plan, f"{number:05d}7")))
        time.sleep(0.05)
    return {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99)}


def synced(sink: programs.Sink, count: int) -> float:
    """Count the fsyncs between a click and its run's beginning."""
    strace = programs.program("strace")
    with stubbed(sink, count) as running, programs.folder() as home:
        log = home / "strace.txt"
        command = [
            strace,
            "-f",
            "-ttt",
            "-e",
            "trace=fsync,fdatasync",
            "-o",
            str(log),
            "-p",
            str(running.process.pid),
        ]
        watch = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert watch.stderr is not None
        if "attached" not in (first := watch.stderr.readline()):
            watch.wait(10)
            raise AbsentError(f"strace may not watch here: {first.strip()[:100]}")
        time.sleep(0.5)
        spans = [running.approve()[1:] for _ in range(count)]
        watch.terminate()
        watch.wait(30)
        moments = [
            float(at) for at in re.findall(r"^\d+\s+(\d+\.\d+) (?:fsync|fdatasync)\(", log.read_text(), re.M)
        ]
    return sum(begin <= at <= end for begin, end in spans for at in moments) / count


def run(size: Size) -> Outcome:
    """Measure in turns."""
    count = size.of(60, 12)
    with programs.Sink() as sink, programs.folder() as home:
        with stubbed(sink, count * size.rounds) as running, bare_bolt(home) as bolt:
            figures = measure.interleaved(
                size, {"twokey": lambda: approved(running, count), "bare Bolt": lambda: bare(bolt, count)}
            )
        try:
            counted: Row | Skipped = Row(
                "B7",
                "fsyncs from second click to run started",
                "",
                spread([synced(sink, size.of(20, 5))]),
                goal=at_most(3),
            )
        except AbsentError as absent:
            counted = Skipped("B7", "fsyncs", str(absent))
    what = "second click to run started"
    return [
        compared("B7", what + ", p50", "ms", figures, "p50", peer="bare Bolt"),
        compared("B7", what + ", p99", "ms", figures, "p99", peer="bare Bolt", goal=at_most(4)),
        compared("B7", what + ", p99", "ms", figures, "p99", goal=at_most(60), stretch=at_most(25)),
        counted,
    ]


if __name__ == "__main__":
    measure.main(run, __doc__)
