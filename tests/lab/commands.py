"""Run many `twokey` commands, each a process of its own, forked from one that has imported the program.

A suite that runs a hundred commands would otherwise import the program a hundred times.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.lab import import_path
from tests.lab.forks import fork
from twokey import app

_IMPORTED_FIRST = (
    "twokey.cli",
    *("twokey.app.doctor", "twokey.app.running", "twokey.store", "twokey.store.leading", "alembic.command"),
    *("twokey.catalog.library", "twokey.catalog.roster", "twokey.catalog.rules", "twokey.publish.render"),
    *("twokey.providers.aws.session", "twokey.providers.azure.session", "twokey.engine.embedded"),
)


@dataclass(frozen=True, slots=True)
class CompletedCommand:
    """How a command ended: its exit code (negative: the signal), what it printed, how long and how large it was."""

    code: int
    out: str
    err: str
    seconds: float
    peak: int  # bytes of memory

    @property
    def output(self) -> str:
        """Return standard output and standard error."""
        return self.out + self.err


class Commands:
    """`with Commands() as shell:` and then `shell.run(folder, variables, "runbook", "check", ...)`."""

    def __enter__(self) -> Commands:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.lab.commands"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ.get("PATH", ""), **import_path()},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(30)

    def run(
        self,
        folder: Path,
        variables: Mapping[str, str],
        *arguments: str,
        input: str = "",
        within_s: float = 120,
    ) -> CompletedCommand:
        """Run `twokey` with these arguments and nothing but these variables in a folder."""
        with tempfile.TemporaryDirectory(prefix="twokey-command-") as place:
            files = {name: str(Path(place) / name) for name in ("in", "out", "err")}
            Path(files["in"]).write_text(input)
            env = {"PATH": "", "HOME": str(folder), **variables}
            order = {"run": arguments, "cwd": str(folder), "env": env, "within_s": within_s, **files}
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
            if not answer:
                raise RuntimeError("what runs the commands has ended")
            out, err = (Path(files[name]).read_bytes().decode(errors="replace") for name in ("out", "err"))
        ended = json.loads(answer)
        return CompletedCommand(ended["code"], out, err, ended["seconds"], ended["peak"])


def main() -> None:
    """Run one command after the other until standard input ends."""
    app.declarations()
    app.normalisers()
    for name in _IMPORTED_FIRST:
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        started = time.monotonic()
        pid = fork(order, partial(_files, order), partial(_command, order["run"]))
        found, status, usage = os.wait4(pid, os.WNOHANG)
        while not found:
            if time.monotonic() - started > order["within_s"]:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
            found, status, usage = os.wait4(pid, os.WNOHANG)
        took, code = time.monotonic() - started, os.waitstatus_to_exitcode(status)
        print(json.dumps({"code": code, "seconds": took, "peak": usage.ru_maxrss * 1024}), flush=True)


def _files(order: Mapping[str, Any]) -> Sequence[int]:
    into = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    out, err = (os.open(order[name], into, 0o600) for name in ("out", "err"))
    return os.open(order["in"], os.O_RDONLY), out, err


def _command(arguments: Sequence[str]) -> None:
    sys.argv = ["twokey", *arguments]
    sys.stdin = os.fdopen(0)
    importlib.import_module("twokey.cli").main()


if __name__ == "__main__":
    main()
