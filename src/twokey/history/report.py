"""Judge files and print the result: what `python -m twokey.history` and `twokey audit judge` both do."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from twokey.history.handed_out import read
from twokey.history.promises import PROMISES, judge
from twokey.history.signatures import public_keys


def report(
    export: Path,
    cloud: Sequence[Path] = (),
    slack: Path | None = None,
    head: str = "",
    passkeys: Path | None = None,
    *,
    as_json: bool = False,
) -> int:
    """Return 0 when every promise held, 1 when one was broken, 2 when something could not be read."""
    try:
        seq, _, digest = head.partition(":")
        history = read(
            _lines(export),
            [line for file in cloud for line in _lines(file)],
            _lines(slack) if slack else None,
            (int(seq), digest.lower()) if head else None,
        )
        if passkeys:
            history = replace(history, passkeys=public_keys(_lines(passkeys)))
        broken = judge(history)
    except (OSError, ValueError, KeyError, TypeError) as fault:
        print(f"this could not be read: {type(fault).__name__}: {fault}", file=sys.stderr)
        return 2
    if as_json:
        rows = [{"promise": v.promise, "seq": v.seq, "says": v.says} for v in broken]
        print(json.dumps({"held": not broken, "entries": len(history.entries), "broken": rows}))
    else:
        for name, promise in PROMISES.items():
            against = [violation for violation in broken if violation.promise == name]
            print(f"{'BROKEN' if against else 'held':<8}{name:<20}{promise}")
            for violation in against[:20]:
                print(f"        entry {violation.seq}: {violation.says}")
        writes = sum(call.is_effect for call in history.cloud)
        print(f"{len(history.entries)} entries, {len(history.plans())} plans, {writes} effects in the clouds")
    return 1 if broken else 0


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").split("\n")
