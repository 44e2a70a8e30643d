"""The web door, through a real uvicorn on loopback and a real HTTP client."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from tests.lab.endpoints import application, hide
from twokey.chat.slack.http_door import bounded
from twokey.core.errors import Invalid, Unavailable
from twokey.core.signals import NOT_TAKEN, RawNotification, raw_id
from twokey.providers.azure.endpoints import AzureEndpoints, WebhookEndpoint
from twokey.testing.clocks import SettableClock
from twokey.web import HideSecrets, Limits, serve

LONGEST_QUEUE = Path("/proc/sys/net/core/somaxconn")
SECRET = "kJ3-vQ8xT2mN7pLw9RzY5cBf1HgD4sEa"
SECOND = "Zx8_Cv6bN4mQ2wE0rT9yU7iO5pA3sD1f"
DOORS = AzureEndpoints(
    (
        WebhookEndpoint("prod", SECRET, account="sub-1", tenant="tenant-1"),
        WebhookEndpoint("second", SECOND, account="sub-2"),
    )
)


@dataclass
class Shelf:
    """A store that can be slow, broken, or stuck, and counts."""

    rows: dict[str, RawNotification] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    order: list[bytes] = field(default_factory=list)
    fault: Exception | None = None
    delay: float = 0.0
    gate: threading.Event | None = None

    def receive(self, notifications: Sequence[RawNotification]) -> list[str]:
        if self.gate:
            self.gate.wait(10)
        if self.delay:
            time.sleep(self.delay)
        self.batches.append(len(notifications))
        if self.fault:
            raise self.fault
        new = [raw for raw in notifications if raw.id not in self.rows]
        assert len({raw.id for raw in notifications}) == len(notifications)
        for raw in new:
            self.rows[raw.id] = raw
            self.order.append(raw.body)
        return [raw.id for raw in new]

    @property
    def bodies(self) -> set[bytes]:
        return {raw.body for raw in self.rows.values()}


@dataclass
class Running:
    """A server that answers."""

    port: int
    client: aiohttp.ClientSession
    app: Starlette

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def post(
        self,
        body: bytes | str | io.BytesIO = b"{}",
        secret: str = SECRET,
        headers: Mapping[str, str] | None = None,
    ) -> int:
        async with self.client.post(self.url(f"/azure/{secret}"), data=body, headers=headers) as answer:
            return answer.status

    async def get(self, path: str) -> tuple[int, str]:
        async with self.client.get(self.url(path)) as answer:
            return answer.status, await answer.text()

    async def raw(self, head: bytes, *, patience: float = 3.0) -> bytes:
        """Send bytes as they are and return everything that comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(head)
        await writer.drain()
        try:
            return await asyncio.wait_for(reader.read(), patience)
        finally:
            writer.close()


@asynccontextmanager
async def running(app: Starlette, **options: Any):
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(app, "127.0.0.1", 0, stop, hide=hide, on_ready=ready.set_result, **options)
    )
    await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        await task
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        try:
            yield Running(await ready, client, app)
        finally:
            stop.set()
            await asyncio.wait_for(task, 15)


def door(shelf: Shelf, **options: object) -> Starlette:
    settings: dict[str, object] = {
        "azure": DOORS,
        "clock": SettableClock(),
        "readiness": dict,
        **options,
    }
    return application(shelf.receive, **settings)  # type: ignore[arg-type]


def run(app: Starlette, story: Callable[[Running], Awaitable[None]], **options: float) -> None:
    async def whole() -> None:
        async with running(app, **options) as web:
            await story(web)

    asyncio.run(whole())


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_a_webhook_is_acknowledged_only_when_it_is_stored(shelf: Shelf) -> None:
    shelf.gate = threading.Event()

    async def story(web: Running) -> None:
        asked = asyncio.create_task(web.post(b'{"a":1}'))
        await asyncio.sleep(0.2)
        assert not asked.done()
        assert shelf.rows == {}
        assert shelf.gate is not None
        shelf.gate.set()
        assert await asked == 202
        (raw,) = shelf.rows.values()
        assert raw.body == b'{"a":1}'
        assert (raw.source, raw.account, raw.tenant) == ("azure.webhook:prod", "sub-1", "tenant-1")
        assert raw.id == raw_id("azure.webhook:prod", b'{"a":1}')
        assert raw.provider == "azure"

    run(door(shelf), story)


