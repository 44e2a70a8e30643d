"""When Slack fails: nothing is lost, a thread keeps its order, and what may stand twice says so."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from twokey.core.notices import Notice
from twokey.demo import notifications

NOTES = [f"note number {n}" for n in range(4)]


def notes_in(world: Any) -> list[str]:
    """Return the notes as they stand in the thread, in order."""
    found = []
    for message in world.thread():
        text = " ".join(world.slack.show(message, 4000).split())
        found += [note for note in NOTES if note in text and not text.startswith("╭─ ana")]
    return found


def repeats(world: Any) -> list[str]:
    texts = [world.slack.show(message, 4000) for message in world.thread()]
    return [text for text in texts if "Sent again" in text]


@pytest.fixture
def world(worlds: Callable[..., Any]) -> Any:
    world = worlds()
    world.bot()
    world.attack(buckets=("shop-orders",))
    return world


def test_faults_of_slack_lose_nothing_and_keep_the_order_of_a_thread(world: Any) -> None:
    """429, 500 for three seconds, a lost answer, and a dropped socket, one after the other."""
    faults = world.slack.faults

    def write(number: int) -> None:
        world.ana.command("/twokey", f"note INC-1 {NOTES[number]}", world.security)

    faults.rate_limited("chat.postMessage", retry_after=2, times=2)
    write(0)
    world.until(lambda: notes_in(world) == NOTES[:1])
    assert not repeats(world), "a 429 was not done: no repeat needs a mark"

    faults.server_error("chat.*", seconds=3.0)
    write(1)
    world.until(lambda: notes_in(world) == NOTES[:2])

    marked = len(repeats(world))
    faults.lose_reply("chat.postMessage", times=1)
    write(2)
    world.until(lambda: notes_in(world).count(NOTES[2]) == 2)
    world.quiet()
    assert len(repeats(world)) - marked == 1
    assert "did not confirm" in repeats(world)[-1]

    made = world.slack.socket.connections_made
    world.slack.socket.drop()
    world.until(lambda: world.slack.socket.connections_made > made)
    world.slack.wait_connected()
    write(3)
    world.until(lambda: NOTES[3] in notes_in(world))
    world.quiet()
    assert notes_in(world) == [NOTES[0], NOTES[1], NOTES[2], NOTES[2], NOTES[3]]
    assert len(world.cards("INC-1")) == 1

    made = world.slack.socket.connections_made
    world.slack.socket.disconnect("refresh_requested")
    world.until(lambda: world.slack.socket.connections_made > made)
    world.slack.wait_connected()
    assert world.ana.command("/twokey", "whoami", world.security).acked

    world.slack.faults.refuse("chat.postMessage", "token_revoked", times=None)
    world.slack.faults.refuse("chat.update", "token_revoked", times=None)
    write(0)
    world.until(lambda: not world.readiness()["ready"])
    assert world.readiness()["parts"]["sender"] == "token_revoked"
    assert any(notice.state.value == "pending" for notice in world.find(Notice))
    world.slack.faults.clear()
    world.until(lambda: world.readiness()["ready"], 70)
    world.until(lambda: notes_in(world).count(NOTES[0]) == 2, 70)
    assert "Traceback" not in world.log(), world.log()[-3000:]
    world.proven()


def test_a_bot_that_is_killed_while_slack_is_away_says_everything_later(world: Any) -> None:
    world.slack.faults.server_error("chat.*", times=None)
    for note in NOTES[:3]:
        world.ana.command("/twokey", f"note INC-1 {note}", world.security)
    world.until(lambda: sum(e.action == "noted" for e in world.audit()) == 3)
    time.sleep(0.5)
    world.bots[0].kill()
    world.slack.faults.clear()
    world.bots[0].start()
    world.quiet()
    seen = notes_in(world)
    assert list(dict.fromkeys(seen)) == NOTES[:3]
    assert len(seen) - 3 <= len(repeats(world)) <= 1
    assert len(world.cards("INC-1")) == 1


def test_notifications_are_taken_in_while_slack_is_away_at_the_start(worlds: Callable[..., Any]) -> None:
    """An outage of Slack is a bad moment to lose what the clouds say: it starts, says so, and connects later."""
    world = worlds()
    world.slack.faults.refuse("apps.connections.open", "internal_error", times=None, seconds=5.0)
    bot = world.bot(start=False).start(ready_within=0)
    body = notifications.planned_maintenance(datetime.now(UTC)).encode()
    world.until(lambda: world.webhook(body, bot) == 202)
    assert bot.is_running
    with pytest.raises(urllib.error.HTTPError) as not_ready:
        urllib.request.urlopen(f"{bot.url}/readyz", timeout=5).close()
    assert not_ready.value.code == 503
    assert b"not connected" in not_ready.value.read()
    bot.wait_ready(30)
    world.until(lambda: world.card("INC-1"))
