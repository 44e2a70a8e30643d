"""The real bot as a process of its own: started, watched, killed and started again by tests and the demo."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

CRASHED = -signal.SIGKILL


class Process(Protocol):
    """What is used of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """Return the exit code once there is one: negative when a signal ended it."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end."""
        ...

    def send_signal(self, sig: int, /) -> None:
        """Send a signal, if it still lives."""
        ...

    def kill(self) -> None:
        """kill -9."""
        ...

    def terminate(self) -> None:
        """SIGTERM."""
        ...


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Bot:
    """`twokey serve` (or `worker`) with nothing of this process' environment but the path."""

    folder: Path
    variables: Mapping[str, str]
    command: str = "serve"
    log: Path = field(init=False)
    port: int = field(default_factory=free_port)
    _process: Process | None = None

    def __post_init__(self) -> None:
        self.log = self.folder / f"{self.command}-{self.port}.log"

    def start(self, ready_within: float = 30.0) -> Self:
        """Start the process and wait until it says that it is ready."""
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.folder),
            "PYTHONUNBUFFERED": "1",
            **self.variables,
            "TWOKEY_HTTP_PORT": str(self.port),
        }
        self._process = self._launch(environment)
        if self.command == "serve" and ready_within:
            self.wait_ready(ready_within)
        return self

    def _launch(self, environment: Mapping[str, str]) -> Process:
        return self._run_module(["twokey", self.command], environment)

    def _run_module(self, module: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=self.folder,
                env=dict(environment),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_ready(self, seconds: float) -> None:
        """Wait until /readyz answers 200; a process that has ended meanwhile is an error with its log."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.is_running:
                raise RuntimeError(f"the bot ended at its start:\n{self.tail()}")
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise RuntimeError(f"the bot was not ready within {seconds} s:\n{self.tail()}")

    @property
    def url(self) -> str:
        """Return the address of its web door."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        """Say whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still lives."""
        if self._process and self.is_running:
            self._process.send_signal(number)

    @property
    def pid(self) -> int:
        """Return the process' id."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9: no warning, no clean-up."""
        if self._process and self.is_running:
            self._process.kill()
        self.wait_dead()

    def wait_dead(self, seconds: float = 30.0) -> int:
        """Wait for the process to end and return its exit code (CRASHED when it was killed)."""
        assert self._process is not None
        return self._process.wait(seconds)

    def stop(self) -> int:
        """SIGTERM, and wait for a graceful end."""
        if self._process and self.is_running:
            self._process.terminate()
        try:
            return self.wait_dead(15)
        except subprocess.TimeoutExpired:
            self.kill()
            return CRASHED

    def tail(self, lines: int = 40) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Self:
        return self.start() if self._process is None else self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()