@pytest.mark.parametrize("body", [b"", b"not json", b"\xff\x00\x1b[31m", b"[" * 10_000, b'{"schemaId":1}'])
def test_whatever_comes_through_the_door_is_kept_as_it_is(shelf: Shelf, body: bytes) -> None:
    async def story(web: Running) -> None:
        assert await web.post(body) == 202

    run(door(shelf), story)
    assert shelf.bodies == {body}


@pytest.mark.parametrize(
    "secret",
    [
        SECRET[:-1],
        SECRET + "x",
        SECRET.lower(),
        SECRET[:-1] + "b",
        "x",
        "%00",
        "%ff%fe",
        "é" * 32,
        SECRET + "%2F",
        "x" * 5000,
    ],
)
def test_a_wrong_secret_finds_nothing_and_stores_nothing(shelf: Shelf, secret: str) -> None:
    async def story(web: Running) -> None:
        async with web.client.post(web.url(f"/azure/{secret}"), data=b"{}") as answer:
            assert answer.status == 404
            assert await answer.read() == b"" or b"Not Found" in await answer.read()
        assert await web.post(b"{}") == 202

    run(door(shelf), story)
    assert len(shelf.rows) == 1


def test_each_door_knows_its_own_account(shelf: Shelf) -> None:
    async def story(web: Running) -> None:
        assert await web.post(b"same") == 202
        assert await web.post(b"same", secret=SECOND) == 202

    run(door(shelf), story)
    assert {(raw.source, raw.account) for raw in shelf.rows.values()} == {
        ("azure.webhook:prod", "sub-1"),
        ("azure.webhook:second", "sub-2"),
    }


def test_only_post_goes_through_and_a_trailing_slash_does_not_repeat_the_secret(shelf: Shelf) -> None:
    async def story(web: Running) -> None:
        for method in ("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"):
            async with web.client.request(method, web.url(f"/azure/{SECRET}")) as answer:
                assert answer.status == 405
        async with web.client.post(web.url(f"/azure/{SECRET}/"), data=b"{}", allow_redirects=False) as answer:
            assert answer.status == 404
            assert "location" not in answer.headers

    run(door(shelf), story)
    assert shelf.rows == {}


@pytest.mark.parametrize("path", ["/", "/docs", "/azure", "/azure/", "/slack/events", "/approve", "/metrics"])
def test_nothing_else_is_there(shelf: Shelf, path: str) -> None:
    """S6: no route takes an identity from a payload."""

    async def story(web: Running) -> None:
        body = {"user_id": "U1", "user": {"id": "U1"}, "plan": "plan-1"}
        async with web.client.post(web.url(path), json=body) as answer:
            assert answer.status == 404

    run(door(shelf), story)
    assert shelf.rows == {}


def test_a_store_that_fails_gives_503_and_the_repeat_is_kept(shelf: Shelf) -> None:
    """A 500 is not on Azure's list of what it repeats: it would be lost."""
    shelf.fault = RuntimeError("disk full, secret=hunter2")

    async def story(web: Running) -> None:
        async with web.client.post(web.url(f"/azure/{SECRET}"), data=b"one") as answer:
            assert answer.status == 503
            assert answer.headers["retry-after"] == "5"
            assert await answer.read() == b""
        assert shelf.rows == {}
        status, text = await web.get("/readyz")
        assert status == 503
        assert "inbox" in text
        assert "hunter2" not in text
        shelf.fault = None
        assert await web.post(b"one") == 202
        assert (await web.get("/readyz"))[0] == 200

    run(door(shelf), story)
    assert shelf.bodies == {b"one"}


