"""The programs that are measured: our bot, the chat they all post to, and the peers where they are installed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from measure import AbsentError

HERE = Path(__file__).parent
DOOR = "benchmark-door-0123456789-abcdefghijklmnop"
SIGNING = "s" * 32
CHANNEL, TEAM = "C0BENCH", "T1"
ROSTER = """\
people:
  - {id: p-ana, name: Ana, slack: [{team: T1, user: U0ANA}], roles: [commander, approver], scopes: ["*"]}
  - {id: p-ben, name: Ben, slack: [{team: T1, user: U0BEN}], roles: [commander, approver], scopes: ["*"]}
"""


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def folder() -> Iterator[Path]:
    """Give a fresh folder that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="twokey-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def ask(url: str, timeout: float = 30.0) -> Any:
    """Return what an address of ours answers, as JSON."""
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return json.load(answer)


def wait_for(url: str, process: subprocess.Popen[Any] | None = None, seconds: float = 60.0) -> float:
    """Wait until an address answers 200, and return how many seconds that took."""
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{process.args} ended at its start")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return time.perf_counter() - begin
        except (urllib.error.URLError, OSError):
            time.sleep(0.004)
    raise RuntimeError(f"{url} did not answer within {seconds} s")


def end(process: subprocess.Popen[Any]) -> None:
    """End a process that was started here."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def memory(pid: int) -> float:
    """Return the resident memory of a process and its children, in MiB."""
    root = psutil.Process(pid)
    return float(sum(one.memory_info().rss for one in [root, *root.children(recursive=True)])) / 2**20


class Sink:
    """The chat; see sink.py."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process = subprocess.Popen([sys.executable, str(HERE / "sink.py"), str(self.port)])
        wait_for(f"{self.url}/__count", self._process)

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)

    def reset(self) -> None:
        """Forget what came."""
        ask(f"{self.url}/__reset")

    def fault(self, kind: str, seconds: float) -> None:
        """Let every post fail for a while."""
        ask(f"{self.url}/__fault?kind={kind}&seconds={seconds}")

    def arrivals(self) -> list[tuple[int, str, list[int], int, int]]:
        """Return when (monotonic ns), which method, which marks, how many bytes, and our status."""
        return [(one[0], one[1], one[2], one[3], one[4]) for one in ask(f"{self.url}/__arrivals")]

    def until(self, marks: int, seconds: float = 60.0) -> list[tuple[int, str, list[int], int, int]]:
        """Wait until so many different marks have arrived, and return everything that came."""
        finish = time.monotonic() + seconds
        while True:
            came = self.arrivals()
            if len({mark for one in came if one[4] == 200 for mark in one[2]}) >= marks:
                return came
            if time.monotonic() > finish:
                return came
            time.sleep(0.1)


def settings(home: Path, sink: Sink | None, **more: str) -> dict[str, str]:
    """Return the variables of a bot that talks to the sink, with Slack's signed HTTP and one Azure webhook."""
    roster = home / "roster.yaml"
    roster.write_text(ROSTER)
    variables = {
        "TWOKEY_DATABASE_URL": f"sqlite:///{home}/record.db",
        "TWOKEY_ROSTER_FILE": str(roster),
        "TWOKEY_SLACK_API_URL": f"{sink.url if sink else 'http://127.0.0.1:9'}/api/",
        "TWOKEY_REHEARSAL": "1",
        "TWOKEY_SLACK_BOT_TOKEN": "xoxb-bench",
        "TWOKEY_SLACK_SIGNING_SECRET": SIGNING,
        "TWOKEY_SLACK_TEAM": TEAM,
        "TWOKEY_SLACK_CHANNEL": CHANNEL,
        "TWOKEY_AZURE_WEBHOOKS": f"bench={DOOR}",
        "TWOKEY_BREAKER_RUNS": "1000",
        "TWOKEY_BREAKER_ACCOUNT_RUNS": "1000",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return variables | {f"TWOKEY_{name.upper()}": value for name, value in more.items()}


class Bot:
    """`twokey serve` as a process of its own, with nothing of our environment but the paths."""

    def __init__(self, home: Path, variables: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), **variables}
        environment |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        environment["TWOKEY_HTTP_PORT"] = str(self.port)
        begin = time.perf_counter()
        with (home / "bot.log").open("ab") as log:
            command = [sys.executable, "-m", "twokey", "serve"]
            self.process = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log)
        try:
            wait_for(f"{self.url}/readyz", self.process, 120)
        except RuntimeError as fault:
            raise RuntimeError(f"{fault}: {(home / 'bot.log').read_text()[-2000:]}") from None
        self.start_s = time.perf_counter() - begin

    @property
    def door(self) -> str:
        """Return the address that notifications are posted to."""
        return f"{self.url}/azure/{DOOR}"

    def __enter__(self) -> Bot:
        return self

    def __exit__(self, *_: object) -> None:
        end(self.process)


