"""A fork server: one process has imported everything, and every bot is a fork of it.

A forked bot is a process of its own in every other way: environment, folder, log, connections and threads come
after the fork. A thousand kills then cost a thousand runs, not a thousand imports of boto3.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.lab import crash_injection, import_path
from tests.lab.forks import fork
from twokey import app

# What a bot imports sooner or later; it imports nothing more than that, so this changes no behaviour.
_HEAVY = (
    *("boto3", "botocore.httpsession", "botocore.parsers", "botocore.signers", "sqlmodel", "alembic.command"),
    *(
        "psycopg",
        "psycopg_pool",
        "procrastinate",
        "sqlalchemy.dialects.postgresql",
        "sqlalchemy.dialects.sqlite",
    ),
    *("azure.identity", "azure.mgmt.storage", "azure.mgmt.core.policies", "slack_bolt.async_app", "aiohttp"),
    *("uvicorn", "uvicorn.protocols.http.h11_impl", "uvicorn.loops.auto", "uvicorn.lifespan.on", "jinja2"),
    *(
        "twokey.app.running",
        "twokey.chat.slack.app",
        "twokey.chat.delivery.sender",
        "twokey.chat.slack.http_door",
    ),
    *("twokey.engine.embedded", "twokey.engine.procrastinate", "twokey.engine.deferring", "twokey.web"),
    *("twokey.store.leading", "twokey.store.schema", "twokey.catalog.library", "twokey.catalog.rules"),
    *("twokey.providers.aws", "twokey.providers.aws.session", "twokey.providers.aws.sources"),
    *("twokey.providers.azure", "twokey.publish.render", "twokey.publish.git", "twokey.stepup"),
)


_SERVICES = ("sts", "iam", "organizations", "s3", "ec2", "cloudtrail", "accessanalyzer", "sqs")


class ForkServer:
    """`with ForkServer() as fork_server:`; a `FaultyBot` that is given one is forked there."""

    def __enter__(self) -> ForkServer:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.lab.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                "PYTHONUNBUFFERED": "1",
                "PATH": os.environ.get("PATH", ""),
                **import_path(),
            },
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def start(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
    ) -> ForkedProcess:
        """Start a bot; `arguments` are those of `tests.lab.crash_injection`."""
        order = {"run": list(arguments), "cwd": str(folder), "env": dict(environment), "log": str(log)}
        return ForkedProcess(self, int(self.request(order)["pid"]))

    def request(self, order: Mapping[str, Any]) -> Any:
        """Send one order and return its answer."""
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the fork server has ended")
        return json.loads(answer)


class ForkedProcess:
    """A process that the fork server started, with what is used of `subprocess.Popen`."""

    def __init__(self, fork_server: ForkServer, pid: int) -> None:
        self._nursery, self.pid = fork_server, pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code once there is one: negative when a signal ended it."""
        if self._code is None:
            self._code = self._nursery.request({"poll": self.pid})["code"]
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process to end."""
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, if the process still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)


def share_models() -> None:
    """Have every boto3 session of this process read AWS's service descriptions once, not each its own."""
    import botocore.loaders
    import botocore.regions
    import botocore.session

    loader = botocore.loaders.Loader()
    providers: dict[tuple[int, frozenset[str]], Any] = {}
    provider = botocore.regions.EndpointProvider

    def shared(ruleset_data: Any, partition_data: Any, excluded_params: Any = None) -> Any:
        # The loader keeps what it has read: the same description is the same object.
        key = (id(ruleset_data), frozenset(excluded_params or ()))
        if key not in providers:
            providers[key] = provider(ruleset_data, partition_data, excluded_params)
        return providers[key]

    botocore.session.create_loader = lambda search_path_string=None: loader
    botocore.regions.EndpointProvider = shared
    for service in _SERVICES:
        for kind in ("service-2", "paginators-1", "endpoint-rule-set-1"):
            with suppress(botocore.loaders.UnknownServiceError, botocore.loaders.DataNotFoundError):
                loader.load_service_model(service, kind)
        shared(loader.load_service_model(service, "endpoint-rule-set-1"), loader.load_data("partitions"))
    for data in ("endpoints", "_retry", "sdk-default-configuration"):
        loader.load_data(data)


def main() -> None:
    """Fork bots until standard input ends, then kill those that still run."""
    for name in _HEAVY:
        importlib.import_module(name)
    app.declarations()
    app.normalisers()
    share_models()
    gc.freeze()  # what is shared stays shared: the collector of a child leaves it alone
    children: dict[int, int | None] = {}  # pid -> its exit code, once it has one
    for line in sys.stdin:
        order = json.loads(line)
        if "run" in order:
            pid = fork(order, partial(_to_log, order), partial(crash_injection.run, order["run"]))
            children[pid] = None
            print(json.dumps({"pid": pid}), flush=True)
        else:
            print(json.dumps({"code": _ended(order["poll"], children)}), flush=True)
    for pid in children:
        if _ended(pid, children) is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _ended(pid: int, children: dict[int, int | None]) -> int | None:
    if children[pid] is None:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            children[pid] = os.waitstatus_to_exitcode(status)
    return children[pid]


def _to_log(order: Mapping[str, Any]) -> Sequence[int]:
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.open(os.devnull, os.O_RDONLY), log, log


if __name__ == "__main__":
    main()