def test_a_store_that_takes_too_long_gives_503_and_readiness_says_so(shelf: Shelf) -> None:
    shelf.gate = threading.Event()

    async def story(web: Running) -> None:
        started = time.monotonic()
        assert await web.post(b"slow") == 503
        assert time.monotonic() - started < 2
        await asyncio.sleep(0.1)
        status, text = await web.get("/readyz")
        assert status == 503
        assert "too long" in text
        assert (await web.get("/healthz"))[0] == 200
        assert shelf.gate is not None
        shelf.gate.set()
        assert await web.post(b"slow") == 202

    run(door(shelf, limits=Limits(store_s=0.4)), story)
    assert shelf.bodies == {b"slow"}


def only_a_note(shelf: Shelf) -> None:
    """Azure does not come again after these: what is kept says that there was something."""
    assert [raw.body.startswith(NOT_TAKEN.encode()) for raw in shelf.rows.values()] == [True]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_cut_off(shelf: Shelf, chunked: bool) -> None:
    sent = 0

    async def pieces() -> object:
        nonlocal sent
        for _ in range(400):
            sent += 65536
            yield b"x" * 65536

    async def story(web: Running) -> None:
        body = pieces() if chunked else io.BytesIO(b"x" * (1 << 20) + b"y")
        try:
            async with web.client.post(web.url(f"/azure/{SECRET}"), data=body) as answer:
                assert answer.status == 413
        except (aiohttp.ClientConnectionError, ConnectionError):
            assert chunked  # the server hung up on somebody who kept on sending
        assert await web.post(io.BytesIO(b"x" * (1 << 20))) == 202

    run(door(shelf), story)
    assert sorted(len(body) for body in shelf.bodies if not body.startswith(NOT_TAKEN.encode())) == [1 << 20]
    assert len(shelf.bodies) == 2, "and a note of the one that was too large"
    assert sent < 20 << 20


def test_a_declared_length_over_the_limit_is_refused_before_the_body(shelf: Shelf) -> None:
    async def story(web: Running) -> None:
        answer = await web.raw(
            f"POST /azure/{SECRET} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n".encode()
        )
        assert answer.startswith(b"HTTP/1.1 413 ")

    run(door(shelf), story)
    only_a_note(shelf)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP", "gzip, identity"])
def test_packed_bodies_are_refused(shelf: Shelf, encoding: str) -> None:
    async def story(web: Running) -> None:
        bomb = gzip.compress(b"\0" * 10_000_000)
        async with web.client.post(
            web.url(f"/azure/{SECRET}"), data=bomb, headers={"Content-Encoding": encoding}
        ) as answer:
            assert answer.status == 415

    run(door(shelf), story)
    only_a_note(shelf)


def test_a_body_that_drips_is_given_up(shelf: Shelf) -> None:
    async def story(web: Running) -> None:
        answer = await web.raw(
            f"POST /azure/{SECRET} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc".encode()
        )
        assert answer.startswith(b"HTTP/1.1 408 ")

    run(door(shelf, limits=Limits(body_s=0.3)), story)
    assert shelf.rows == {}  # after a 408 Azure comes again


def test_a_head_that_drips_is_given_up(shelf: Shelf) -> None:
    """uvicorn waits for ever for the rest of a request's head: slow-loris."""

    async def story(web: Running) -> None:
        started = time.monotonic()
        assert await web.raw(b"POST /azure/abc HTTP/1.1\r\nHost:") == b""
        assert await web.raw(b"") == b""
        # also the second request of a connection
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
        for piece in b"GET", b" /he", b"alth":
            writer.write(piece)
            await asyncio.sleep(0.08)
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()
        assert time.monotonic() - started < 3

    run(door(shelf), story, head_s=0.3)


def test_many_idle_connections_do_not_keep_a_webhook_out(shelf: Shelf) -> None:
    async def story(web: Running) -> None:
        idle = [await asyncio.open_connection("127.0.0.1", web.port) for _ in range(40)]
        assert await web.post(b"first") == 202
        assert await asyncio.wait_for(idle[0][0].read(), 20) == b""  # who has owed longest made room
        for _, writer in idle:
            writer.close()

    run(door(shelf), story, max_pending=20, head_s=30.0)
    assert shelf.bodies == {b"first"}


