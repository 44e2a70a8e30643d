"""`python -m twokey.history trail.jsonl --cloud cloud.jsonl --slack slack.jsonl`: did the promises hold?

Ends with 0 when every promise held, with 1 when one was broken, with 2 when something could not be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from twokey.history.report import report


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge the files that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m twokey.history", description=__doc__)
    parser.add_argument("export", type=Path, help="what `twokey audit export` wrote")
    parser.add_argument("--cloud", type=Path, action="append", default=[], help="a cloud's own log")
    parser.add_argument("--slack", type=Path, help="the chat's own log")
    parser.add_argument("--head", default="", help="SEQ:HASH that was posted outside")
    parser.add_argument(
        "--passkeys", type=Path, help="public keys: what `twokey roster passkeys --json` wrote"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args(arguments)
    files = (given.export, given.cloud, given.slack)
    return report(*files, given.head, given.passkeys, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
