"""Crash injection: a bot that kills itself with SIGKILL at a named crash point, or stops itself with SIGSTOP.

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


class CrashAt:
    """A checkpoint that sends this process SIGKILL or SIGSTOP the `count`th time it is passed."""

    def __init__(self, name: str, count: int = 1) -> None:
        self._signal = signal.SIGSTOP if name.startswith(STOPS) else signal.SIGKILL
        self._name, self._left = name.removeprefix(STOPS), count

    def __call__(self, name: str) -> None:
        """Pass, or send the signal."""
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                # To this thread: sent to the process, another may take it while this one runs on for a while.
                signal.pthread_kill(threading.get_ident(), self._signal)


def run(arguments: Sequence[str]) -> None:
    """Run `serve` or `worker`, with the faults that the arguments and the environment name."""
    command, *at = arguments
    if folder := os.environ.get(fault_injection.FOLDER):
        fault_injection.listen(Path(folder))
    if sqlite_vfs.FAULT_FILE in os.environ:
        sqlite_vfs.inject_faults()
    do = {"serve": app.serve, "worker": app.work}[command]
    if at:
        do(settings.load(), checkpoint=CrashAt(at[0], int(at[1]) if len(at) > 1 else 1))
    else:
        do(settings.load())


if __name__ == "__main__":
    run(sys.argv[1:])