@pytest.mark.skipif(
    not LONGEST_QUEUE.exists() or int(LONGEST_QUEUE.read_text()) < 600,
    reason="this system does not keep 600 connections waiting",
)
def test_a_crowd_that_comes_while_the_bot_is_busy_turns_nobody_away(shelf: Shelf) -> None:
    """S18: a full queue drops or resets whoever comes next, and that may be Slack."""

    async def story(web: Running) -> None:
        crowd = []
        for _ in range(500):  # without an await: the server takes nobody in meanwhile
            crowd.append(socket.create_connection(("127.0.0.1", web.port), timeout=0.5))
        assert await web.post(b"first") == 202
        for stranger in crowd:
            stranger.close()

    run(door(shelf), story, head_s=30.0)
    assert shelf.bodies == {b"first"}


def test_a_request_that_is_being_answered_is_not_closed_for_others(shelf: Shelf) -> None:
    shelf.gate = gate = threading.Event()

    async def story(web: Running) -> None:
        posting = asyncio.create_task(web.post(b"first"))
        while not web.app.state.inbox._in_hand:
            await asyncio.sleep(0.01)
        idle = [await asyncio.open_connection("127.0.0.1", web.port) for _ in range(10)]
        assert await asyncio.wait_for(idle[0][0].read(), 20) == b""
        gate.set()
        assert await posting == 202
        for _, writer in idle:
            writer.close()

    run(door(shelf), story, max_pending=3, head_s=30.0)


def test_bodies_that_drip_in_together_do_not_fill_the_memory(shelf: Shelf) -> None:
    """S18: what is being read is bounded over all connections, and given back."""

    async def story(web: Running) -> None:
        slow = []
        for _ in range(4):
            _, writer = await asyncio.open_connection("127.0.0.1", web.port)
            head = f"POST /azure/{SECRET} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n"
            writer.write(head.encode() + b"x" * 400)
            await writer.drain()
            slow.append(writer)
        await asyncio.sleep(0.1)
        assert await web.post(b"y" * 500) == 503
        assert await web.post(b"y" * 300) == 202
        for writer in slow:
            writer.close()
        await asyncio.sleep(0.1)
        assert await web.post(b"y" * 500) == 202

    run(door(shelf, limits=Limits(max_reading_bytes=2000)), story)


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(shelf: Shelf) -> None:
    async def story(web: Running) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", web.port)
        writer.write(f"POST /azure/{SECRET} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf".encode())
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()
        await asyncio.sleep(0.1)
        assert await web.post(b"whole") == 202

    run(door(shelf), story)
    assert shelf.bodies == {b"whole"}


def test_a_sender_that_left_while_waiting_is_still_stored(shelf: Shelf) -> None:
    shelf.gate = threading.Event()

    async def story(web: Running) -> None:
        asked = asyncio.create_task(web.post(b"left"))
        await asyncio.sleep(0.2)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        assert shelf.gate is not None
        shelf.gate.set()
        assert await web.post(b"next") == 202

    run(door(shelf), story)
    assert shelf.bodies == {b"left", b"next"}


def test_many_at_once_are_stored_in_few_batches_and_all_of_them(shelf: Shelf) -> None:
    shelf.delay = 0.03

    async def story(web: Running) -> None:
        statuses = await asyncio.gather(*(web.post(f"event {n}") for n in range(200)))
        assert set(statuses) == {202}

    run(door(shelf, limits=Limits(max_batch=50)), story)
    assert len(shelf.rows) == 200
    assert len(shelf.batches) < 100
    assert max(shelf.batches) <= 50


def test_what_waits_is_stored_in_the_order_in_which_it_came(shelf: Shelf) -> None:
    shelf.gate = threading.Event()

    async def story(web: Running) -> None:
        asked = []
        for number in range(10):
            asked.append(asyncio.create_task(web.post(f"{number}")))
            await asyncio.sleep(0.03)
        assert shelf.gate is not None
        shelf.gate.set()
        await asyncio.gather(*asked)

    run(door(shelf), story)
    assert shelf.order == [str(number).encode() for number in range(10)]
    assert shelf.batches == [1, 9]


