"""`python -m twokey.history trail.jsonl --cloud cloud.jsonl --slack slack.jsonl`: did the promises hold?

Ends with 0 when every promise held, with 1 when one was broken, with 2 when something could not be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from twokey.history import PROMISES, History, Violation, judge, read


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge files, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m twokey.history", description=__doc__)
    parser.add_argument("export", type=Path, help="what `twokey audit export` wrote")
    parser.add_argument("--cloud", type=Path, action="append", default=[], help="a cloud's own log")
    parser.add_argument("--slack", type=Path, help="the chat's own log")
    parser.add_argument("--head", default="", help="SEQ:HASH that was posted outside")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args(arguments)
    try:
        history = read(
            _lines(given.export),
            [line for file in given.cloud for line in _lines(file)],
            _lines(given.slack) if given.slack else None,
            _head(given.head),
        )
        broken = judge(history)
    except (OSError, ValueError, KeyError, TypeError) as fault:
        print(f"this could not be read: {type(fault).__name__}: {fault}", file=sys.stderr)
        return 2
    if given.json:
        rows = [{"promise": v.promise, "seq": v.seq, "says": v.says} for v in broken]
        print(json.dumps({"held": not broken, "entries": len(history.entries), "broken": rows}))
    else:
        _print(history, broken)
    return 1 if broken else 0


def _print(history: History, broken: Sequence[Violation]) -> None:
    for name, promise in PROMISES.items():
        against = [violation for violation in broken if violation.promise == name]
        print(f"{'BROKEN' if against else 'held':<8}{name:<20}{promise}")
        for violation in against[:20]:
            print(f"        entry {violation.seq}: {violation.says}")
    writes = sum(call.is_effect for call in history.cloud)
    print(f"{len(history.entries)} entries, {len(history.plans())} plans, {writes} effects in the clouds")


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").split("\n")


def _head(text: str) -> tuple[int, str] | None:
    seq, _, digest = text.partition(":")
    return (int(seq), digest.lower()) if text else None


if __name__ == "__main__":
    sys.exit(main())
