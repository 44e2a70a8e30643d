"""A pytest plug-in that counts trials: which promise, how often it was tried, what came out; one seed repeats a run.

`pytest --proof=release` runs the counts of a release, `--proof-seed=N` another series, `--proof-trial=K` only the
trial that failed, `--proof-file=FILE` adds the figures to a JSON file. The pages in docs/why take theirs from there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

_ROW = "twokey.proof"


@dataclass
class Trials:
    """The trials of one promise: iterate over them, and say what came out of each where there is more than one way."""

    id: str  # S17, R1: as docs/why/trust.md names it
    promise: str
    test: str
    wanted: int
    seed: int
    only: int | None = None
    number: int = 0  # of the trial in hand
    done: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    def __iter__(self) -> Iterator[Random]:
        """Give each trial its own randomness: the same for the same seed, promise, test and number."""
        for number in range(self.wanted) if self.only is None else [self.only]:
            self.number = number
            random = Random(f"{self.seed}/{self.id}/{self.test}/{number}")
            try:
                yield random
            except GeneratorExit:
                # the trial failed or the loop was left: it is not counted, and pytest shows this line
                print(
                    f"{self.id}: trial {number} of seed {self.seed} (--proof-seed={self.seed} --proof-trial={number})"
                )
                raise
            self.done += 1

    def outcome(self, name: str, times: int = 1) -> None:
        """Count what came out of a trial."""
        self.outcomes[name] += times

    def count(self, times: int) -> None:
        """Count trials that somebody else makes, hypothesis for example."""
        self.done += times

    def row(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return {
            "id": self.id,
            "promise": self.promise,
            "test": self.test,
            "trials": self.done,
            "outcomes": dict(sorted(self.outcomes.items())),
            "seed": self.seed,
        }


class Proof:
    """Opens a series of trials: `for random in proof("S17", "a changed entry is found", ci=100, release=10_000):`."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self.opened: list[Trials] = []

    @property
    def is_release(self) -> bool:
        """Say whether the long counts are wanted."""
        return bool(self._request.config.getoption("--proof") == "release")

    def __call__(self, id: str, promise: str, *, ci: int = 1, release: int | None = None) -> Trials:
        """Return the trials of one promise; `release` is `ci` where it is not given."""
        config = self._request.config
        trials = Trials(
            id,
            promise,
            self._request.node.name,
            release if release is not None and self.is_release else ci,
            config.getoption("--proof-seed"),
            config.getoption("--proof-trial"),
        )
        self.opened.append(trials)
        return trials


@pytest.fixture
def proof(request: pytest.FixtureRequest) -> Iterator[Proof]:
    """Count the trials of this test under the promise that they prove."""
    opened = Proof(request)
    yield opened
    for trials in opened.opened:
        # pytest-xdist carries these to the process that prints
        request.node.user_properties.append((_ROW, trials.row()))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the plug-in's options."""
    group = parser.getgroup("proof", "trials of promises")
    group.addoption(
        "--proof", choices=("ci", "release"), default="ci", help="how many trials: of CI, or of a release"
    )
    group.addoption("--proof-seed", type=int, default=1, help="the seed of every trial's randomness")
    group.addoption("--proof-trial", type=int, default=None, help="run only the trial of this number")
    group.addoption("--proof-file", type=Path, default=None, help="add the figures to this JSON file")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table of promises, trials and outcomes, and keep it where a file is named."""
    rows = _rows(terminalreporter)
    if not rows:
        return
    terminalreporter.section("promises tried")
    for row in _merged(rows):
        outcomes = ", ".join(f"{name} {count:,}" for name, count in row["outcomes"].items())
        line = f"{row['id']:<5}{row['result']:<8}{row['trials']:>8,}  {row['promise']}"
        terminalreporter.write_line(f"{line} ({outcomes})" if outcomes else line)
    file = config.getoption("--proof-file")
    if file is not None:
        _keep(file, rows)


def _rows(reporter: Any) -> list[dict[str, Any]]:
    """Return every test's figures; a report of the teardown carries them, and a failed call spoils them."""
    failed = {
        report.nodeid for report in (*reporter.stats.get("failed", ()), *reporter.stats.get("error", ()))
    }
    rows: list[dict[str, Any]] = []
    for reports in reporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") != "teardown":
                continue
            for name, row in report.user_properties:
                if name == _ROW:
                    rows.append({**row, "result": "BROKEN" if report.nodeid in failed else "held"})
    return sorted(rows, key=_order)


def _merged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row a promise: several tests, or one for many cases, may prove the same words."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        line = found.setdefault((row["id"], row["promise"]), {**row, "trials": 0, "outcomes": Counter()})
        line["trials"] += row["trials"]
        line["outcomes"] = line["outcomes"] + Counter(row["outcomes"])
        line["result"] = "held" if line["result"] == row["result"] == "held" else "BROKEN"
    return list(found.values())


def _order(row: dict[str, Any]) -> tuple[str, int, str]:
    """S2 comes before S10."""
    return row["id"][:1], int(row["id"][1:]), row["test"]


def _keep(file: Path, rows: list[dict[str, Any]]) -> None:
    """Put the figures into the file, in place of older ones of the same tests."""
    earlier = json.loads(file.read_text()) if file.exists() else []
    kept = {(row["id"], row["test"]): row for row in (*earlier, *rows)}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(sorted(kept.values(), key=_order), indent=2) + "\n")
