"""R3: whatever is delivered twice, late or in another order ends as if it had come once and in order."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.lab.intake_harness import IntakeHarness
from twokey.core.incidents import State
from twokey.core.notices import Notice, NoticeKind
from twokey.core.people import ChatAccount, ChatIdentity, system
from twokey.core.sightings import Sighting
from twokey.core.signals import RawState
from twokey.store import open_store
from twokey.testing.clocks import SettableClock

FIXTURES = Path(__file__).parents[1] / "fixtures"
BEGAN = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
SUBSCRIPTIONS = ("52c65f65-0518-4d37-9719-7dbbfc68c57b", "52c65f65-0518-4d37-9719-7dbbfc68c57c")

Delivery = tuple[str, bytes]  # source, body
Story = list[list[Delivery]]  # what the source says, oldest first; each message as the copies that may arrive


def fixture(path: str) -> Any:
    return json.loads((FIXTURES / path).read_text())


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def later(random: Random) -> Iterator[datetime]:
    """Give moments, each after the one before."""
    now = BEGAN
    while True:
        now += timedelta(seconds=random.randint(1, 20_000))
        yield now


def copies(random: Random, event: dict[str, Any]) -> list[Delivery]:
    """Return the forms in which one EventBridge event comes: as it is, from another rule or region, through SNS."""
    body = json.dumps(event)
    again = {**event, "id": f"{random.getrandbits(64):016x}", "region": "us-west-2"}
    wrapped = {
        "Type": "Notification",
        "MessageId": f"{random.getrandbits(64):016x}",
        "TopicArn": "arn:aws:sns:us-east-1:111122223333:findings",
        "Message": body,
        "Timestamp": event["time"],
    }
    return [
        ("aws.sqs:findings", body.encode()),
        ("aws.sqs:findings", json.dumps(again).encode()),
        ("aws.sqs:backup", body.encode()),
        ("aws.sqs:findings", json.dumps(wrapped).encode()),
    ]


def guardduty(random: Random) -> Story:
    name, story, count = f"{random.getrandbits(128):032x}", [], 1
    is_over = random.random() < 0.4
    moments = list(itertools.islice(later(random), random.randint(2, 6)))
    for moment in moments:
        event = fixture("aws/guardduty-s3-deletion.json")
        event |= {"id": f"{random.getrandbits(64):016x}", "time": iso(moment)}
        detail = event["detail"]
        count += random.randint(1, 50)
        detail |= {"id": name, "updatedAt": iso(moment), "severity": random.choice([2.0, 5.0, 8.0, 9.5])}
        detail["service"] |= {"count": count, "eventLastSeen": iso(moment)}
        detail["service"]["archived"] = is_over and moment is moments[-1]
        buckets = detail["resource"]["s3BucketDetails"]
        detail["resource"]["s3BucketDetails"] = random.sample(buckets, random.randint(1, len(buckets)))
        story.append(copies(random, event))
    return story


def securityhub(random: Random) -> Story:
    name, story = f"finding/{random.getrandbits(64):016x}", []
    statuses = ["NEW", "NEW", "NOTIFIED", "NEW"][: random.randint(1, 4)]
    statuses += ["RESOLVED"] if random.random() < 0.4 else []
    for status, moment in zip(statuses, later(random), strict=False):
        event = fixture("aws/securityhub-imported-public-bucket.json")
        event |= {"id": f"{random.getrandbits(64):016x}", "time": iso(moment)}
        finding = event["detail"]["findings"][0]
        finding |= {"Id": name, "UpdatedAt": iso(moment), "LastObservedAt": iso(moment)}
        finding["Workflow"] = {"Status": status}
        finding["Severity"] = {"Label": random.choice(["MEDIUM", "HIGH", "CRITICAL"])}
        if status == "RESOLVED":
            finding["Compliance"]["Status"] = "PASSED"
        story.append(copies(random, event))
    return story


def health(random: Random) -> Story:
    """Pages of one message, backup copies from another Region, an end that may stand in the text only."""
    arn = (
        f"arn:aws:health:us-east-1::event/EC2/AWS_EC2_OPERATIONAL_ISSUE/AWS_EC2_{random.getrandbits(32):08x}"
    )
    story = []
    moments = list(itertools.islice(later(random), random.randint(2, 4)))
    is_over = random.random() < 0.6
    scope = random.choice(["PUBLIC", "ACCOUNT_SPECIFIC"])
    for number, moment in enumerate(moments):
        ends = is_over and moment is moments[-1]
        pages = random.randint(1, 3)
        for page in range(1, pages + 1):
            event = fixture("aws/health-issue-resolved.json" if ends else "aws/health-issue.json")
            event |= {"id": f"{random.getrandbits(64):016x}", "time": iso(moment)}
            event["detail"] |= {
                "eventArn": arn,
                "eventScopeCode": scope,
                "communicationId": f"{number:040x}-{page}",
                "lastUpdatedTime": format_datetime(moment, usegmt=True),
                "statusCode": "closed" if ends and random.random() < 0.5 else "open",
                "page": str(page),
                "totalPages": str(pages),
                "affectedEntities": [{"entityValue": f"i-{number}{page}{n:08x}"} for n in range(2)],
            }
            if ends:
                event["detail"]["endTime"] = format_datetime(moment, usegmt=True)
            backup = copy.deepcopy(event)
            backup |= {"id": f"{random.getrandbits(64):016x}", "region": "us-west-2"}
            backup["detail"]["backupEvent"] = "true"
            story.append([*copies(random, event), *copies(random, backup)])
    return story


def azure_copies(event: dict[str, Any]) -> list[Delivery]:
    body = json.dumps(event).encode()
    return [("azure.webhook:one", body), ("azure.webhook:two", body)]


def service_health(random: Random) -> Story:
    """Both schemas, one alert a subscription, and a review under the same tracking id long after."""
    story, tracking = [], f"{random.getrandbits(20):05X}-ABC"
    stages = ["Active"] * random.randint(1, 3) + ["Resolved", "RCA"][: random.randint(0, 2)]
    subscriptions = SUBSCRIPTIONS[: random.randint(1, 2)]
    for number, (stage, moment) in enumerate(zip(stages, later(random), strict=False)):
        for subscription in subscriptions:
            if stage == "Active" and random.random() < 0.5:
                event = fixture("azure/service-health-incident-common.json")
                entry = event["data"]["alertContext"]
                event["data"]["essentials"]["alertTargetIDs"] = [f"/subscriptions/{subscription}"]
                event["data"]["essentials"]["firedDateTime"] = iso(moment)
            else:
                event = fixture("azure/service-health-incident-resolved-legacy.json")
                entry = event["data"]["context"]["activityLog"]
                entry["subscriptionId"] = subscription
                entry["properties"].pop("impactMitigationTime", None)
            entry |= {
                "status": "Active" if stage == "Active" else "Resolved",
                "eventTimestamp": iso(moment),
                "submissionTimestamp": iso(moment),
                "eventDataId": f"{random.getrandbits(64):016x}",
            }
            entry["properties"] |= {
                "trackingId": tracking,
                "stage": stage,
                "communicationId": f"1100000000{number:04d}",
            }
            story.append(azure_copies(event))
    return story


def resource_health(random: Random) -> Story:
    story, correlation = [], f"{random.getrandbits(64):016x}"
    steps = ["Activated"] + ["Updated"] * random.randint(0, 2) + ["Resolved"] * random.randint(0, 1)
    for step, moment in zip(steps, later(random), strict=False):
        event = fixture("azure/resource-health-legacy.json")
        entry = event["data"]["context"]["activityLog"]
        entry |= {
            "correlationId": correlation,
            "operationId": correlation,
            "eventTimestamp": iso(moment),
            "submissionTimestamp": iso(moment),
            "eventDataId": f"{random.getrandbits(64):016x}",
            "operationName": f"Microsoft.Resourcehealth/healthevent/{step}/action",
            "status": {"Activated": "Active"}.get(step, step),
        }
        if step == "Resolved":
            entry["properties"] |= {"currentHealthStatus": "Available", "previousHealthStatus": "Unavailable"}
        elif step == "Updated":
            entry["properties"] |= {"currentHealthStatus": None, "previousHealthStatus": None}
        story.append(azure_copies(event))
    return story


FAMILIES: tuple[Callable[[Random], Story], ...] = (
    guardduty,
    securityhub,
    health,
    service_health,
    resource_health,
)


def ends(sorting: IntakeHarness) -> dict[str, Any]:
    """Return what people find in the end: all that must not depend on the way it came."""
    incidents = sorting.incidents()
    return {
        "incidents": [
            {
                "label": incident.verdict.label,
                "severity": incident.severity,
                "state": incident.state,
                "over at its source": incident.provider_resolved,
                "signals": incident.signals,
                "resources": sorted(resource.id for resource in incident.resources),
                "started": incident.times.started,
                "detected": incident.times.detected,
                "tracking": incident.tracking_id,
                "principal": incident.principal,
                "subject": incident.subject,
            }
            for incident in incidents
        ],
        "signals": sorted((seen.id, seen.incident_id) for seen in sorting.sightings()),
    }


def in_order(story: Story) -> IntakeHarness:
    """Deliver once and in the source's order."""
    sorting = IntakeHarness()
    for message in story:
        sorting.arrives(*message[0])
        sorting.works()
    return sorting


