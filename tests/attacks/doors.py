"""What the attackers here have in common: raw requests, acts that are caught on their way, and many hands at once."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.lab.installation import Installation
from twokey.core.approvals import Approval
from twokey.demo.bot import Bot
from twokey.demo.slack import Delivery
from twokey.demo.slack.delivery import Held, Transport
from twokey.demo.slack.signed_http import body_of, sign

SLACK = "/slack/events"
FORM = "application/x-www-form-urlencoded"
Headers = list[tuple[str, str | bytes]]


@dataclass(frozen=True)
class Answered:
    status: int  # 0 when the door cut the connection without a word
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def ask(
    bot: Bot, path: str, headers: Headers, body: bytes = b"", method: str = "POST", timeout: float = 60
) -> Answered:
    """Send exactly these headers, however odd, on a connection of its own."""
    link = http.client.HTTPConnection("127.0.0.1", bot.port, timeout=timeout)
    try:
        link.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            link.putheader(name, value)
        if not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in headers):
            link.putheader("Content-Length", str(len(body)))
        link.endheaders()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read
            link.send(body)
        answer = link.getresponse()
        return Answered(answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()})
    except (ConnectionError, http.client.RemoteDisconnected):
        return Answered(0)
    finally:
        link.close()


def signed(secret: str, body: bytes, *, at: int | None = None, content_type: str = FORM) -> Headers:
    """Return the headers with which Slack would send this body."""
    stamp = str(int(time.time()) if at is None else at)
    return [
        ("Content-Type", content_type),
        ("X-Slack-Request-Timestamp", stamp),
        ("X-Slack-Signature", sign(secret, stamp, body)),
    ]


@contextlib.contextmanager
def through(world: Installation, transport: Transport) -> Iterator[None]:
    """Let what people do go this way for a while."""
    before, world.slack.transport = world.slack.transport, transport
    try:
        yield
    finally:
        world.slack.transport = before


def caught(world: Installation, act: Callable[[], Delivery]) -> Delivery:
    """Let somebody act, and keep what Slack would send."""
    with through(world, Held()):
        return act()


def request_of(world: Installation, delivery: Delivery) -> tuple[Headers, bytes]:
    """Return the signed request that Slack would make of an act: it can be sent again, byte for byte."""
    body, content_type = body_of(delivery)
    return signed(world.slack.signing_secret, body, content_type=content_type), body


def at_once(acts: Iterable[Callable[[], Any]]) -> list[Any]:
    """Do all of these at the same moment, each by a hand of its own, and return what came of each."""
    todo = list(acts)
    together, results = threading.Barrier(len(todo)), [None] * len(todo)
    faults: list[BaseException] = []

    def do(number: int, act: Callable[[], Any]) -> None:
        together.wait()
        try:
            results[number] = act()
        except BaseException as fault:
            faults.append(fault)

    hands = [threading.Thread(target=do, args=pair) for pair in enumerate(todo)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    if faults:
        raise faults[0]
    return results


def keys(world: Installation, plan_id: str = "") -> list[str]:
    """Return whose keys are turned: on a plan, or on any."""
    asked = {"plan_id": plan_id} if plan_id else {}
    return sorted(key.person_id for key in world.find(Approval, **asked))


def said(world: Installation, plan_id: str, action: str) -> list[Any]:
    """Return the audit entries of a plan with this action."""
    return [entry for entry in world.audit() if entry.plan_id == plan_id and entry.action == action]


def all_served(world: Installation) -> bool:
    """Say whether every yes that was heard has been answered with a key or a refusal, on record."""
    actions = world.actions()
    heard = sum(
        entry.data.get("what") == "plan_approve" for entry in world.audit() if entry.action == "heard"
    )
    return heard == actions.count("approved") + actions.count("approval.refused")


def rejected(world: Installation, plan_card: Any, person: Any = None) -> None:
    """End a plan, so that another test may propose the like."""
    person = person or world.cy
    person.click(world.fresh(plan_card), "plan_reject")
    view = world.until(lambda: world.view(person, "plan_reject"))
    world.fill(person, view, reason="the test is over")
    world.ends(world.plan_id(plan_card), "refused")
