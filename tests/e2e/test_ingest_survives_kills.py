"""kill -9 at random moments while notifications stream in: what was acknowledged is never lost, and said once."""

from __future__ import annotations

import json
import random
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from twokey.core.incidents import Sighting
from twokey.core.signals import RawNotification
from twokey.testing.demo import notifications

MARK = "again"  # the small print of a message that may stand twice
KILLS = {"sqlite": 12, "postgres": 4}


def maintenance(number: int, version: int) -> bytes:
    """Azure's news about one of a few maintenances; every version is another body."""
    event = json.loads(notifications.planned_maintenance(datetime.now(UTC) + timedelta(seconds=number)))
    context = event["data"]["alertContext"]
    context["properties"] |= {"trackingId": f"TRK-{number}", "maintenanceId": f"TRK-{number}"}
    context["properties"]["communicationId"] = f"{number}{version:05d}"
    context["eventDataId"] = f"{number:08d}-9a8f-4e7d-b6c5-{version:012d}"
    context["eventTimestamp"] = (datetime.now(UTC) + timedelta(milliseconds=version)).isoformat()
    return json.dumps(event).encode()


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_what_was_acknowledged_is_on_record_and_sorted_whenever_the_bot_is_killed(
    worlds: Callable[..., Any], database: str
) -> None:
    seed = secrets.randbelow(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    world = worlds(database)
    bot = world.bot()
    over = threading.Event()
    acknowledged: set[bytes] = set()
    queued: set[str] = set()

    def stream_webhook() -> None:
        version = 0
        while not over.is_set():
            version += 1
            body = maintenance(version % 3, version)
            if world.webhook(body, bot) == 202:
                acknowledged.add(body)
            time.sleep(0.05)

    def stream_queue() -> None:
        number = 0
        while not over.is_set():
            names = [f"bucket-{number}-{n}" for n in range(4)]
            number += 1
            burst = notifications.findings(world.company.key_id, names, datetime.now(UTC))
            world.company.notify(burst)
            queued.update(burst)
            time.sleep(0.4)

    streams = [threading.Thread(target=work) for work in (stream_webhook, stream_queue)]
    for stream in streams:
        stream.start()
    try:
        for _ in range(KILLS[database]):
            time.sleep(chance.uniform(0.05, 1.0))
            bot.kill()
            bot.start(ready_within=chance.choice([0, 30.0]))
            if chance.random() < 0.3:
                time.sleep(chance.uniform(0.3, 2.0))
    finally:
        over.set()
        for stream in streams:
            stream.join()
    bot.kill()
    bot.start()
    world.until(lambda: not world.queued(), 60)
    world.quiet(90)

    raws = {raw.body: raw for raw in world.find(RawNotification)}
    assert len(acknowledged) > 10 and len(queued) > 20, (len(acknowledged), len(queued))
    assert acknowledged <= set(raws)
    assert {body.encode() for body in queued} <= set(raws)
    assert {raw.state.value for raw in raws.values()} == {"sorted"}
    sighted = [sighting.signal.raw_id for sighting in world.find(Sighting)]
    assert sorted(sighted) == sorted(raw.id for raw in raws.values())
    incidents = {sighting.incident_id for sighting in world.find(Sighting)}
    assert len(incidents) == 4  # the storm, and three maintenances
    for incident in incidents:
        first, *repeats = world.cards(incident)
        assert first
        assert all(MARK in world.slack.show(card) for card in repeats), seed
    world.proven()
    assert "Traceback" not in world.log(), world.log()[-3000:]
