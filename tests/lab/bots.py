"""Bot processes with injected faults: killed or stopped at a crash point, or with a skewed clock."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab import import_path
from tests.lab.fork_server import ForkedProcess, ForkServer
from twokey.demo.bot import Bot


@dataclass
class FaultyBot(Bot):
    """`dies_at` names a crash point (see `twokey.flow.crashpoints`) at which the process kills itself with
    SIGKILL, the `dies_at_count`th time it comes there; `~` before the name stops it until SIGCONT instead.

    With a `fork_server` it is forked there, which takes no time. `clock` names a file with the seconds by which the
    process' clock is ahead: it may be written while the process runs.
    """

    dies_at: str = ""
    dies_at_count: int = 1
    fork_server: ForkServer | None = None
    clock: Path | None = None

    def _launch(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes] | ForkedProcess:
        order = [self.command, *((self.dies_at, str(self.dies_at_count)) if self.dies_at else ())]
        if self.fork_server is not None:
            return self.fork_server.start(order, self.folder, environment, self.log)
        if self.clock is not None:
            module = ["tests.lab.clock_skew", self.command, str(self.clock)]
        else:
            module = ["tests.lab.crash_injection", *order] if self.dies_at else ["twokey", self.command]
        return self._run_module(module, import_path() | dict(environment))
