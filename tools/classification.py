"""Write docs/reference/classification.md from a folder of recorded events and their labels (labels.csv)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # `tests.lab` is of the checkout, not installed

from tests.lab.confusion import judged, page
from twokey.catalog.rules import load_rules

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "classification.md"


def main() -> None:
    """Judge the events of a folder and write the page."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python tools/classification.py FOLDER (with labels.csv in it)")
    PAGE.write_text(page(judged(Path(sys.argv[1]), load_rules())), encoding="utf-8")


if __name__ == "__main__":
    main()
