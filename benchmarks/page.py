"""Puts the figures of `make bench` into docs/why/speed.md, or checks that they agree: `python page.py [--check]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import measure
from measure import Row
from run import FIGURES

PAGE = FIGURES.parents[1] / "speed.md"
BEGIN, END = "<!-- figures: made by benchmarks/page.py -->", "<!-- end of figures -->"


def section(figures: Path = FIGURES) -> str:
    """Return the part of the page that the figures decide."""
    found = json.loads(figures.read_text(encoding="utf-8"))
    rows: list[Row] = measure.rows_of(found)
    judged = [row for row in rows if row.met()]
    kept = sum(row.met() != "no" for row in judged)
    where, rounds = found["machine"], max(row.ours.rounds for row in rows)
    form = "the quick form, " if found["form"] == "short" else ""
    lines = [
        f"{kept} of {len(judged)} goals were met, in {form}up to {rounds} interleaved rounds on {where['cpus']}"
        f" processors with Python {where['python']}, with a load of {found['load']} when it ended.",
        "",
        measure.table(rows),
    ]
    if found["skipped"]:
        lines += ["", "Not measured:", ""]
        lines += [f"- {one['bench']}, {one['what']}: {one['why']}" for one in found["skipped"]]
    return "\n".join(lines)


def page(text: str) -> str:
    """Return the page with the present figures in it."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{section()}\n\n{END}{rest.partition(END)[2]}"


def main() -> int:
    """Write, or check."""
    text = PAGE.read_text(encoding="utf-8")
    made = page(text)
    if "--check" in sys.argv:
        if made != text:
            print("docs/why/speed.md does not say what figures/benchmarks.json says: run `make bench-page`")
        return made != text
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
