"""S18: nobody without a secret can fill the bot's memory, hold its connections, or keep a signed request out."""

from __future__ import annotations

import asyncio
import gzip
import json
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.lab.installation import DOOR_SECRET, Installation, installed
from tests.lab.trials import Proof
from twokey.core.signals import NOT_TAKEN, RawNotification, RawState
from twokey.demo.bot import Bot
from twokey.demo.emulators import Ministack
from twokey.demo.slack.signed_http import sign

from .conftest import QUICK

ROOM = 50 << 20  # how much the bot may grow under any of this
PATIENCE = 10.0  # Slack waits 3 s; a loaded machine that tests has more patience
UNSIGNED = {"X-Slack-Request-Timestamp": "{now}", "X-Slack-Signature": "v0=" + "0" * 64}
Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(scope="module")
def world(aws: Ministack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    with installed(tmp_path_factory.mktemp("world"), aws, settings=QUICK) as made:
        made.bot()
        made.slack.via_http(f"{made.bots[-1].url}/slack/events", timeout=PATIENCE)
        for number in range(30):  # whatever is loaded at its first use is loaded then
            assert made.ana.command("/twokey", "help", made.channel).acked
            assert made.webhook(json.dumps({"schemaId": f"warm {number}"}).encode()) == 202
        made.quiet()
        yield made


def status_of(process: Bot, name: str) -> int:
    """Return one number of /proc/PID/status, in bytes where it is a size."""
    assert process._process is not None
    lines = Path(f"/proc/{process._process.pid}/status").read_text().splitlines()
    value = next(line for line in lines if line.startswith(f"{name}:")).split()[1:]
    return int(value[0]) * (1024 if value[1:] == ["kB"] else 1)


def open_files(process: Bot) -> int:
    assert process._process is not None
    return len(list(Path(f"/proc/{process._process.pid}/fd").iterdir()))


def head(path: str, headers: dict[str, str], method: str = "POST") -> bytes:
    lines = [f"{name}: {value.format(now=int(time.time()))}" for name, value in headers.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: bot", *lines, "", ""]).encode()


async def answer(link: Link) -> int | None:
    """Return the status of an answer; None where the connection was closed without one."""
    try:
        line = await asyncio.wait_for(link[0].readline(), 60)
    except OSError:
        return None
    return int(line.split()[1]) if line else None


async def asked(port: int, first: bytes, body: bytes = b"", piece: int = 1 << 16) -> int | None:
    """Send one request, in pieces as long as it is taken, and return the answer's status."""
    link = await asyncio.open_connection("127.0.0.1", port)
    answering = asyncio.create_task(answer(link))
    try:
        with suppress(OSError):
            link[1].write(first)
            for start in range(0, len(body), piece):
                await asyncio.sleep(0)
                if answering.done():  # whoever sends on after that may lose the answer
                    break
                link[1].write(body[start : start + piece])
                await asyncio.wait_for(link[1].drain(), 60)
        return await answering
    finally:
        link[1].close()


def chunked(body: bytes) -> bytes:
    return b"".join(
        b"%x\r\n%b\r\n" % (len(part), part)
        for part in (body[n : n + 65536] for n in range(0, len(body), 65536))
    )


# Attacks that stand while the bot is asked: each is a context in which they go on.


@asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[Link]]:
    """So many connections, renewed when the bot closes them."""
    links: list[Link] = []
    is_over = asyncio.Event()

    async def hold() -> None:
        while not is_over.is_set():
            try:
                link = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.2)
                continue
            links.append(link)
            with suppress(OSError):
                await asyncio.wait([reader_ends(link), over], return_when=asyncio.FIRST_COMPLETED)
            links.remove(link)
            link[1].close()
            await asyncio.sleep(0.2)

    def reader_ends(link: Link) -> asyncio.Task[bytes]:
        task = asyncio.create_task(link[0].read())
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        tasks.append(task)
        return task

    tasks: list[asyncio.Task[bytes]] = []
    over = asyncio.create_task(is_over.wait())
    holding = [asyncio.create_task(hold()) for _ in range(count)]
    try:
        yield links
    finally:
        is_over.set()
        await asyncio.gather(*holding, return_exceptions=True)
        for task in tasks:
            task.cancel()


