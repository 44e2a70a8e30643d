"""B6: how soon a signed `/twokey list` is acknowledged, with very many findings and open incidents on record."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import filled
import measure
import programs
from measure import Figures, Outcome, Size, at_most, compared, percentile

BOLT = """\
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from starlette.applications import Starlette
from starlette.routing import Route

async def authorize(**known):
    return AuthorizeResult(enterprise_id=None, team_id="T1", bot_token="xoxb", bot_id="B1", bot_user_id="U1")

bolt = AsyncApp(signing_secret="%s", authorize=authorize)

@bolt.command("/twokey")
async def command(ack):
    await ack()

@bolt.view("plan_approve")
async def approve(ack):
    await ack()

handler = AsyncSlackRequestHandler(bolt)
app = Starlette(routes=[Route("/slack/events", handler.handle, methods=["POST"])])
"""
TRIGGERS = itertools.count(1)


@contextmanager
def bare_bolt(home: Path) -> Iterator[int]:
    """Run Bolt that acknowledges and does nothing else; gives its port."""
    (home / "bare_bolt.py").write_text(BOLT % programs.SIGNING)
    port = programs.free_port()
    command = [sys.executable, "-m", "uvicorn", "bare_bolt:app", "--port", str(port), "--log-level", "error"]
    process = subprocess.Popen(command, cwd=home, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                http.client.HTTPConnection("127.0.0.1", port, timeout=2).connect()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        programs.end(process)


def signed(link: http.client.HTTPConnection, form: dict[str, str]) -> float:
    """Post a form as Slack does, and return the milliseconds until it is acknowledged."""
    body = urlencode(form)
    stamp = str(int(time.time()))
    due = hmac.new(programs.SIGNING.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Slack-Request-Timestamp": stamp}
    begin = time.perf_counter()
    link.request("POST", "/slack/events", body, {**headers, "X-Slack-Signature": f"v0={due}"})
    answer = link.getresponse()
    answer.read()
    took = (time.perf_counter() - begin) * 1e3
    if answer.status != 200:
        raise RuntimeError(f"not acknowledged: {answer.status}")
    return took


def slash(link: http.client.HTTPConnection, text: str) -> float:
    """Type the command, and return the milliseconds until Slack has its acknowledgement."""
    known = {"command": "/twokey", "text": text, "user_id": "U0ANA", "channel_id": programs.CHANNEL}
    trigger = f"{time.time_ns()}.{next(TRIGGERS)}"
    return signed(link, {"team_id": programs.TEAM, "api_app_id": "A1", "trigger_id": trigger, **known})


def acknowledged(port: int, count: int) -> Figures:
    """Type the command many times, one after the other."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    took = []
    for number in range(count + 10):
        one = slash(link, "list")
        if number >= 10:
            took.append(one)
        time.sleep(0.02)
    link.close()
    return {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99)}


def answered(port: int, sink: programs.Sink, count: int) -> Figures:
    """Type the command many times, and wait each time until the list itself has come."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    took = []
    for _ in range(count):
        sink.reset()
        begin = time.monotonic_ns()
        slash(link, "list")
        finish = time.monotonic() + 60
        while not (came := [one for one in sink.arrivals() if one[1] == "chat.postEphemeral"]):
            if time.monotonic() > finish:
                raise RuntimeError("the list never came")
            time.sleep(0.01)
        took.append((came[0][0] - begin) / 1e6)
    link.close()
    return {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99)}


@contextmanager
def approval_status(home: Path, sink: programs.Sink, findings: int, incidents: int) -> Iterator[programs.Bot]:
    """Run a bot over a record that holds so much."""
    variables = programs.settings(home, sink)
    filled.record(variables["TWOKEY_DATABASE_URL"], findings, incidents)
    with programs.bot(home, sink) as bot:
        yield bot


def run(size: Size) -> Outcome:
    """Measure in turns: the same processes all the time, as both of them serve for weeks."""
    million = os.environ.get("TWOKEY_BENCH_LONG", "") != ""
    findings = 1_000_000 if million else size.of(100_000, 5_000)
    incidents, count = size.of(10_000, 500), size.of(200, 40)
    with (
        programs.Sink() as sink,
        programs.folder() as home,
        programs.folder() as small,
        bare_bolt(home) as bolt,
        approval_status(home, sink, findings, incidents) as full,
        approval_status(small, sink, 1_000, 1) as little,
    ):
        acks = measure.interleaved(
            size,
            {
                "twokey": lambda: acknowledged(full.port, count),
                "bare Bolt": lambda: acknowledged(bolt, count),
            },
        )
        lists = measure.interleaved(
            size,
            {
                "full": lambda: answered(full.port, sink, count // 4),
                "little": lambda: answered(little.port, sink, count // 4),
            },
        )
    what = f"`/twokey list` acknowledged, {findings:,} findings, {incidents:,} open incidents"
    lists["1,000 findings, 1 incident"] = lists["little"]
    return [
        compared("B6", what + ", p50", "ms", acks, "p50", peer="bare Bolt"),
        compared(
            "B6", what + ", p99", "ms", acks, "p99", peer="bare Bolt", goal=at_most(2), stretch=at_most(1.2)
        ),
        compared(
            "B6",
            f"`/twokey list` answered, {findings:,} findings, {incidents:,} open incidents, p50",
            "ms",
            lists,
            "p50",
            ours="full",
            peer="1,000 findings, 1 incident",
            goal=at_most(2),
        ),
    ]


if __name__ == "__main__":
    measure.main(run, __doc__)
