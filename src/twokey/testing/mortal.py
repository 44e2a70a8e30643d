"""A bot that kills itself at a named checkpoint: `python -m twokey.testing.mortal serve NAME [COUNT]`."""

from __future__ import annotations

import os
import signal
import sys

from twokey import app, settings


class DiesAt:
    """A checkpoint at which the process ends without any warning, the given time it is passed."""

    def __init__(self, name: str, count: int) -> None:
        self._name, self._left = name, count

    def __call__(self, name: str) -> None:
        """Pass, or die."""
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Serve or work, until the checkpoint."""
    command, name, *count = sys.argv[1:]
    checkpoint = DiesAt(name, int(count[0]) if count else 1)
    run = {"serve": app.serve, "worker": app.work}[command]
    run(settings.load(), checkpoint=checkpoint)


if __name__ == "__main__":
    main()
