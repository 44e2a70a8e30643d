"""One matter is one incident, whichever of Azure's ways its notifications take, in whichever order, and at once."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.lab.arm import Arm, health_event
from tests.lab.intake_harness import IntakeHarness
from tests.lab.postgres import Postgres, running
from twokey.core.incidents import Incident
from twokey.core.responsibility import Label
from twokey.core.sightings import Sighting
from twokey.core.signals import RawNotification, RawState
from twokey.providers.azure.sources import ActivityLog, ServiceHealthEvents
from twokey.store import open_store
from twokey.testing.clocks import SettableClock

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
VM = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm"
HAPPENED = "2026-05-14T11:20:37.9245071Z"
NOW = datetime(2026, 5, 14, 12, tzinfo=UTC)
GRID, WEBHOOK = "azure.eventgrid:grid", "azure.webhook:prod"
HEALTH = "Microsoft.ResourceNotifications.HealthResources."


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(NOW)


@pytest.fixture(params=["memory", "sqlite"])
def sorting(request: pytest.FixtureRequest, tmp_path: Path, clock: SettableClock) -> Iterator[IntakeHarness]:
    """The real readers and the shipped rules, with the wait that twokey begins with."""
    wait = timedelta(seconds=120)
    if request.param == "memory":
        yield IntakeHarness(clock=clock, cause_wait=wait)
        return
    store = open_store(f"sqlite:///{tmp_path}/record.db", clock, migrate=True)
    yield IntakeHarness(store, store.jobs(), clock=clock, cause_wait=wait)
    store.verify()
    store.close()


# AvailabilityStatusChanged and ResourceAnnotated


def status(state: str = "Unavailable", happened: str = HAPPENED, resource: str = VM) -> bytes:
    return _grid(
        "AvailabilityStatusChanged",
        resource,
        happened,
        availabilityState=state,
        previousAvailabilityState="x",
    )


def annotation(
    name: str, context: str, category: str = "Unplanned", happened: str = HAPPENED, resource: str = VM
) -> bytes:
    said = {"annotationName": name, "context": context, "category": category, "reason": "r", "summary": "s"}
    return _grid("ResourceAnnotated", resource, happened, **said)


def _grid(kind: str, resource: str, happened: str, **properties: str) -> bytes:
    said = {
        "targetResourceId": resource,
        "targetResourceType": "Microsoft.Compute/virtualMachines",
        **properties,
    }
    event = {
        "id": f"{kind}-{resource}-{happened}-{sorted(properties.values())}",
        "topic": f"/subscriptions/{SUBSCRIPTION}",
        "subject": resource,
        "eventType": HEALTH + kind,
        "eventTime": happened,
        "dataVersion": "1",
        "data": {"resourceInfo": {"properties": {**said, "occurredTime": happened}}},
    }
    return json.dumps([event]).encode()


ANNOTATIONS = [
    ("VirtualMachineHostCrashed", "Platform Initiated", "Unplanned", Label.PROVIDER_OUTAGE),
    ("VirtualMachineHostCrashed", "Platform initiated", "unplanned", Label.PROVIDER_OUTAGE),
    (
        "VirtualMachineMigrationInitiatedForPlannedMaintenance",
        "Platform Initiated",
        "Planned",
        Label.PROVIDER_MAINTENANCE,
    ),
    ("VirtualMachineProvisioningTimedOut", "Platform Initiated", "Unplanned", Label.CUSTOMER_CONFIG),
    ("VirtualMachinePreempted", "Platform Initiated", "Unplanned", Label.PROVIDER_ADVISORY),
    (
        "VirtualMachineRedeployInitiatedByControlPlaneDueToPlannedMaintenance",
        "Customer Initiated",
        "Not Applicable",
        Label.PROVIDER_MAINTENANCE,
    ),
    ("VirtualMachineCrashed", "VM Initiated", "Not Applicaple", Label.CUSTOMER_INITIATED),
    ("VirtualMachineDeallocationInitiated", "Customer Initiated", "Not Applicable", Label.CUSTOMER_INITIATED),
    ("LiveMigrationSucceeded", "Platform Initiated", "Unplanned", Label.PROVIDER_MAINTENANCE),
]


def told(sorting: IntakeHarness, *steps: bytes | float) -> list[Incident]:
    """Let things arrive and time pass, and return the incidents."""
    for step in steps:
        if isinstance(step, bytes):
            sorting.arrives(GRID, step)
        else:
            sorting.clock.advance(step)  # type: ignore[attr-defined]
        sorting.works()
    sorting.clock.advance(300)  # type: ignore[attr-defined]
    sorting.works()
    with sorting.store.read() as look:
        assert not look.find(RawNotification, state=RawState.NEW)
        assert not look.find(RawNotification, state=RawState.UNREADABLE)
    return sorting.incidents()


@pytest.mark.parametrize(("name", "context", "category", "label"), ANNOTATIONS)
def test_the_annotation_says_whose_it_was_before_or_after_the_change_of_health(
    sorting: IntakeHarness, name: str, context: str, category: str, label: Label
) -> None:
    """The status has no cause. One matter, one verdict, and the same incidents in both orders."""
    found = []
    for number, order in enumerate(itertools.permutations((0, 1))):
        machine = f"{VM}{number}"
        both = status(resource=machine), annotation(name, context, category, resource=machine)
        before = len(sorting.incidents())
        incidents = told(sorting, both[order[0]], 30.0, both[order[1]])[before:]
        found.append(
            [(incident.verdict.label, incident.verdict.rule, incident.signals) for incident in incidents]
        )
    assert found[0] == found[1]
    with sorting.store.read() as look:
        labels = {seen.verdict.label for seen in look.find(Sighting) if seen.signal.type == name}
    assert labels == {label}
    assert {said for incidents in found for said, _, _ in incidents} <= {label}
    if label in (Label.PROVIDER_OUTAGE, Label.CUSTOMER_CONFIG):
        assert [len(incidents) for incidents in found] == [1, 1]
        assert found[0][0][2] == 2


def test_a_machine_that_somebody_stopped_opens_nothing_in_either_order(sorting: IntakeHarness) -> None:
    stop = ("VirtualMachineDeallocationInitiated", "Customer Initiated", "Not Applicable")
    assert told(sorting, status(), 60.0, annotation(*stop)) == []
    later = HAPPENED.replace("11:20", "11:50")
    assert told(sorting, annotation(*stop, happened=later), 600.0, status(happened=later)) == []


def test_without_an_annotation_the_change_is_shown_after_two_minutes_as_unknown(
    sorting: IntakeHarness,
) -> None:
    sorting.arrives(GRID, status())
    sorting.works()
    assert sorting.incidents() == []
    sorting.clock.advance(119)  # type: ignore[attr-defined]
    sorting.works()
    assert sorting.incidents() == []
    (incident,) = told(sorting, 2.0)
    assert (incident.verdict.label, incident.verdict.rule) == (
        Label.UNKNOWN,
        "azure.resource-health.no-cause",
    )


def test_what_waits_for_its_cause_holds_up_nothing_that_came_with_it(
    sorting: IntakeHarness, clock: SettableClock
) -> None:
    other = VM.replace("vm-", "other-") + "x"
    crash = annotation("VirtualMachineHostCrashed", "Platform Initiated", resource=other)
    sorting.arrives(GRID, status(), crash, status(resource=other))
    sorting.works()
    assert [incident.resources[0].id.lower() for incident in sorting.incidents()] == [other.lower()]
    clock.advance(121)
    sorting.works()
    assert len(sorting.incidents()) == 2


def test_an_annotation_that_comes_late_decides_the_incident_that_is_open(sorting: IntakeHarness) -> None:
    crash = annotation("VirtualMachineHostCrashed", "Platform Initiated")
    (incident,) = told(sorting, status(), 3600.0, crash)
    assert incident.verdict.label is Label.PROVIDER_OUTAGE
    assert incident.signals == 2
    said = [str(notice) for notice in sorting_notices(sorting)]
    assert any("intake.reclassified" in line for line in said)


def test_the_change_never_takes_back_what_the_annotation_said(sorting: IntakeHarness) -> None:
    crash = annotation("VirtualMachineHostCrashed", "Platform Initiated")
    (incident,) = told(sorting, crash, 900.0, status(), status("Degraded"))
    assert incident.verdict.label is Label.PROVIDER_OUTAGE


def test_another_machine_is_another_matter(sorting: IntakeHarness) -> None:
    assert len(told(sorting, status(), status(resource=VM + "2"))) == 2


def test_a_next_change_without_a_cause_does_not_take_back_the_last_ones(sorting: IntakeHarness) -> None:
    """It goes down again: the same incident, and what is known about it stays until something else is known."""
    crash = annotation("VirtualMachineHostCrashed", "Platform Initiated")
    (incident,) = told(sorting, status(), crash, 900.0, status(happened="2026-05-14T11:39:00Z"))
    assert (incident.verdict.label, incident.signals) == (Label.PROVIDER_OUTAGE, 3)


def test_the_time_is_the_same_however_it_is_written(sorting: IntakeHarness) -> None:
    crash = annotation(
        "VirtualMachineHostCrashed", "Platform Initiated", happened="2026-05-14T11:20:37.9245Z"
    )
    assert len(told(sorting, crash, status(happened="2026-05-14T11:20:37.9245071+00:00"))) == 1


def test_a_machine_that_is_well_waits_for_nothing(sorting: IntakeHarness) -> None:
    sorting.arrives(GRID, status("Available"))
    sorting.works()
    with sorting.store.read() as look:
        assert [seen.signal.status.value for seen in look.find(Sighting)] == ["resolved"]
    assert sorting.incidents() == []


def sorting_notices(sorting: IntakeHarness) -> list[Any]:
    from twokey.core.notices import Notice

    with sorting.store.read() as look:
        return look.find(Notice)


# pushed and polled


def activity(category: str, **properties: str) -> dict[str, Any]:
    """One entry of the activity log as a legacy webhook carries it."""
    operation = (
        "Microsoft.ServiceHealth/incident/action"
        if category == "ServiceHealth"
        else "Microsoft.Resourcehealth/healthevent/Activated/action"
    )
    return {
        "correlationId": "c0ffee00-0000-0000-0000-000000000001",
        "eventDataId": "e0000000-0000-0000-0000-000000000001",
        "eventSource": category,
        "eventTimestamp": "2026-05-14T11:10:25.3736084+00:00",
        "level": "Informational",
        "operationName": operation,
        "properties": properties,
        "resourceId": VM if category == "ResourceHealth" else f"/subscriptions/{SUBSCRIPTION}",
        "status": "Active",
        "subscriptionId": SUBSCRIPTION,
        "submissionTimestamp": "2026-05-14T11:10:28.7864349+00:00",
    }


SERVICE = activity(
    "ServiceHealth",
    title="Virtual Machines - Japan East",
    service="Virtual Machines",
    region="Japan East",
    incidentType="Incident",
    trackingId="1ABC-2D0",
    stage="Active",
    communicationId="11000000000001",
)
RESOURCE = activity(
    "ResourceHealth",
    title="Unavailable",
    cause="PlatformInitiated",
    currentHealthStatus="Unavailable",
    previousHealthStatus="Available",
    type="Downtime",
)


def legacy(entry: dict[str, Any]) -> bytes:
    said = {"status": "Activated", "context": {"activityLog": entry}}
    return json.dumps({"schemaId": "Microsoft.Insights/activityLogs", "data": said}).encode()


def common(entry: dict[str, Any]) -> bytes:
    service = "ServiceHealth" if entry["eventSource"] == "ServiceHealth" else "Resource Health"
    essentials = {
        "monitoringService": service,
        "alertTargetIDs": [entry["resourceId"]],
        "monitorCondition": "Fired",
        "firedDateTime": "2026-05-14T11:10:30Z",
    }
    context = {name: value for name, value in entry.items() if name not in ("resourceId", "subscriptionId")}
    data = {"essentials": essentials, "alertContext": context}
    return json.dumps({"schemaId": "azureMonitorCommonAlertSchema", "data": data}).encode()


def rest(entry: dict[str, Any]) -> dict[str, Any]:
    """The same entry as the activity log's API returns it."""
    pairs = {"operationName", "status"}
    made = {
        name: {"value": value, "localizedValue": value} if name in pairs else value
        for name, value in entry.items()
        if name != "eventSource"
    }
    category = entry["eventSource"]
    stamps = {name: entry[name].replace("+00:00", "Z") for name in ("eventTimestamp", "submissionTimestamp")}
    return {**made, **stamps, "category": {"value": category, "localizedValue": category}}