def bot(home: Path, sink: Sink | None, **more: str) -> Bot:
    """Start the bot and wait until it is ready."""
    return Bot(home, settings(home, sink, **more))


def post(url: str, bodies: Iterable[bytes], home: Path, *, connections: int = 1, pace: float = 0.0) -> Any:
    """Post bodies from a process of its own, and return what load.py saw."""
    kept = home / "bodies.txt"
    kept.write_bytes(b"\n".join(bodies))
    arguments = [sys.executable, str(HERE / "load.py"), url, str(kept), "--connections", str(connections)]
    ran = subprocess.run([*arguments, "--pace", str(pace)], capture_output=True, check=True, text=True)
    return json.loads(ran.stdout)


# Peers


def peers_python() -> str:
    """Return the interpreter of the peers' own environment; see README.md."""
    place = Path(os.environ.get("TWOKEY_BENCH_PEERS", HERE / ".peers")) / "bin" / "python"
    if not place.exists():
        raise AbsentError("the peers of peers.txt are not installed (make bench-peers)")
    return str(place)


def program(name: str) -> str:
    """Return where a program of the system is."""
    found = shutil.which(name)
    if not found:
        raise AbsentError(f"{name} is not installed")
    return found


def peer(script: str, *arguments: object, timeout: float = 600.0) -> Any:
    """Run a script of peers/ with the peers' interpreter, and return the JSON of its last line."""
    command = [peers_python(), "-W", "ignore", str(HERE / "peers" / script), *map(str, arguments)]
    environment = {"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir()}
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=environment, check=False
    )
    if ran.returncode:
        raise RuntimeError(f"{script} ended with {ran.returncode}: {ran.stderr[-2000:]}")
    return json.loads(ran.stdout.strip().splitlines()[-1])


class Alertmanager:
    """Prometheus Alertmanager (Debian: prometheus-alertmanager) that posts to the sink."""

    def __init__(
        self, home: Path, sink: Sink, *, wait: str = "0s", interval: str = "10s", by: str = "key"
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api/v2/alerts"
        config = home / "alertmanager.yml"
        config.write_text(
            f"route: {{receiver: chat, group_by: [{by}], group_wait: {wait}, group_interval: {interval},"
            " repeat_interval: 4h}\n"
            "receivers:\n- name: chat\n  slack_configs:\n"
            f"  - {{api_url: '{sink.url}/services/x', channel: '#incidents',"
            " title: '{{ .CommonLabels.alertname }}',"
            " text: '{{ range .Alerts }}{{ .Annotations.summary }} {{ end }}'}\n"
        )
        arguments = [program("prometheus-alertmanager"), f"--config.file={config}", "--log.level=error"]
        arguments += [
            f"--storage.path={home / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        begin = time.perf_counter()
        self.process = subprocess.Popen(
            [*arguments, "--cluster.listen-address="], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(f"http://127.0.0.1:{self.port}/-/ready", self.process)
        self.start_s = time.perf_counter() - begin

    def __enter__(self) -> Alertmanager:
        return self

    def __exit__(self, *_: object) -> None:
        end(self.process)


def alert(event: dict[str, Any], title: str, key: str) -> bytes:
    """Return a notification as one of Alertmanager's alerts, which carries all of it."""
    labels = {"alertname": "incident", "key": key}
    return json.dumps(
        [{"labels": labels, "annotations": {"summary": title, "raw": json.dumps(event)}}]
    ).encode()


def lines(events: Sequence[dict[str, Any]]) -> list[bytes]:
    """Return events as bodies to post."""
    return [json.dumps(event).encode() for event in events]
