"""Azure tells the running bot the same things by every way at once, and each is one incident, across a kill."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.lab.arm import TOKEN, Arm, ArmState, Identity, health_event
from tests.lab.arm.queues import StorageQueues
from tests.lab.installation import DOOR_SECRET, Installation
from twokey.core.incidents import Incident
from twokey.core.responsibility import Label
from twokey.core.signals import Cursor, RawNotification, RawState
from twokey.demo.bot import Bot
from twokey.demo.notifications import SUBSCRIPTION

GRID_SECRET = "event-door-secret-that-is-long-enough-0002-abcdef"
VM = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm"
HAPPENED = "2026-05-14T11:20:37.9245071Z"
ENTRY = {
    "correlationId": "c0ffee00-0000-0000-0000-000000000001",
    "eventDataId": "e0000000-0000-0000-0000-000000000001",
    "eventSource": "ServiceHealth",
    "eventTimestamp": "2026-05-14T11:10:25.3736084+00:00",
    "level": "Informational",
    "operationName": "Microsoft.ServiceHealth/incident/action",
    "properties": {
        "title": "Virtual Machines - Japan East",
        "incidentType": "Incident",
        "trackingId": "1ABC-2D0",
        "stage": "Active",
        "communicationId": "11000000000001",
    },
    "resourceId": f"/subscriptions/{SUBSCRIPTION}",
    "status": "Active",
    "subscriptionId": SUBSCRIPTION,
    "submissionTimestamp": "2026-05-14T11:10:28.7864349+00:00",
}
PUSHED = {
    "schemaId": "Microsoft.Insights/activityLogs",
    "data": {"status": "Activated", "context": {"activityLog": ENTRY}},
}


def from_the_log(now: str) -> dict[str, Any]:
    """The same entry as the API lists it; the log is asked for the last hours only."""
    pairs = {
        name: {"value": ENTRY[name], "localizedValue": ENTRY[name]} for name in ("operationName", "status")
    }
    category = {"value": "ServiceHealth", "localizedValue": "Service Health"}
    return {**ENTRY, **pairs, "category": category, "eventTimestamp": now, "submissionTimestamp": now}


def grid(kind: str, **properties: str) -> dict[str, Any]:
    said = {"targetResourceId": VM, "targetResourceType": "Microsoft.Compute/virtualMachines", **properties}
    return {
        "id": kind,
        "topic": f"/subscriptions/{SUBSCRIPTION}",
        "subject": VM,
        "eventType": f"Microsoft.ResourceNotifications.HealthResources.{kind}",
        "eventTime": HAPPENED,
        "dataVersion": "1",
        "data": {"resourceInfo": {"properties": {**said, "occurredTime": HAPPENED}}},
    }


CHANGED = grid(
    "AvailabilityStatusChanged", availabilityState="Unavailable", previousAvailabilityState="Available"
)
ANNOTATED = grid(
    "ResourceAnnotated",
    annotationName="VirtualMachineHostCrashed",
    context="Platform Initiated",
    category="Unplanned",
    reason="Host crashed",
)


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[tuple[Arm, StorageQueues, dict[str, str]]]:
    """Resource Manager, a storage queue and a managed identity, and the settings that lead a bot there."""
    with contextlib.ExitStack() as stack:
        arm = stack.enter_context(Arm(ArmState(subscriptions={SUBSCRIPTION: "Enabled"})))
        queues = stack.enter_context(StorageQueues(TOKEN))
        identity = stack.enter_context(Identity(TOKEN, arm.base_url, "https://storage.azure.com"))
        trusted = tmp_path / "trusted.pem"
        trusted.write_text(Path(arm.ca_bundle).read_text() + Path(queues.ca_bundle).read_text())
        queues.queues["events"] = []
        host = urlsplit(queues.base_url).hostname or ""
        ways = ("webhook:e2e", "eventgrid:grid", f"queue:{host.partition('.')[0]}/events")
        asked = (f"poll:{SUBSCRIPTION}", f"activitylog:{SUBSCRIPTION}")
        yield (
            arm,
            queues,
            {
                "TWOKEY_AZURE_ENDPOINT_URL": arm.base_url,
                "TWOKEY_AZURE_POLL_S": "60",
                "TWOKEY_AZURE_QUEUES": f"{queues.base_url}/events",
                "TWOKEY_AZURE_EVENT_GRID": f"grid={GRID_SECRET}",
                "TWOKEY_AZURE_SOURCE_SCOPES": ",".join(f"{way}={SUBSCRIPTION}" for way in (*ways, *asked)),
                "REQUESTS_CA_BUNDLE": str(trusted),
                **identity.variables,
            },
        )


def post(bot: Bot, path: str, body: object) -> int:
    request = urllib.request.Request(bot.url + path, json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return int(answer.status)


def found(world: Installation) -> dict[str, tuple[Label, str]]:
    with world.record.read() as look:
        incidents = [one for one in look.find(Incident) if one.provider == "azure"]
    assert len({one.family for one in incidents}) == len(incidents), incidents
    assert [one.disputed for one in incidents if one.disputed] == []  # each way is listed by its name
    return {one.family: (one.verdict.label, one.tracking_id) for one in incidents}


def settled(world: Installation, polls: int) -> bool:
    with world.record.read() as look:
        raws = [raw for raw in look.find(RawNotification, limit=5000) if raw.provider == "azure"]
        cursors = [cursor for cursor in look.find(Cursor) if cursor.source.startswith("azure.")]
    ways = {raw.source.partition(":")[0] for raw in raws}
    return (
        len(cursors) == polls
        and ways == {"azure.webhook", "azure.eventgrid", "azure.queue", "azure.poll", "azure.activitylog"}
        and all(raw.state is RawState.SORTED for raw in raws)
    )


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_every_way_at_once_is_one_incident_each_also_after_a_kill(
    worlds: Callable[..., Installation],
    azure: tuple[Arm, StorageQueues, dict[str, str]],
    database: str,
) -> None:
    arm, queues, settings = azure
    world = worlds(database, **settings)
    arm.state.events[SUBSCRIPTION] = [health_event("1ABC-2D0", lastUpdateTime="2026-05-14T11:15:00Z")]
    arm.state.impacted["1ABC-2D0"] = [VM]
    lately = (datetime.now(UTC) - timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    arm.state.activity = [from_the_log(lately)]
    queues.put("events", base64.b64encode(json.dumps(CHANGED).encode()).decode(), json.dumps(ANNOTATED))
    bot = world.bot()

    def push() -> None:
        assert post(bot, f"/azure/{DOOR_SECRET}", PUSHED) == 202
        assert post(bot, f"/azure/events/{GRID_SECRET}", [ANNOTATED]) == 200
        assert post(bot, f"/azure/events?code={GRID_SECRET}", [CHANGED]) == 200

    hands = [threading.Thread(target=push) for _ in range(4)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    world.until(lambda: settled(world, polls=2), 240)
    expected = {
        "servicehealth": (Label.PROVIDER_OUTAGE, "1ABC-2D0"),
        "resourcehealth": (Label.PROVIDER_OUTAGE, ""),
    }
    assert found(world) == expected
    world.until(lambda: queues.left("events") == [], 240)
    bot.kill()
    queues.put("events", json.dumps(CHANGED))
    before = len(arm.calls)
    world.bot()
    world.until(lambda: queues.left("events") == [] and len(arm.calls) >= before + 2, 240)
    world.until(lambda: settled(world, polls=2), 240)
    assert found(world) == expected
