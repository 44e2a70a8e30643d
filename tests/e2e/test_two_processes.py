"""Two bots on one Postgres: the work is shared, one of them speaks, and when it is killed the other goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from twokey.demo import notifications


def burst(world: Any, name: str, count: int = 12) -> list[str]:
    names = [f"{name}-{n}" for n in range(count)]
    bodies = notifications.findings(world.company.key_id, names, datetime.now(UTC))
    world.company.notify(bodies)
    return bodies


def test_two_bots_and_a_worker_share_the_work_and_one_of_them_speaks(worlds: Callable[..., Any]) -> None:
    world = worlds("postgres")
    # One Socket Mode app and one web door each, as two machines would have.
    first, second = world.bot(), world.bot()
    worker = world.bot("worker")
    world.slack.wait_connected(2)
    world.attack(buckets=("shop-orders",))
    for n in range(3):
        body = notifications.planned_maintenance(datetime.now(UTC)).replace("VM2T-L9G", f"VM2T-{n}").encode()
        for bot in (first, second):  # Azure comes again, at the other one
            assert world.webhook(body, bot) == 202
    world.quiet()
    incidents = [f"INC-{n}" for n in range(1, 5)]
    assert [len(world.cards(one)) for one in incidents] == [1, 1, 1, 1]

    # A preview made by one process may be sent to the other; Slack takes the connections in turn.
    plan_card = world.propose(buckets="shop-images")
    modal = world.modal(world.ben, plan_card)
    first.kill()
    burst(world, "late")
    world.slack.wait_for(lambda: world.slack.socket.connected == 1)
    delivery = world.fill(world.ben, modal, typed="222222222222")
    assert not delivery.errors, delivery.errors
    world.ends(world.plan_id(plan_card), "done")
    world.until(lambda: not world.queued(), 60)
    world.quiet(60)
    assert second.is_running and worker.is_running
    assert world.writes().count("PutBucketPolicy") == 1
    assert [len(world.cards(one)) for one in incidents] == [1, 1, 1, 1]
    texts = [world.slack.show(m, 4000) for m in world.thread()]
    unmarked = [text for text in texts if "Sent again" not in text]
    assert len(set(unmarked)) == len(unmarked)
    assert world.readiness(second)["ready"]

    second.kill()
    third = world.bot()
    world.slack.wait_connected(1)
    plan_card = world.propose(buckets="shop-exports")
    world.key(world.cy, plan_card)
    world.ends(world.plan_id(plan_card), "done")
    world.quiet(60)
    assert third.is_running
    assert [len(world.cards(one)) for one in incidents] == [1, 1, 1, 1]
    world.proven()
    assert "Traceback" not in world.log(), world.log()[-3000:]