class Cursors:
    def position(self, source: str) -> str:
        return ""

    def move(self, source: str, position: str) -> None:
        assert source


@pytest.fixture(scope="module")
def arm() -> Iterator[Arm]:
    with Arm() as started:
        started.state.subscriptions[SUBSCRIPTION] = "Enabled"
        started.state.activity = [rest(SERVICE), rest(RESOURCE)]
        started.state.events[SUBSCRIPTION] = [
            health_event(
                "1ABC-2D0",
                title="Virtual Machines - Japan East",
                lastUpdateTime="2026-05-14T11:15:00Z",
                impactStartTime="2026-05-14T11:00:00Z",
            )
        ]
        started.state.impacted["1ABC-2D0"] = [VM]
        yield started


@pytest.fixture
def polled(arm: Arm) -> list[RawNotification]:
    """What the lists bring."""
    clock, session = SettableClock(NOW), arm.session()
    events = ServiceHealthEvents(session, SUBSCRIPTION, "", clock, Cursors())
    log = ActivityLog(session, SUBSCRIPTION, "", clock, Cursors())
    found = [*events.receive(), *log.receive()]
    session.close()
    assert len(found) == 3
    return found


def matters(sorting: IntakeHarness) -> set[tuple[str, Label, str]]:
    return {
        (incident.family, incident.verdict.label, incident.tracking_id) for incident in sorting.incidents()
    }


