"""SIGTERM in the middle of work: what is in hand is finished, the rest waits on record, and the exit is clean."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from twokey.core.signals import RawNotification
from twokey.demo import notifications
from twokey.demo.bot import Bot


def terminated(bot: Bot) -> tuple[int, float]:
    """SIGTERM; return the exit code and how long it took."""
    began = time.monotonic()
    code = bot.stop()
    return code, time.monotonic() - began


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_bot_that_is_asked_to_end_under_load_ends_well_and_loses_nothing(
    worlds: Callable[..., Any], database: str
) -> None:
    world = worlds(database)
    bot = world.bot()
    world.attack(buckets=("shop-orders",))
    plan_card = world.propose(buckets="shop-images,shop-exports,shop-backups")
    over, acknowledged = threading.Event(), []

    def stream() -> None:
        number = 0
        while not over.is_set():
            number += 1
            body = notifications.planned_maintenance(datetime.now(UTC)).replace(
                "VM2T-L9G", f"VM2T-{number % 2}"
            )
            if world.webhook(body.encode(), bot) == 202:
                acknowledged.append(body.encode())

    def slow(call: Any) -> bool:
        time.sleep(0.4)
        return True

    world.proxy.before.append(slow)
    streams = [threading.Thread(target=stream) for _ in range(3)]
    for one in streams:
        one.start()
    burst = notifications.findings(
        world.company.key_id, [f"bucket-{n}" for n in range(30)], datetime.now(UTC)
    )
    world.company.notify(burst)
    world.key(world.ben, plan_card)
    world.until(lambda: "step.started" in world.actions())
    code, seconds = terminated(bot)
    over.set()
    for one in streams:
        one.join()
    assert code == 0, bot.tail()
    assert seconds < 10, f"{seconds:.1f} s\n{bot.tail()}"
    log = world.log()
    assert "Traceback" not in log, log[-3000:]
    assert "ERROR" not in log, log[-3000:]

    world.proxy.before.remove(slow)
    bot.start()
    world.ends(world.plan_id(plan_card), "done")
    world.until(lambda: not world.queued(), 60)
    world.quiet(60)
    raws = {raw.body for raw in world.find(RawNotification)}
    assert acknowledged and set(acknowledged) <= raws
    assert {body.encode() for body in burst} <= raws
    assert sorted(world.writes()).count("PutBucketPolicy") == 3, world.writes()
    assert len(world.cards("INC-1")) == 1
    world.proven()


def test_a_bot_that_has_nothing_to_do_ends_quickly(worlds: Callable[..., Any]) -> None:
    """It waits in a long poll of the queue then, which must not hold it."""
    world = worlds()
    bot = world.bot()
    time.sleep(0.5)
    code, seconds = terminated(bot)
    assert code == 0
    assert seconds < 5, f"{seconds:.1f} s"
    assert "Traceback" not in world.log()
