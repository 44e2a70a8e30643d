"""A pytest plug-in that counts trials: which promise, how often it was tried, what came out; one seed repeats a run.

`pytest --proof=release` runs the counts of a release, `--proof-seed=N` another series, `--proof-trial=K` only the
trial that failed. `--proof-file=FILE` adds the figures to a JSON file, those of a test as soon as it has ended, and
`--proof-resume` leaves out what held there with the same counts and seed: a run of hours may be cut off. The pages in
docs/why take their figures from such files.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
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
    counts: str = "ci"  # whose: of CI, or of a release
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
            "counts": self.counts,
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
            self._request.node.nodeid,
            release if release is not None and self.is_release else ci,
            config.getoption("--proof-seed"),
            config.getoption("--proof-trial"),
            config.getoption("--proof"),
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
    group.addoption("--proof-resume", action="store_true", help="leave out the tests that held in that file")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the figures as they come, in the process that hears of all tests."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Keeper(config), "twokey-proof-keeper")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what held in an earlier run that was cut off."""
    if not config.getoption("--proof-resume"):
        return
    settled = _held(_read(config.getoption("--proof-file")), config)
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in settled])
    items[:] = [item for item in items if item.nodeid not in settled]


class _Keeper:
    """Tells and keeps what each test tried as soon as it has ended, and prints the table at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._failed: set[str] = set()
        self._file: Path | None = config.getoption("--proof-file")
        if config.getoption("--proof-resume") and self._file is None:
            raise pytest.UsageError("--proof-resume goes on with the file that --proof-file names: name one")
        self._rows = _read(self._file) if config.getoption("--proof-resume") else []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the figures from the report of the teardown; a failure before it spoils them."""
        if report.failed:
            self._failed.add(report.nodeid)
        if report.when != "teardown":
            return
        result = "BROKEN" if report.nodeid in self._failed else "held"
        properties: list[tuple[str, Any]] = report.user_properties
        rows = [{**row, "result": result} for name, row in properties if name == _ROW]
        if not rows:
            return
        self._rows = _joined(self._rows, rows)
        if self._file is not None:
            _write(self._file, _joined(_read(self._file), rows))
        if self._config.getoption("--proof") == "release":  # for hours: say how far it has come
            self._say(rows)

    def _say(self, rows: list[dict[str, Any]]) -> None:
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        reporter.ensure_newline()
        for row in rows:
            now = datetime.now().astimezone().strftime("%H:%M:%S")
            reporter.write_line(f"{now} {row['id']:<4} {row['result']:<6} {row['trials']:>7,}  {row['test']}")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the table of promises, trials and outcomes."""
        if not self._rows:
            return
        terminalreporter.section("promises tried")
        for row in _merged(self._rows):
            outcomes = ", ".join(f"{name} {count:,}" for name, count in row["outcomes"].items())
            line = f"{row['id']:<5}{row['result']:<8}{row['trials']:>8,}  {row['promise']}"
            terminalreporter.write_line(f"{line} ({outcomes})" if outcomes else line)


def _held(rows: list[dict[str, Any]], config: pytest.Config) -> set[str]:
    """Name the tests of which every promise held, with the counts and the seed of this run."""
    wanted = (config.getoption("--proof"), config.getoption("--proof-seed"))
    tests = {row["test"] for row in rows}
    return tests - {
        row["test"] for row in rows if row["result"] != "held" or (row["counts"], row["seed"]) != wanted
    }


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


def _joined(earlier: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put figures in place of older ones of the same tests."""
    tests = {row["test"] for row in rows}
    return sorted([*(row for row in earlier if row["test"] not in tests), *rows], key=_order)


def _read(file: Path | None) -> list[dict[str, Any]]:
    return json.loads(file.read_text(encoding="utf-8")) if file is not None and file.exists() else []


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    """Write the file anew; one that is cut off leaves the old one whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    new.replace(file)