def test_the_same_notification_many_times_at_once_is_one_row_and_all_are_told(shelf: Shelf) -> None:
    shelf.delay = 0.05

    async def story(web: Running) -> None:
        assert set(await asyncio.gather(*(web.post(b"same") for _ in range(50)))) == {202}

    run(door(shelf), story)
    assert len(shelf.rows) == 1


def test_too_much_waiting_is_refused_rather_than_kept_in_memory(shelf: Shelf) -> None:
    shelf.gate = threading.Event()

    async def story(web: Running) -> None:
        first = asyncio.create_task(web.post("x" * 500))
        await asyncio.sleep(0.2)
        asked = [asyncio.create_task(web.post(str(number) * 500)) for number in range(8)]
        done, _ = await asyncio.wait(asked, timeout=0.5)
        assert {task.result() for task in done} == {503}
        assert len(done) == 6  # one is in hand, two more fit into 1200 bytes
        assert shelf.gate is not None
        shelf.gate.set()
        await asyncio.gather(first, *asked)

    run(door(shelf, limits=Limits(max_waiting_bytes=1200, max_batch=1)), story)
    assert len(shelf.rows) == 3


def test_when_the_writer_is_gone_nothing_is_acknowledged_and_readiness_is_red(shelf: Shelf) -> None:
    """R13: a task that dies silently must show."""

    async def story(web: Running) -> None:
        assert await web.post(b"before") == 202
        assert (await web.get("/readyz"))[0] == 200
        web.app.state.inbox._writer.cancel()
        await asyncio.sleep(0.05)
        assert await web.post(b"after") == 503
        status, text = await web.get("/readyz")
        assert status == 503
        assert json.loads(text)["parts"]["inbox"] == "the writer has stopped"
        assert (await web.get("/healthz")) == (200, "ok")

    run(door(shelf), story)
    assert shelf.bodies == {b"before"}


def test_those_who_wait_when_the_writer_dies_are_told(shelf: Shelf) -> None:
    shelf.gate = threading.Event()

    async def story(web: Running) -> None:
        asked = [asyncio.create_task(web.post(f"{number}")) for number in range(3)]
        await asyncio.sleep(0.2)
        web.app.state.inbox._writer.cancel()
        assert [await task for task in asked] == [503, 503, 503]
        assert shelf.gate is not None
        shelf.gate.set()

    run(door(shelf), story)


def test_a_stop_during_a_request_lets_it_finish(shelf: Shelf) -> None:
    shelf.delay = 0.5

    async def whole() -> int:
        stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
        task = asyncio.create_task(serve(door(shelf), "127.0.0.1", 0, stop, on_ready=ready.set_result))
        port = await ready
        async with aiohttp.ClientSession() as client:
            asked = asyncio.create_task(
                _status(client, f"http://127.0.0.1:{port}/azure/{SECRET}", b"at the end")
            )
            await asyncio.sleep(0.2)
            stop.set()
            status = await asked
        await asyncio.wait_for(task, 15)
        with pytest.raises(OSError, match=r".*"):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return status

    assert asyncio.run(whole()) == 202
    assert shelf.bodies == {b"at the end"}


async def _status(client: aiohttp.ClientSession, url: str, body: bytes) -> int:
    async with client.post(url, data=body) as answer:
        return answer.status


def test_readiness_names_the_part_and_the_reason(shelf: Shelf) -> None:
    parts: dict[str, str] = {"store": "ok", "slack": ""}

    async def story(web: Running) -> None:
        status, text = await web.get("/readyz")
        assert (status, json.loads(text)["ready"]) == (200, True)
        parts["slack"] = f"no connection, see /azure/{SECRET} for more " + "x" * 1000
        await asyncio.sleep(0.05)
        status, text = await web.get("/readyz")
        found = json.loads(text)
        assert status == 503
        assert found["ready"] is False
        assert found["parts"]["store"] == "ok"
        assert found["parts"]["slack"].startswith("no connection, see /azure/*** for more")
        assert len(found["parts"]["slack"]) <= 200

    run(door(shelf, readiness=lambda: dict(parts), limits=Limits(readiness_kept_s=0.01)), story)


