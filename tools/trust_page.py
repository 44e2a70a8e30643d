"""Put the figures of docs/why/figures/trials.json into docs/why/trust.md, or with --check fail when they differ."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

WHY = Path(__file__).resolve().parents[1] / "docs" / "why"
PAGE, FIGURES = WHY / "trust.md", WHY / "figures" / "trials.json"
_SPAN = re.compile(r"<!-- tried: (?P<id>[SR]\d+) -->\n.*?<!-- end -->", re.DOTALL)
_ENOUGH = 30  # the rule of three says nothing about a handful


def merged(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the figures by id: tests that prove the same words are one line."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        line = found.setdefault(
            (row["id"], row["promise"]),
            {"promise": row["promise"], "trials": 0, "broken": 0, "outcomes": Counter()},
        )
        line["trials"] += row["trials"]
        line["broken"] += row["result"] != "held"
        line["outcomes"].update(row["outcomes"])
    lines: dict[str, list[dict[str, Any]]] = {}
    for (name, _), line in sorted(found.items()):
        lines.setdefault(name, []).append(line)
    return lines


def table(lines: list[dict[str, Any]]) -> str:
    """Return what was tried, how often, and what came out, as Markdown."""
    if not lines:
        return "*Not counted yet.*\n"
    rows = ["| tried | times | came out |", "| --- | --- | --- |"]
    for line in lines:
        outcomes = ", ".join(f"{name} {count:,}" for name, count in sorted(line["outcomes"].items()))
        held = "BROKEN" if line["broken"] else "held every time"
        bound = f"; fails in fewer than 1 of {line['trials'] // 3:,}" if line["trials"] >= _ENOUGH else ""
        came = f"{held}{'' if line['broken'] else bound}" + (f" ({outcomes})" if outcomes else "")
        rows.append(f"| {_cell(line['promise'])} | {line['trials']:,} | {_cell(came)} |")
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
    new = filled(page, merged(json.loads(FIGURES.read_text(encoding="utf-8"))))
    if "--check" in sys.argv:
        if new != page:
            raise SystemExit(f"{PAGE.name} has other figures than {FIGURES.name}: tools/trust_page.py")
        return
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