def dripping(first: bytes) -> Callable[[int, int], object]:
    """Make an attack in which every connection sends a beginning, and then a byte now and then."""

    @asynccontextmanager
    async def attack(port: int, count: int) -> AsyncIterator[list[Link]]:
        async with connections(port, count) as links:
            started: set[int] = set()

            async def drip() -> None:
                while True:
                    for link in list(links):
                        with suppress(OSError, RuntimeError):
                            link[1].write(b"x" if id(link) in started else first)
                        started.add(id(link))
                    await asyncio.sleep(0.5)

            dripper = asyncio.create_task(drip())
            try:
                yield links
            finally:
                dripper.cancel()

    return attack


@asynccontextmanager
async def flood(port: int, count: int) -> AsyncIterator[Counter[int | None]]:
    """Requests that nobody signed, as fast as they are answered, on many connections."""
    statuses: Counter[int | None] = Counter()
    is_over = False
    body = b"payload=%7B%7D"
    plain = {"Content-Length": str(len(body)), "Content-Type": "application/x-www-form-urlencoded"}
    requests = [
        head("/slack/events", plain | UNSIGNED) + body,
        head("/slack/events", plain) + body,
        head(f"/azure/{'guess-' * 8}", plain) + body,
        head("/admin", {}, "GET"),
    ]

    async def one(number: int) -> None:
        while not is_over:
            try:
                statuses[await asked(port, requests[number % len(requests)])] += 1
            except OSError:
                await asyncio.sleep(0.1)
            number += 1

    flooding = [asyncio.create_task(one(number)) for number in range(min(count, 64))]
    try:
        yield statuses
    finally:
        is_over = True
        await asyncio.gather(*flooding)


