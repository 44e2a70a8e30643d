"""A bot whose clock is moved while it runs: `python -m tests.lab.clock_skew serve FILE`, the file holds seconds."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from twokey import app, settings
from twokey.app.running import run_bot, run_worker


class ShiftedClock:
    """The machine's clock and so many seconds, as a file says at every look."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> datetime:
        """Return the shifted moment."""
        return datetime.now(UTC) + timedelta(seconds=float(self._file.read_text()))


def main() -> None:
    """Serve or work by that clock."""
    command, file = sys.argv[1:]
    run = {"serve": run_bot, "worker": run_worker}[command]
    run(app.build(settings.load(), clock=ShiftedClock(Path(file))))


if __name__ == "__main__":
    main()