WANTED = {("servicehealth", Label.PROVIDER_OUTAGE, "1ABC-2D0"), ("resourcehealth", Label.PROVIDER_OUTAGE, "")}


@pytest.mark.parametrize("push", [legacy, common], ids=["legacy", "common"])
@pytest.mark.parametrize("first", ["pushed", "polled"])
def test_the_same_events_pushed_and_polled_are_one_incident_each(
    sorting: IntakeHarness, polled: list[RawNotification], push: Callable[[dict[str, Any]], bytes], first: str
) -> None:
    def pushed() -> None:
        sorting.arrives(WEBHOOK, push(SERVICE), push(RESOURCE))

    def poll() -> None:
        sorting.intake.receive(polled)

    for arrive in (pushed, poll) if first == "pushed" else (poll, pushed):
        arrive()
        sorting.works()
        arrive()  # and each once more
        sorting.works()
    assert len(sorting.incidents()) == 2
    assert matters(sorting) == WANTED
    service = next(incident for incident in sorting.incidents() if incident.family == "servicehealth")
    assert VM in {resource.id for resource in service.resources}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_pushing_and_polling_at_the_same_moment_gives_each_incident_once(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    clock: SettableClock,
    polled: list[RawNotification],
    database: str,
) -> None:
    """Many hands store and sort at once, every notification several times."""
    is_file = database == "sqlite"
    url = f"sqlite:///{tmp_path}/record.db" if is_file else request.getfixturevalue("postgres").migrated()
    store = open_store(url, clock, migrate=is_file)
    sorting = IntakeHarness(store, store.jobs(), clock=clock)
    bodies = [push(entry) for push in (legacy, common) for entry in (SERVICE, RESOURCE)]
    start, faults = threading.Barrier(8), []

    def hand(number: int) -> None:
        start.wait()
        try:
            if number % 2:
                sorting.intake.receive(polled)
            else:
                sorting.arrives(WEBHOOK, *bodies)
            with store.read() as look:
                waiting = [raw.id for raw in look.find(RawNotification, state=RawState.NEW)]
            for raw_id in waiting if number % 4 < 2 else reversed(waiting):
                sorting.intake.sort(raw_id)
        except Exception as fault:
            faults.append(fault)

    hands = [threading.Thread(target=hand, args=(number,)) for number in range(8)]
    for one in hands:
        one.start()
    for one in hands:
        one.join()
    assert faults == []
    with store.read() as look:
        for raw in look.find(RawNotification, state=RawState.NEW):
            sorting.intake.sort(raw.id)
    assert len(sorting.incidents()) == 2
    assert matters(sorting) == WANTED
    store.verify()
    store.close()
