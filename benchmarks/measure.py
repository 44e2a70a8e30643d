"""What every benchmark shares: interleaved rounds, percentiles, goals, the table and the JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # `tests.lab` is of the checkout, not installed

Figures = Mapping[str, float]
ROUNDS, SHORT_ROUNDS = 5, 3


class AbsentError(Exception):
    """A peer, or a tool, is not installed: the comparison is left out, and says so."""


@dataclass(frozen=True)
class Size:
    """How much is measured: all of it, or the quick form whose ratios only have to be plausible."""

    is_short: bool = False
    rounds: int = ROUNDS

    def of(self, full: int, short: int) -> int:
        """Return a count for this form."""
        return short if self.is_short else full


@dataclass(frozen=True)
class Limit:
    """What a figure must not leave: `most` or `least` it may be."""

    most: float | None = None
    least: float | None = None

    def holds(self, value: float, slack: float = 1.0) -> bool:
        """Say whether a value keeps within the limit, made `slack` times wider."""
        if self.most is not None and value > self.most * slack:
            return False
        return self.least is None or value >= self.least / slack

    def __str__(self) -> str:
        if self.most is not None:
            return f"≤ {shown(self.most)}"
        return f"≥ {shown(self.least)}" if self.least is not None else ""


def at_most(value: float) -> Limit:
    """Limit a figure from above."""
    return Limit(most=value)


def at_least(value: float) -> Limit:
    """Limit a figure from below."""
    return Limit(least=value)


@dataclass(frozen=True)
class Spread:
    """One figure over all rounds."""

    median: float
    least: float
    most: float
    rounds: int


def spread(values: Sequence[float]) -> Spread:
    """Return median, smallest and largest of the rounds."""
    return Spread(statistics.median(values), min(values), max(values), len(values))


@dataclass(frozen=True)
class Row:
    """One line of the table. The goal is about the ratio where there is a peer, else about our own figure."""

    bench: str
    what: str
    unit: str
    ours: Spread
    peer: str = ""
    theirs: Spread | None = None
    ratio: Spread | None = None
    goal: Limit = field(default_factory=Limit)
    stretch: Limit = field(default_factory=Limit)
    note: str = ""

    @property
    def judged(self) -> float:
        """Return the figure that the goal is about."""
        return self.ratio.median if self.ratio else self.ours.median

    def met(self) -> str:
        """Say in one word how it went."""
        if self.goal == Limit():
            return ""
        if not self.goal.holds(self.judged):
            return "no"
        return "stretch" if self.stretch != Limit() and self.stretch.holds(self.judged) else "goal"


@dataclass(frozen=True)
class Skipped:
    """What was not measured, and why."""

    bench: str
    what: str
    why: str


Outcome = list[Row | Skipped]
Side = Callable[[], Figures]


def interleaved(size: Size, sides: Mapping[str, Side]) -> dict[str, list[Figures]]:
    """Run every side once a round, in turns and each round in the other direction.

    What else the machine does then falls on all of them, so that ratios within one round hold.
    """
    figures: dict[str, list[Figures]] = {name: [] for name in sides}
    for number in range(size.rounds):
        order = list(sides) if number % 2 == 0 else list(reversed(sides))
        for name in order:
            figures[name].append(sides[name]())
    return figures


def compared(
    bench: str,
    what: str,
    unit: str,
    figures: Mapping[str, Sequence[Figures]],
    figure: str,
    *,
    ours: str = "twokey",
    peer: str = "",
    theirs: str = "",
    goal: Limit | None = None,
    stretch: Limit | None = None,
    note: str = "",
) -> Row:
    """Make a row from one figure of the rounds; the ratio is ours to the peer's, round by round."""
    mine = [one[figure] for one in figures[ours]]
    other = [one[theirs or figure] for one in figures[peer]] if peer else []
    return Row(
        bench,
        what,
        unit,
        spread(mine),
        peer,
        spread(other) if other else None,
        spread([a / b for a, b in zip(mine, other, strict=True)]) if other else None,
        goal or Limit(),
        stretch or Limit(),
        note,
    )


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def shown(value: float | None) -> str:
    """Write a number with as many digits as it is worth."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table of Markdown."""
    head = ("id", "what", "ours", "peer", "ratio (min to max)", "goal", "stretch", "met")
    lines = [head, tuple("---" for _ in head)]
    for row in rows:
        theirs = f"{row.peer} {shown(row.theirs.median)}" if row.theirs else "–"
        ratio = "–"
        if row.ratio:
            ratio = f"{shown(row.ratio.median)} ({shown(row.ratio.least)} to {shown(row.ratio.most)})"
        ours = f"{shown(row.ours.median)} {row.unit}".rstrip()
        goal, stretch = str(row.goal), str(row.stretch)
        lines.append((row.bench, row.what, ours, theirs, ratio, goal, stretch, row.met()))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def document(outcome: Outcome, size: Size) -> dict[str, object]:
    """Return everything that was measured as JSON."""
    return {
        "form": "short" if size.is_short else "full",
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.system()},
        "load": round(os.getloadavg()[0], 1),
        "rows": [asdict(one) | {"met": one.met()} for one in outcome if isinstance(one, Row)],
        "skipped": [asdict(one) for one in outcome if isinstance(one, Skipped)],
    }


def rows_of(found: Mapping[str, object]) -> list[Row]:
    """Return the rows that a JSON document holds."""

    def part(kind: type, value: object) -> object:
        return kind(**value) if isinstance(value, dict) else value

    kinds = {"ours": Spread, "theirs": Spread, "ratio": Spread, "goal": Limit, "stretch": Limit}
    rows = []
    for one in found["rows"]:  # type: ignore[attr-defined]
        fields = {name: part(kinds.get(name, dict), value) for name, value in one.items() if name != "met"}
        rows.append(Row(**fields))
    return rows


def told(outcome: Outcome) -> str:
    """Return what people read."""
    lines = [table([one for one in outcome if isinstance(one, Row)])]
    lines += [
        f"not measured: {one.bench} {one.what}: {one.why}" for one in outcome if isinstance(one, Skipped)
    ]
    return "\n".join(lines)


def options(about: str) -> argparse.ArgumentParser:
    """Return the options that every script has."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--short", action="store_true", help="the quick form")
    parser.add_argument("--rounds", type=int, help="how many interleaved rounds")
    return parser


def size_of(given: argparse.Namespace) -> Size:
    """Return the size that the options ask for."""
    return Size(given.short, given.rounds or (SHORT_ROUNDS if given.short else ROUNDS))


def main(measure: Callable[[Size], Outcome], about: str | None) -> None:
    """Run one benchmark as a script."""
    given = options((about or "").partition("\n")[0]).parse_args()
    size = size_of(given)
    try:
        outcome = measure(size)
    except AbsentError as absent:
        outcome = [Skipped(Path(sys.argv[0]).stem, "all of it", str(absent))]
    print(told(outcome))
    if given.json:
        given.json.write_text(json.dumps(document(outcome, size), indent=1, ensure_ascii=False) + "\n")