def test_readiness_that_cannot_be_told_is_not_ready(shelf: Shelf) -> None:
    def broken() -> Mapping[str, str]:
        raise RuntimeError("password=hunter2")

    async def story(web: Running) -> None:
        status, text = await web.get("/readyz")
        assert status == 503
        assert json.loads(text)["parts"]["readiness"] == "RuntimeError"
        assert "hunter2" not in text

    run(door(shelf, readiness=broken), story)


def test_readiness_that_hangs_is_not_ready_and_is_not_asked_by_every_caller(shelf: Shelf) -> None:
    gate = threading.Event()
    asked: list[int] = []

    def hangs() -> Mapping[str, str]:
        asked.append(1)
        gate.wait(10)
        return {}

    async def story(web: Running) -> None:
        answers = await asyncio.gather(*(web.get("/readyz") for _ in range(30)))
        gate.set()
        assert {status for status, _ in answers} == {503}
        assert "did not answer in time" in answers[0][1]

    run(door(shelf, readiness=hangs, limits=Limits(readiness_s=0.3, readiness_kept_s=5)), story)
    assert len(asked) == 1


def test_a_caller_with_a_wrong_token_is_refused_before_its_body_is_read(shelf: Shelf) -> None:
    """S9: the secure webhook also carries a token."""
    seen: list[str] = []

    def may_enter(authorization: str) -> bool:
        seen.append(authorization)
        return authorization == "Bearer good"

    doors = AzureEndpoints((WebhookEndpoint("secure", SECRET, authorize=may_enter),))

    async def story(web: Running) -> None:
        head = f"POST /azure/{SECRET} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode()
        assert (await web.raw(head)).startswith(b"HTTP/1.1 401 ")  # not one byte of the body was sent
        assert await web.post(b"x", headers={"Authorization": "Bearer bad"}) == 401
        assert await web.post(b"x", headers={"Authorization": "Bearer good"}) == 202

    run(door(shelf, azure=doors), story)
    assert seen == ["", "Bearer bad", "Bearer good"]
    assert shelf.bodies == {b"x"}


def test_a_token_that_cannot_be_judged_now_is_asked_for_again(shelf: Shelf) -> None:
    def no_keys(authorization: str) -> bool:
        raise Unavailable("azure.webhook_keys", tenant="t")

    async def story(web: Running) -> None:
        assert await web.post(b"x", headers={"Authorization": "Bearer good"}) == 503

    run(door(shelf, azure=AzureEndpoints((WebhookEndpoint("secure", SECRET, authorize=no_keys),))), story)
    assert shelf.rows == {}


def test_slack_requests_that_cannot_be_slacks_get_401_and_not_500(shelf: Shelf) -> None:
    """S1: Bolt answers these with 500."""
    reached: list[bytes] = []

    async def slack(request: Request) -> PlainTextResponse:
        reached.append(await request.body())
        return PlainTextResponse("bolt")

    good = {"X-Slack-Request-Timestamp": "1700000000", "X-Slack-Signature": "v0=" + "0" * 64}

    async def story(web: Running) -> None:
        async def status(headers: Mapping[str, str], body: bytes | io.BytesIO = b"payload=1") -> int:
            async with web.client.post(web.url("/slack/events"), data=body, headers=headers) as answer:
                return answer.status

        for bad in (
            {},
            {**good, "X-Slack-Request-Timestamp": "abc"},
            {**good, "X-Slack-Request-Timestamp": ""},
            {**good, "X-Slack-Request-Timestamp": "1e9"},
            {**good, "X-Slack-Request-Timestamp": "-5"},
            {**good, "X-Slack-Request-Timestamp": "9" * 400},
            {**good, "X-Slack-Signature": "v0=é"},
            {**good, "X-Slack-Signature": ""},
            {**good, "X-Slack-Signature": "v0=" + "0" * 63},
        ):
            assert await status(bad) == 401
        assert reached == []
        assert await status(good) == 200
        assert await status(good, io.BytesIO(b"x" * (1 << 20) + b"y")) == 413
        assert await status({**good, "Content-Encoding": "gzip"}) == 415
        assert reached == [b"payload=1"]

    run(door(shelf, slack=bounded(slack)), story)


