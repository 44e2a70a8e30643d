"""A bot that is cut off at a named crash point: killed as by kill -9, or stopped as by SIGSTOP until SIGCONT.

`python -m tests.lab.crash_injection serve NAME [COUNT]`. NAME `~NAME` stops instead of killing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tests.lab import fault_injection, sqlite_vfs
from twokey import app, settings

STOPS = "~"


class CutOffAt:
    """A checkpoint at which the process is cut off without any warning, the given time it is passed."""

    def __init__(self, name: str, count: int = 1) -> None:
        self._signal = signal.SIGSTOP if name.startswith(STOPS) else signal.SIGKILL
        self._name, self._left = name.removeprefix(STOPS), count

    def __call__(self, name: str) -> None:
        """Pass, or be cut off."""
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                # To this thread: sent to the process, another may take it while this one runs on for a while.
                signal.pthread_kill(threading.get_ident(), self._signal)


def run(arguments: Sequence[str]) -> None:
    """Serve or work, until the checkpoint where one is named."""
    command, *at = arguments
    if place := os.environ.get(fault_injection.PLACE):
        fault_injection.begin(Path(place))
    if sqlite_vfs.ORDER in os.environ:
        sqlite_vfs.obey()
    do = {"serve": app.serve, "worker": app.work}[command]
    if at:
        do(settings.load(), checkpoint=CutOffAt(at[0], int(at[1]) if len(at) > 1 else 1))
    else:
        do(settings.load())


if __name__ == "__main__":
    run(sys.argv[1:])
