"""Put the figures of docs/why/figures into docs/why/trust.md, or with --check fail when they differ.

trials.json is of the CI run, trials-release.json of the last whole `make faults`; a table shows both beside each other.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

WHY = Path(__file__).resolve().parents[1] / "docs" / "why"
PAGE = WHY / "trust.md"
FIGURES = {"ci": WHY / "figures" / "trials.json", "release": WHY / "figures" / "trials-release.json"}
_SPAN = re.compile(r"<!-- tried: (?P<id>[SR]\d+) -->\n.*?<!-- end -->", re.DOTALL)
_ENOUGH = 30  # the rule of three says nothing about a handful


def merged(ci: list[dict[str, Any]], release: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the figures by id: tests that prove the same words are one line, with the trials of both runs."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for counts, rows in (("ci", ci), ("release", release)):
        for row in rows:
            key = (row["id"], row["promise"])
            line = found.setdefault(key, {"promise": row["promise"], "broken": 0})
            line["broken"] += row["result"] != "held"
            line[counts] = line.get(counts, 0) + row["trials"]
            line.setdefault(f"{counts} outcomes", Counter()).update(row["outcomes"])
    lines: dict[str, list[dict[str, Any]]] = {}
    for (name, _), line in sorted(found.items()):
        lines.setdefault(name, []).append(line)
    return lines


def table(lines: list[dict[str, Any]]) -> str:
    """Return what was tried, how often, and what came out of the longer run, as Markdown."""
    if not lines:
        return "*Not counted yet.*\n"
    rows = ["| tried | CI | release | came out |", "| --- | --- | --- | --- |"]
    for line in lines:
        longer = "release" if "release" in line else "ci"
        outcomes = ", ".join(
            f"{name} {count:,}" for name, count in sorted(line[f"{longer} outcomes"].items())
        )
        bound = f"; fails in fewer than 1 of {line[longer] // 3:,}" if line[longer] >= _ENOUGH else ""
        came = "BROKEN" if line["broken"] else f"held every time{bound}"
        came += f" ({outcomes})" if outcomes else ""
        tried = [f"{line[run]:,}" if run in line else "-" for run in FIGURES]
        rows.append(f"| {_cell(line['promise'])} | {' | '.join(tried)} | {_cell(came)} |")
    return "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def filled(page: str, figures: dict[str, list[dict[str, Any]]]) -> str:
    """Return the page with every figure in its place; a promise that was tried and has no place is an error."""
    places = [match["id"] for match in _SPAN.finditer(page)]
    if missing := sorted(set(figures) - set(places)):
        raise SystemExit(
            f"{PAGE.name}: no section for {', '.join(missing)}: say what is promised, and what not"
        )

    def put(match: re.Match[str]) -> str:
        name = match["id"]
        return f"<!-- tried: {name} -->\n{table(figures.get(name, []))}<!-- end -->"

    return _SPAN.sub(put, page)


def main() -> None:
    """Write the page, or look whether it is up to date."""
    page = PAGE.read_text(encoding="utf-8")
    figures = {run: json.loads(file.read_text(encoding="utf-8")) for run, file in FIGURES.items()}
    new = filled(page, merged(**figures))
    if "--check" in sys.argv:
        if new != page:
            files = " and ".join(file.name for file in FIGURES.values())
            raise SystemExit(f"{PAGE.name} has other figures than {files}: tools/trust_page.py")
        return
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
