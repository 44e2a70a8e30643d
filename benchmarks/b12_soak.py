"""B12: a hundred notifications a second for minutes: does memory, a descriptor, a thread or an answer creep?"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import events
import measure
import programs
from measure import Outcome, Row, Size, at_most, percentile, spread

PACE = 100
MATTERS = 50  # so many incidents that all of it is about


class Watch:
    """Looks at a process every second, beside the load."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self.seen: list[tuple[float, int, int]] = []  # MiB, descriptors, threads
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        place = Path(f"/proc/{self._pid}")
        while not self._over.wait(1):
            descriptors = len(list((place / "fd").iterdir()))
            threads = len(list((place / "task").iterdir()))
            self.seen.append((programs.memory(self._pid), descriptors, threads))


def typical(values: list[float]) -> float:
    """Return the median of some samples."""
    return percentile(values, 0.5)


def run(size: Size) -> Outcome:
    """Measure once: rounds would each begin anew, and creeping needs time."""
    asked = os.environ.get("TWOKEY_BENCH_SOAK_S", "")
    seconds = int(asked) if asked else size.of(300, 15)
    bodies = programs.lines(
        [events.outage(number, matter=number % MATTERS) for number in range(seconds * PACE)]
    )
    with programs.Sink() as sink, programs.folder() as home, programs.bot(home, sink) as bot:
        programs.post(bot.door, programs.lines([events.outage(10**6 + n) for n in range(50)]), home)
        time.sleep(1)
        with Watch(bot.process.pid) as watch:
            answers = programs.post(bot.door, bodies, home, pace=PACE)
        if answers["bad"]:
            raise RuntimeError(f"{answers['bad']} were not taken in")
    part = max(1, len(watch.seen) // 5)
    early, late = watch.seen[part : 2 * part], watch.seen[-part:]
    grown = typical([one[0] for one in late]) - typical([one[0] for one in early])
    took, minute = answers["took_ms"], min(60, max(1, seconds // 5)) * PACE
    drift = percentile(took[-minute:], 0.99) / percentile(took[:minute], 0.99)
    what = f"soak of {seconds} s at {PACE}/s: "
    return [
        Row("B12", what + "memory, last fifth over second fifth", "MiB", spread([grown]), goal=at_most(10)),
        Row("B12", what + "more descriptors", "", spread([_more(early, late, 1)]), goal=at_most(4)),
        Row("B12", what + "more threads", "", spread([_more(early, late, 2)]), goal=at_most(4)),
        Row("B12", what + "p99 of an answer, last over first", "×", spread([drift]), goal=at_most(1.5)),
    ]


def _more(early: list[tuple[float, int, int]], late: list[tuple[float, int, int]], at: int) -> float:
    return max(0.0, typical([float(one[at]) for one in late]) - typical([float(one[at]) for one in early]))


if __name__ == "__main__":
    measure.main(run, __doc__)
