"""AWS on the loopback address: ministack as a process, refusing deactivated keys as AWS does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from twokey.demo.bot import free_port


@dataclass
class Ministack:
    """`with Ministack(folder) as aws:` gives `aws.url`; `test`/`test` is the root of `account`."""

    folder: Path
    account: str = "111111111111"
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the one address of every service."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Ministack:
        home = self.folder / "ministack"
        home.mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(home),
            "TMPDIR": str(home),
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_ACCOUNT_ID": self.account,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "CLOUDTRAIL_RECORDING": "1",
            "LOG_LEVEL": "WARNING",
        }
        with (home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ministack"], env=environment, cwd=home, stdout=log, stderr=log
            )
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise RuntimeError(f"ministack ended at its start: {(home / 'log').read_text()[-2000:]}")
            try:
                with urllib.request.urlopen(f"{self.url}/_ministack/ready", timeout=1):
                    return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise RuntimeError("ministack was not ready within 30 s")

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:  # a loaded machine: it is not let go before it is dead
            self._process.kill()
            self._process.wait(60)