def disordered(random: Random, story: Story, sorting: IntakeHarness) -> IntakeHarness:
    """Deliver every message up to ten times, in any form and any order, sorted in between or not."""
    deliveries = [random.choice(message) for message in story for _ in range(random.choice((1, 2, 3, 10)))]
    random.shuffle(deliveries)
    for source, body in deliveries:
        sorting.arrives(source, body)
        if random.random() < 0.5:
            sorting.works()
    sorting.works()
    return sorting


def one_card_each(sorting: IntakeHarness) -> None:
    with sorting.store.read() as look:
        cards = [n for n in look.find(Notice, limit=1000) if n.kind is NoticeKind.CARD]
    assert [card.id for card in cards] == [f"card:{incident.id}" for incident in sorting.incidents()]


def test_repeats_and_disorder_end_as_one_delivery_in_order(proof: Any) -> None:
    trials = proof(
        "R3", "repeats, disorder and late updates end as one delivery in order", ci=500, release=10_000
    )
    for random in trials:
        story = random.choice(FAMILIES)(random)
        expected = ends(in_order(story))
        assert len(expected["incidents"]) <= 1
        mixed = disordered(random, story, IntakeHarness())
        assert ends(mixed) == expected
        assert not mixed.raws(RawState.UNREADABLE)
        assert len(mixed.raws(RawState.SORTED)) == len(mixed.raws())
        one_card_each(mixed)
        opened = bool(expected["incidents"])
        trials.outcome("one incident, the latest state" if opened else "too slight to open one, either way")