SLOW_BODY = head("/slack/events", UNSIGNED | {"Content-Length": "900000"})
ATTACKS = {
    "idle connections": connections,
    "slow heads": dripping(b"POST /slack/events HTTP/1.1\r\nX-A: "),
    "slow bodies": dripping(SLOW_BODY + b"y" * 1000),
    "slow bodies that begin large": dripping(SLOW_BODY + b"y" * 60_000),
    "unsigned flood": flood,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_signed_request_is_answered_while_strangers_hold_everything(
    world: Installation, proof: Proof, name: str
) -> None:
    bot = world.bots[-1]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500
    count = min(10_000 if proof.is_release else 1_000, most)
    trials = proof("S18", "a signed request is answered while strangers hold everything", ci=5, release=50)
    before, files = status_of(bot, "VmRSS"), open_files(bot)
    peak = [before, files]

    async def story() -> None:
        async with AsyncExitStack() as stack:
            held: Any = await stack.enter_async_context(ATTACKS[name](bot.port, count))  # type: ignore[arg-type]
            async with asyncio.timeout(120):  # the attack stands
                while len(held) < count * 0.4 and name != "unsigned flood":
                    await asyncio.sleep(0.05)
            watcher = asyncio.create_task(watch())
            for _ in trials:
                delivery = await asyncio.to_thread(world.ana.command, "/twokey", "help", world.channel)
                assert delivery.acked, (delivery.response.status, delivery.response.error)
                body = json.dumps({"schemaId": f"{name} {time.monotonic()}"}).encode()
                assert await asyncio.to_thread(world.webhook, body) == 202
                trials.outcome("answered within 3 s" if (delivery.ack_ms or 0) < 3000 else "later")
                await asyncio.sleep(0.2)
            watcher.cancel()
            if isinstance(held, Counter):
                assert held.keys() <= {401, 404, None}, held
                assert held[None] < sum(held.values()) / 10, held

    async def watch() -> None:
        while True:
            peak[0] = max(peak[0], status_of(bot, "VmRSS"))
            peak[1] = max(peak[1], open_files(bot))
            await asyncio.sleep(0.05)

    asyncio.run(story())
    assert peak[0] - before < ROOM, (before, peak[0])
    assert peak[1] - files < 1000, "a process may usually have 1,024 open files"
    world.slack.wait_for(lambda: open_files(bot) < files + 50, 60)
    world.slack.wait_for(lambda: world.readiness()["ready"], 60)


def slack_like(body: bytes, **more: str) -> bytes:
    return head("/slack/events", UNSIGNED | {"Content-Length": str(len(body)), **more})


def test_bodies_that_are_too_large_or_packed_are_declined_and_cost_no_memory(
    world: Installation, proof: Proof
) -> None:
    bot = world.bots[-1]
    large = b"x" * (10 << 20)
    bomb = gzip.compress(b"\0" * (200 << 20), 9)
    azure = f"/azure/{DOOR_SECRET}"
    packed = {"Content-Length": str(len(bomb)), "Content-Encoding": "gzip"}
    requests: list[tuple[str, bytes, bytes, set[int | None]]] = [
        ("10 MB", slack_like(large), large, {413, None}),
        ("10 MB", head(azure, {"Content-Length": str(len(large))}), large, {413, None}),
        ("no length", head(azure, {"Transfer-Encoding": "chunked"}), chunked(large), {413, None}),
        ("no length", head("/slack/events", UNSIGNED | {"Transfer-Encoding": "chunked"}), chunked(large), {413, None}),
        ("absurd length", head(azure, {"Content-Length": "9" * 18}), b"{}", {413}),
        ("absurd length", head(azure, {"Content-Length": "9" * 400}), b"{}", {413, 400}),
        ("length is no number", head(azure, {"Content-Length": "ten"}), b"{}", {400}),
        ("two lengths", head(azure, {"Content-Length": "2", "content-length": "3"}), b"{}", {400}),
        ("cut short", head(azure, {"Content-Length": "50"}), b"{}", {408}),
        ("gzip bomb", head(azure, packed), bomb, {415, None}),
        ("gzip bomb", head("/slack/events", UNSIGNED | packed), bomb, {415, None}),
        ("gzip in chunks", head(azure, {"Transfer-Encoding": "gzip, chunked"}), chunked(bomb), {400, 501, None}),
        ("large head", head(azure, {"X-A": "y" * (1 << 20)}), b"", {400, 431, None}),
        ("many headers", head(azure, {f"X-{n}": "y" for n in range(20_000)}), b"", {400, 431, None}),
        ("not HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" * 200 + b"\r\n\r\n", b"", {400}),
        ("smuggled", head(azure, {"Content-Length": "4", "Transfer-Encoding": "chunked"}), b"0\r\n\r\n", {400, 202}),
    ]  # fmt: skip
    before = status_of(bot, "VmRSS")
    known = len(world.find(RawNotification))
    trials = proof("S18", "a body that is too large, too slow or packed is declined", ci=2 * len(requests))

    async def story() -> int:
        peak = 0
        for _ in range(2):
            for name, first, body, wanted in requests:
                status = await asked(bot.port, first, body)
                assert status in wanted, (name, status)
                peak = max(peak, status_of(bot, "VmRSS"))
                trials.outcome(f"{name}: {status or 'closed'}")
        return peak

    peak = asyncio.run(story())
    trials.count(2 * len(requests))
    assert peak - before < ROOM, (before, peak)
    fresh = world.find(RawNotification)[known:]
    # What Azure never sends again leaves a note of a line, and equal notes are one.
    notes = [raw for raw in fresh if raw.body.startswith(NOT_TAKEN.encode())]
    assert max(len(raw.body) for raw in notes) < 200
    assert len(notes) == len({raw.body for raw in notes}) <= len(requests)
    assert len(fresh) - len(notes) <= 1  # what was smuggled is one empty notification at most
    assert world.readiness()["ready"]


def test_depth_is_stored_and_shown_and_never_a_crash(world: Installation, proof: Proof) -> None:
    bot = world.bots[-1]
    trials = proof("S18", "JSON of any depth is answered and survived", ci=8)
    deep = [
        b"[" * 10_000,
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 900_000,
    ]

    async def signed(body: bytes) -> int | None:
        stamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": sign(world.slack.signing_secret, stamp, body),
        }
        return await asked(bot.port, head("/slack/events", headers), body)

    for body in deep:
        assert world.webhook(body) == 202
        status = asyncio.run(signed(body))
        assert status is not None
        assert status < 500, status
        trials.outcome("Azure: 202")
        trials.outcome(f"Slack: {status}")
    trials.count(8)
    world.quiet()
    kept = {raw.body: raw for raw in world.find(RawNotification)}
    assert all(kept[body].state is RawState.UNREADABLE for body in deep)
    assert bot.is_running
    assert world.readiness()["ready"]


def test_after_all_of_it_the_log_holds_no_fault(world: Installation) -> None:
    faults = [line for line in world.log().splitlines() if "Traceback" in line and "slack_bolt" not in line]
    assert not faults, faults[:3]
    assert not [line for line in world.log().splitlines() if "out of system resource" in line]
