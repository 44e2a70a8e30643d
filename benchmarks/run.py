"""Every benchmark, one after the other, each in a process of its own: `python benchmarks/run.py [--short]`.

Prints one table and writes one JSON document; without `--json` the full form writes the one that the page is made of.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import measure
from measure import Outcome, Size, Skipped, rows_of

HERE = Path(__file__).parent
FIGURES = HERE.parent / "docs" / "why" / "figures" / "benchmarks.json"
PATIENCE_S = 3600


def scripts() -> list[Path]:
    """Return the benchmarks in the order of their numbers."""
    return sorted(HERE.glob("b[0-9][0-9]_*.py"))


def measured(script: Path, size: Size) -> Outcome:
    """Run one benchmark; one that fails is a line of the table too."""
    with tempfile.TemporaryDirectory() as home:
        kept = Path(home) / "figures.json"
        command = [sys.executable, str(script), "--json", str(kept), "--rounds", str(size.rounds)]
        ran = subprocess.run(
            [*command, *(["--short"] if size.is_short else [])],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        if ran.returncode:
            last = (ran.stderr.strip().splitlines() or ["no word"])[-1]
            return [Skipped(script.stem, "all of it", f"failed: {last[:300]}")]
        found: dict[str, Any] = json.loads(kept.read_text())
    return [*rows_of(found), *(Skipped(**one) for one in found["skipped"])]


def main() -> int:
    """Measure, tell, and say with the exit code whether anything failed."""
    parser = measure.options(__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="comma separated, e.g. b01,b14")
    given = parser.parse_args()
    size, wanted = measure.size_of(given), tuple(given.only.split(",")) if given.only else ("b",)
    outcome: Outcome = []
    for script in scripts():
        if script.stem.startswith(wanted):
            print(f"{script.stem} ...", file=sys.stderr, flush=True)
            outcome += measured(script, size)
    print(measure.told(outcome))
    place = given.json or (None if size.is_short or given.only else FIGURES)
    if place:
        place.parent.mkdir(parents=True, exist_ok=True)
        found = measure.document(outcome, size)
        place.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return any(isinstance(one, Skipped) and one.why.startswith("failed") for one in outcome)


if __name__ == "__main__":
    sys.exit(main())