def close(sorting: IntakeHarness, incident_id: str) -> None:
    who = ChatIdentity(ChatAccount("T1", "U-BEN"))
    for state in (State.RESOLVED, State.POSTMORTEM, State.CLOSED):
        sorting.response.change_state(incident_id, state, who, "over")


def test_an_older_update_never_reopens_a_closed_incident(proof: Any) -> None:
    trials = proof("R3", "an older update never re-opens what was closed", ci=200, release=4_000)
    for random in trials:
        story = random.choice(FAMILIES)(random)
        # what the source said last has come, and some of what it said before; the rest comes after the end
        cut = random.randint(1, len(story) - 1) if len(story) > 1 else 0
        late = random.sample(story[:-1], cut) if cut else []
        sorting = IntakeHarness()
        for message in (m for m in story if m not in late):
            sorting.arrives(*message[0])
        sorting.works()
        opened = sorting.incidents()
        if opened:
            close(sorting, opened[0].id)
        before = [(i.state, i.verdict.label, i.provider_resolved) for i in sorting.incidents()]
        disordered(random, [*late, *story], sorting)
        after = [(i.state, i.verdict.label, i.provider_resolved) for i in sorting.incidents()]
        if opened:
            assert after == before
            assert after[0][0] is State.CLOSED
            trials.outcome("stayed closed")
        else:
            # only its end had come, or what is too slight: what was never shown is shown now, once
            assert after == [
                (i.state, i.verdict.label, i.provider_resolved) for i in in_order(story).incidents()
            ]
            trials.outcome("had not been opened before")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_record_on_disk_ends_the_same(
    family: Callable[[Random], Story], proof: Any, tmp_path: Path
) -> None:
    trials = proof("R3", "the same on SQLite", ci=4, release=100)
    for number, random in enumerate(trials):
        story = family(random)
        clock = SettableClock()
        store = open_store(f"sqlite:///{tmp_path}/{number}.db", clock, migrate=True)
        try:
            mixed = disordered(random, story, IntakeHarness(store, store.jobs(), clock=clock))
            assert ends(mixed) == ends(in_order(story))
            store.verify()
        finally:
            store.close()


def test_the_comparison_sees_a_difference() -> None:
    """A checker that cannot fail proves nothing: a lost message and a lost repeat-check are both seen."""
    story = guardduty(Random("fixed"))
    assert ends(in_order(story)) != ends(in_order(story[:-1]))
    sorting = in_order(story)
    seen = sorting.sightings()[0]
    with sorting.store.change() as tx:
        tx.add(Sighting("another", seen.subject, seen.incident_id, seen.at, seen.signal, seen.verdict))
        tx.append(system("test"), "tampered")
    assert ends(sorting) != ends(in_order(story))
