"""A bot whose clock is skewed while it runs: `python -m tests.lab.clock_skew serve FILE`, the file holds seconds."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from twokey import app, settings
from twokey.app.running import run_bot, run_worker


class SkewedClock:
    """The machine's clock plus an offset in seconds, read from a file each time."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> datetime:
        """Return the skewed time."""
        return datetime.now(UTC) + timedelta(seconds=float(self._file.read_text()))


def main() -> None:
    """Run `serve` or `worker` with that clock."""
    command, file = sys.argv[1:]
    run = {"serve": run_bot, "worker": run_worker}[command]
    run(app.build(settings.load(), clock=SkewedClock(Path(file))))


if __name__ == "__main__":
    main()