@pytest.mark.parametrize(
    ("secret", "code"),
    [
        ("tooBrief-1234567", "web.secret_short"),
        ("a" * 64, "web.secret_weak"),
        ("with/slash" * 5, "web.secret_weak"),
        ("with space " * 5, "web.secret_weak"),
        ("%41bcdefghijk" * 5, "web.secret_weak"),
        ("", "web.secret_short"),
    ],
)
def test_a_secret_that_could_be_guessed_stops_the_start(secret: str, code: str) -> None:
    with pytest.raises(Invalid) as fault:
        AzureEndpoints((WebhookEndpoint("prod", secret),))
    assert fault.value.message.code == code
    if secret:
        assert secret not in str(fault.value)


def test_two_doors_with_one_secret_or_one_name_stop_the_start() -> None:
    with pytest.raises(Invalid, match=r"web\.door_twice"):
        AzureEndpoints((WebhookEndpoint("one", SECRET), WebhookEndpoint("two", SECRET)))
    with pytest.raises(Invalid, match=r"web\.door_twice"):
        AzureEndpoints((WebhookEndpoint("one", SECRET), WebhookEndpoint("one", SECOND)))
    with pytest.raises(Invalid, match=r"web\.door_name"):
        AzureEndpoints((WebhookEndpoint("One Door", SECRET),))


def test_a_door_does_not_show_its_secret() -> None:
    assert SECRET not in repr(DOORS)
    assert SECRET not in str(DOORS.webhooks[0])


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """Everything that is logged at any level, formatted as a file would have it."""
    written: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(self.format(record))

    keep = Keep(level=1)
    root = logging.getLogger()
    level = root.level
    root.addHandler(keep)
    root.setLevel(1)
    yield written
    root.removeHandler(keep)
    root.setLevel(level)


def test_the_secret_is_in_no_log_line(shelf: Shelf, lines: list[str]) -> None:
    async def story(web: Running) -> None:
        assert await web.post(b"ok") == 202
        shelf.fault = RuntimeError(f"while storing /azure/{SECRET}")
        assert await web.post(b"bad") == 503
        await web.raw(f"POST /azure/{SECRET} HTTP/9.9\r\nConnection: close\r\n\r\n".encode())
        await web.raw(f"POST /azure/{SECRET} HTTP/1.1\r\nContent-Length: x\r\n\r\n".encode())
        logging.getLogger("uvicorn.access").info('%s - "%s %s"', "1.2.3.4", "POST", f"/azure/{SECRET}")
        try:
            raise ValueError(f"http://host/azure/{SECRET}?x=1")
        except ValueError:
            logging.getLogger("uvicorn.error").exception("in /azure/%s", SECRET)

    run(door(shelf), story)
    assert any("/azure/***" in line for line in lines)
    assert any("could not be stored" in line for line in lines)
    assert not any(SECRET in line for line in lines)


def test_the_filter_keeps_the_rest_of_a_line() -> None:
    record = logging.LogRecord("x", 20, "f", 1, 'a "/azure/%s?q=1" b', ("abc",), None)
    assert HideSecrets(hide).filter(record)
    assert record.getMessage() == 'a "/azure/***?q=1" b'


def test_a_port_that_is_taken_is_said(shelf: Shelf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=r"web\.cannot_listen"):
            asyncio.run(serve(door(shelf), "127.0.0.1", port, asyncio.Event()))


def test_an_application_that_does_not_start_is_said_and_does_not_end_the_program() -> None:
    @asynccontextmanager
    async def broken(app: Starlette):
        raise RuntimeError("no")
        yield

    with pytest.raises(Unavailable, match=r"web\.did_not_start"):
        asyncio.run(serve(Starlette(lifespan=broken), "127.0.0.1", 0, asyncio.Event()))
