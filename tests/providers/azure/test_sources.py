"""What is asked for instead of being told: lists with their cursors, pages and throttling, and storage queues."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from tests.lab.arm import Arm, Fault, health_event, log_entry
from tests.lab.arm.faults import access_denied, throttled
from tests.lab.arm.queues import StorageQueues
from tests.lab.arm.server import TOKEN, FakeCredential
from twokey.core.errors import Invalid, NotFound, Refused, Unavailable
from twokey.core.signals import RawNotification, raw_id
from twokey.providers.azure.normalise import AzureNormaliser
from twokey.providers.azure.queues import StorageQueue
from twokey.providers.azure.session import AzureOptions, AzureSession
from twokey.providers.azure.sources import ActivityLog, ServiceHealthEvents
from twokey.testing.clocks import SettableClock

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"
VM = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm"


@dataclass
class Kept:
    """Cursors that are kept in a dictionary."""

    places: dict[str, str] = field(default_factory=dict)
    moves: int = 0

    def position(self, source: str) -> str:
        return self.places.get(source, "")

    def move(self, source: str, position: str) -> None:
        self.moves += self.places.get(source) != position
        self.places[source] = position


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def events(arm: Arm, clock: SettableClock, kept: Kept, waits: list[float]) -> ServiceHealthEvents:
    return ServiceHealthEvents(arm.session(), SUBSCRIPTION, "tenant-1", clock, kept, wait=waits.append)


@pytest.fixture
def log(arm: Arm, clock: SettableClock, kept: Kept, waits: list[float]) -> ActivityLog:
    return ActivityLog(arm.session(), SUBSCRIPTION, "tenant-1", clock, kept, wait=waits.append)


def asked(arm: Arm, end: str) -> list[dict[str, str]]:
    return [call.query for call in arm.calls if call.path.endswith(end)]


def documents(raws: Iterable[RawNotification]) -> list[dict[str, Any]]:
    return [json.loads(raw.body) for raw in raws]


# Azure's own events


def test_the_backstop_brings_each_state_of_an_event_once(
    arm: Arm, clock: SettableClock, events: ServiceHealthEvents, waits: list[float]
) -> None:
    """A webhook that failed once is not called for 15 minutes: the event must come this way."""
    arm.state.events[SUBSCRIPTION] = [health_event("T1"), health_event("T2")]
    first = events.receive()
    assert [raw.source for raw in first] == [f"azure.poll:{SUBSCRIPTION}"] * 2
    assert all(raw.id == raw_id(raw.source, raw.body) for raw in first)
    assert {(raw.account, raw.tenant, raw.provider) for raw in first} == {(SUBSCRIPTION, "tenant-1", "azure")}
    assert events.receive() == []
    assert waits == [20.0]
    clock.advance(301)
    assert [raw.id for raw in events.receive()] == [raw.id for raw in first]
    arm.state.events[SUBSCRIPTION][1] = health_event("T2", status="Resolved")
    clock.advance(301)
    third = events.receive()
    assert third[0].id == first[0].id
    assert third[1].id != first[1].id


def test_every_page_is_read(arm: Arm, events: ServiceHealthEvents) -> None:
    arm.state.page_size = 7
    arm.state.events[SUBSCRIPTION] = [health_event(f"T{n}", status="Resolved") for n in range(40)]
    assert len(events.receive()) == 40
    assert len(asked(arm, "/events")) == 6


def test_the_cursor_moves_only_when_what_was_read_is_stored_and_a_day_is_read_again(
    arm: Arm, clock: SettableClock, events: ServiceHealthEvents, kept: Kept
) -> None:
    arm.state.events[SUBSCRIPTION] = [health_event("T1")]
    found = events.receive()
    assert kept.places == {}
    events.done(found)
    assert kept.places == {events.name: "2026-05-14"}
    clock.advance(20 * 86400)  # twokey was away
    events.receive()
    assert [query["queryStartTime"] for query in asked(arm, "/events")] == ["05/11/2026", "05/13/2026"]
    clock.advance(400 * 86400)
    events.receive()
    assert asked(arm, "/events")[-1]["queryStartTime"] == (clock.now() - timedelta(days=89)).strftime(
        "%m/%d/%Y"
    )


def test_a_list_without_anything_new_moves_the_cursor_once_a_day(
    clock: SettableClock, events: ServiceHealthEvents, kept: Kept
) -> None:
    for _ in range(288):
        events.receive()
        clock.advance(300)
    assert kept.moves == 2  # it is noon when we begin


def test_a_throttled_list_is_not_asked_again_before_azure_says_so_and_the_failure_stays_visible(
    arm: Arm, clock: SettableClock, events: ServiceHealthEvents, kept: Kept, waits: list[float]
) -> None:
    arm.order(throttled("600", times=1))
    with pytest.raises(Unavailable, match=r"azure\.throttled"):
        events.receive()
    clock.advance(301)  # its usual turn, but Azure wants ten minutes
    with pytest.raises(Unavailable, match=r"azure\.throttled"):
        events.receive()
    assert len(arm.calls) == 1
    assert waits == [20.0]
    clock.advance(300)
    assert events.receive() == []
    assert len(arm.calls) == 2
    assert kept.places


def test_a_throttled_page_in_the_middle_loses_no_event(
    arm: Arm, clock: SettableClock, events: ServiceHealthEvents, kept: Kept
) -> None:
    arm.state.page_size = 5
    arm.state.events[SUBSCRIPTION] = [health_event(f"T{n}", status="Resolved") for n in range(12)]
    arm.order(Fault(path="/events$", times=0))
    pages = iter(range(100))
    arm.after.append(lambda call: next(pages) != 1)  # the second page's connection is cut
    arm.order(throttled("300", times=0))
    found = events.receive()  # a read is tried again at once
    arm.after.clear()
    assert len(found) == 12
    arm.order(throttled("300", times=1, path="/events$"))
    clock.advance(301)
    with pytest.raises(Unavailable):
        events.receive()
    assert kept.places == {}  # nothing was told to be stored yet
    clock.advance(301)
    assert len(events.receive()) == 12


def test_an_active_event_comes_with_the_resources_that_it_touches_and_how_they_are(
    arm: Arm, events: ServiceHealthEvents
) -> None:
    other = VM.replace(SUBSCRIPTION, OTHER)
    arm.state.events[SUBSCRIPTION] = [health_event("T1"), health_event("T2", status="Resolved")]
    arm.state.impacted["T1"] = [VM, other, f"{VM}2"]
    arm.state.availability[VM] = [
        {
            "id": f"{VM}/providers/Microsoft.ResourceHealth/availabilityStatuses/current",
            "name": "current",
            "type": "Microsoft.ResourceHealth/availabilityStatuses",
            "properties": {
                "availabilityState": "Unavailable",
                "reasonType": "Unplanned",
                "context": "Platform Initiated",
                "occuredTime": "2026-05-14T09:12:00Z",
                "reportedTime": "2026-05-14T14:11:29.7598931Z",
            },
        }
    ]
    found = events.receive()
    said = documents(found)
    assert [item["targetResourceId"] for item in said[0]["impactedResources"]] == sorted(
        [VM, other, f"{VM}2"]
    )
    assert [(item["resource"], item["availabilityState"]) for item in said[0]["availabilityStatuses"]] == [
        (VM, "Unavailable")
    ]
    assert "impactedResources" not in said[1]
    (signal,) = AzureNormaliser().normalise(found[0])
    assert [resource.id for resource in signal.resources] == sorted([VM, other, f"{VM}2"])
    assert signal.facts["unhealthy"] == [VM]
    assert not [call for call in arm.calls if OTHER in call.path]


def test_resources_that_cannot_be_listed_do_not_hide_the_event(
    arm: Arm, clock: SettableClock, events: ServiceHealthEvents
) -> None:
    arm.state.events[SUBSCRIPTION] = [health_event("T1")]
    arm.state.impacted["T1"] = [VM]
    arm.order(throttled("60", path="impactedResources", times=1))
    assert [("impactedResources" in document) for document in documents(events.receive())] == [False]
    clock.advance(301)
    assert [("impactedResources" in document) for document in documents(events.receive())] == [True]


def test_resources_are_listed_again_when_the_event_was_updated_and_not_at_every_turn(
    arm: Arm, clock: SettableClock, events: ServiceHealthEvents
) -> None:
    arm.state.events[SUBSCRIPTION] = [health_event("T1")]
    for _ in range(4):
        events.receive()
        clock.advance(301)
    assert len(asked(arm, "impactedResources")) == 1
    arm.state.events[SUBSCRIPTION] = [health_event("T1", lastUpdateTime="2026-05-14T12:30:00Z")]
    events.receive()
    assert len(asked(arm, "impactedResources")) == 2
    clock.advance(1801)
    events.receive()
    assert len(asked(arm, "impactedResources")) == 3


def test_many_events_at_once_are_all_brought_and_few_of_them_looked_into_at_a_time(
    arm: Arm, clock: SettableClock, events: ServiceHealthEvents
) -> None:
    arm.state.events[SUBSCRIPTION] = [health_event(f"T{n}") for n in range(50)]
    assert len(events.receive()) == 50
    assert len(asked(arm, "impactedResources")) == 20
    for _ in range(2):
        clock.advance(301)
        events.receive()
    assert len(asked(arm, "impactedResources")) == 50


def test_a_security_advisory_has_a_list_of_its_own(arm: Arm, events: ServiceHealthEvents) -> None:
    arm.state.events[SUBSCRIPTION] = [health_event("S1", eventType="SecurityAdvisory")]
    arm.state.security_impacted["S1"] = [VM]
    (said,) = documents(events.receive())
    assert [item["targetResourceId"] for item in said["impactedResources"]] == [VM]


def test_a_security_advisory_is_brought_also_without_the_right_to_its_resources(
    arm: Arm, events: ServiceHealthEvents
) -> None:
    arm.state.events[SUBSCRIPTION] = [health_event("S1", eventType="SecurityAdvisory")]
    arm.order(
        access_denied(
            "Microsoft.ResourceHealth/events/listSecurityAdvisoryImpactedResources/action", "listSec"
        )
    )
    assert len(events.receive()) == 1


def test_the_whole_tenants_events_are_the_same_matters(arm: Arm, clock: SettableClock, kept: Kept) -> None:
    arm.state.tenant_events = [health_event("T1")]
    arm.state.events[SUBSCRIPTION] = [health_event("T1")]
    session = arm.session()
    whole = ServiceHealthEvents(session, SUBSCRIPTION, "t", clock, kept, of_tenant=True)
    one = ServiceHealthEvents(session, SUBSCRIPTION, "t", clock, kept)
    (of_tenant,), (of_one,) = whole.receive(), one.receive()
    assert (of_tenant.source, of_tenant.account) == ("azure.poll:tenant", "")
    read = AzureNormaliser().normalise
    assert read(of_tenant)[0].subject == read(of_one)[0].subject


def test_a_missing_permission_is_named(arm: Arm, events: ServiceHealthEvents) -> None:
    arm.order(access_denied("Microsoft.ResourceHealth/events/read"))
    with pytest.raises(Refused, match=r"azure\.access_denied"):
        events.receive()


# the activity log


def entry(clock: SettableClock, category: str, number: int, minutes_ago: float = 5) -> dict[str, Any]:
    at = clock.now() - timedelta(minutes=minutes_ago)
    made = log_entry(VM, f"Microsoft.Test/op{number}/action", at)
    return {**made, "category": {"value": category, "localizedValue": category}}


def test_the_wanted_categories_are_taken_from_every_page(
    arm: Arm, clock: SettableClock, log: ActivityLog
) -> None:
    arm.state.page_size = 3
    arm.state.activity = [
        entry(clock, category, number)
        for number, category in enumerate(
            [
                "Administrative",
                "ServiceHealth",
                "Policy",
                "ResourceHealth",
                "security",
                "Administrative",
                "Autoscale",
            ]
        )
    ]
    found = log.receive()
    assert [document["category"]["value"] for document in documents(found)] == [
        "ServiceHealth",
        "ResourceHealth",
        "security",
    ]
    assert {raw.source for raw in found} == {f"azure.activitylog:{SUBSCRIPTION}"}
    assert len(asked(arm, "/management/values")) == 3


def test_an_hour_before_the_cursor_is_read_again_because_entries_come_late(
    arm: Arm, clock: SettableClock, log: ActivityLog, kept: Kept
) -> None:
    log.receive()
    assert kept.places == {log.name: "2026-05-14T12:00:00+00:00"}
    late = entry(clock, "ServiceHealth", 1, minutes_ago=40)
    arm.state.activity = [late]
    clock.advance(301)
    assert len(log.receive()) == 1
    filters = [query["$filter"] for query in asked(arm, "/management/values")]
    assert filters[0].startswith("eventTimestamp ge '2026-05-14T06:00:00")
    assert filters[1].startswith("eventTimestamp ge '2026-05-14T11:00:00")


def test_the_log_cursor_moves_at_most_once_an_hour_and_a_restart_goes_on_there(
    arm: Arm, clock: SettableClock, log: ActivityLog, kept: Kept
) -> None:
    for _ in range(25):
        log.receive()
        clock.advance(300)
    assert kept.moves == 3
    clock.advance(30 * 86400)
    again = ActivityLog(arm.session(), SUBSCRIPTION, "tenant-1", clock, kept)
    again.receive()
    assert asked(arm, "/management/values")[-1]["$filter"].startswith(
        "eventTimestamp ge '2026-05-14T13:00:00"
    )


def test_the_log_cursor_stays_while_entries_are_not_stored(
    arm: Arm, clock: SettableClock, log: ActivityLog, kept: Kept
) -> None:
    arm.state.activity = [entry(clock, "ServiceHealth", 1)]
    found = log.receive()
    assert kept.places == {}
    log.done(found)
    assert kept.places


def test_a_long_list_is_stored_in_portions_and_the_cursor_waits_for_the_last(
    arm: Arm, clock: SettableClock, log: ActivityLog, kept: Kept
) -> None:
    arm.state.activity = [entry(clock, "ServiceHealth", number) for number in range(1200)]
    sizes = []
    for _ in range(3):
        found = log.receive()
        assert kept.places == {}
        sizes.append(len(found))
        log.done(found)
    assert sizes == [500, 500, 200]
    assert kept.places


def test_a_portion_that_was_not_stored_is_read_again_with_all_that_came_after_it(
    arm: Arm, clock: SettableClock, log: ActivityLog, kept: Kept
) -> None:
    arm.state.activity = [entry(clock, "ServiceHealth", number) for number in range(1200)]
    log.done(log.receive())
    lost = log.receive()  # the record was away: nobody acknowledges
    assert log.receive() == []
    assert kept.places == {}
    clock.advance(301)
    again: list[RawNotification] = []
    while found := log.receive():
        again += found
        log.done(found)
    assert {raw.id for raw in lost} <= {raw.id for raw in again}
    assert len(again) == 1200
    assert kept.places


# storage queues


@pytest.fixture
def storage(clock: SettableClock) -> Iterator[StorageQueues]:
    with StorageQueues(TOKEN, now=lambda: clock.now().timestamp()) as started:
        started.queues["events"] = []
        yield started


@pytest.fixture
def queue(storage: StorageQueues, clock: SettableClock, waits: list[float]) -> StorageQueue:
    options = AzureOptions("", (), ca_bundle=storage.ca_bundle, use_environment_proxy=False)
    session = AzureSession(options, FakeCredential())
    return StorageQueue(session, f"{storage.base_url}/events", "tenant-1", clock, wait=waits.append)


EVENT = {
    "id": "8945cf9b",
    "topic": f"/subscriptions/{SUBSCRIPTION}",
    "subject": VM,
    "eventType": "Microsoft.ResourceNotifications.HealthResources.ResourceAnnotated",
    "eventTime": "2026-05-14T11:20:37.9Z",
    "data": {
        "resourceInfo": {
            "properties": {
                "targetResourceId": VM,
                "occurredTime": "2026-05-14T11:20:37.9Z",
                "annotationName": "VirtualMachineHostCrashed",
                "context": "Platform Initiated",
                "category": "Unplanned",
            }
        }
    },
}


def test_a_message_leaves_the_queue_only_when_it_is_stored(
    queue: StorageQueue, storage: StorageQueues, clock: SettableClock
) -> None:
    storage.put("events", json.dumps(EVENT))
    found = queue.receive()
    assert found[0].source == queue.name == "azure.queue:127/events"
    assert found[0].tenant == "tenant-1"
    assert len(storage.left("events")) == 1
    assert queue.receive() == []  # invisible, not gone
    clock.advance(121)
    again = queue.receive()  # it was not deleted in time: it comes again, and is the same
    assert [raw.id for raw in again] == [raw.id for raw in found]
    queue.done(again)
    assert storage.left("events") == []


def test_an_event_in_base64_or_not_is_read_and_what_is_neither_is_kept(
    queue: StorageQueue, storage: StorageQueues
) -> None:
    plain = json.dumps(EVENT)
    packed = base64.b64encode(plain.encode()).decode()
    poison = ["", "not JSON", "%%%%", base64.b64encode(b"\x00\xff").decode(), "<x>&amp;</x>", "é\u202e"]
    storage.put("events", plain, packed, *poison)
    found = queue.receive()
    assert [raw.body.decode() for raw in found] == [plain, packed, *poison]
    read = AzureNormaliser().normalise
    assert [read(raw)[0].type for raw in found[:2]] == ["VirtualMachineHostCrashed"] * 2
    for raw in found[2:]:
        with pytest.raises(Invalid):
            read(raw)
    queue.done(found)
    assert storage.left("events") == []


def test_equal_messages_are_one_notification_and_both_are_deleted(
    queue: StorageQueue, storage: StorageQueues
) -> None:
    storage.put("events", *["{}"] * 3)
    found = queue.receive()
    assert len(found) == 1
    queue.done(found)
    assert storage.left("events") == []


def test_a_long_queue_comes_in_batches_and_an_empty_one_is_left_alone_for_a_while(
    queue: StorageQueue, storage: StorageQueues, waits: list[float]
) -> None:
    storage.put("events", *(str(number) for number in range(70)))
    sizes = []
    while batch := queue.receive():
        sizes.append(len(batch))
        queue.done(batch)
    assert sizes == [32, 32, 6]
    assert waits == [5.0]


def test_a_message_that_came_back_meanwhile_is_no_fault(
    queue: StorageQueue, storage: StorageQueues, clock: SettableClock
) -> None:
    storage.put("events", "{}", "[]")
    found = queue.receive()
    clock.advance(200)
    for message in storage.queues["events"][:1]:
        message.receipt = "somebody else's"
    storage.queues["events"].pop()
    queue.done(found)
    assert storage.left("events") == ["{}"]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [(("GET", 503, "ServerBusy"), Unavailable), (("GET", 403, "AuthorizationPermissionMismatch"), Refused)],
)
def test_a_queue_that_does_not_answer_says_why(
    queue: StorageQueue, storage: StorageQueues, fault: tuple[str, int, str], expected: type[Exception]
) -> None:
    storage.fails = [fault] * 5
    with pytest.raises(expected):
        queue.receive()
    storage.fails.clear()
    del storage.queues["events"]
    with pytest.raises(NotFound):
        queue.receive()


def test_a_message_that_could_not_be_deleted_is_told(queue: StorageQueue, storage: StorageQueues) -> None:
    storage.put("events", "{}")
    found = queue.receive()
    storage.fails = [("DELETE", 503, "ServerBusy")] * 5
    with pytest.raises(Unavailable):
        queue.done(found)


@pytest.mark.parametrize(
    "address",
    [
        "http://account.queue.core.windows.net/events",
        "https://account.queue.core.windows.net",
        "https://account.queue.core.windows.net/",
        "https://account.queue.core.windows.net/a/b",
        "https://account.queue.core.windows.net/events?sv=2024&sig=secret",
        "https://user:pass@account.queue.core.windows.net/events",
        "account/events",
    ],
)
def test_an_address_that_is_no_queue_stops_the_start(clock: SettableClock, address: str) -> None:
    session = AzureSession(AzureOptions("", ()))
    with pytest.raises(Invalid, match=r"azure\.queue_address") as refused:
        StorageQueue(session, address, "", clock)
    assert "secret" not in str(refused.value)
