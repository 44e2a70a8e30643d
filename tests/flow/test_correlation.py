"""An availability incident and its provider's own word find each other, whichever of the two came first."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.lab.intake_harness import IntakeHarness
from tests.lab.outages import SUBSCRIPTION, aws_alarm, aws_post, azure_health, azure_post
from twokey.core.incidents import Incident
from twokey.core.notices import Notice
from twokey.core.responsibility import Label, Origin
from twokey.testing.clocks import SettableClock

T0 = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
VM = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.Compute/virtualMachines/shop-1"
FIXTURES = Path(__file__).parents[1] / "fixtures"


def minutes(number: float) -> datetime:
    return T0 + timedelta(minutes=number)


class Day:
    """One day, told by notifications that arrive at their own times."""

    def __init__(self) -> None:
        self.clock = SettableClock(T0)
        self.sorting = IntakeHarness(clock=self.clock)

    def hears(self, at: float, body: bytes, source: str = "aws.sqs:events") -> None:
        self.clock.set(minutes(at))
        self.sorting.arrives(source, body)
        self.sorting.works()

    def azure(self, at: float, body: bytes) -> None:
        self.hears(at, body, "azure.webhook:main")

    def incident(self, family: str) -> Incident:
        return next(one for one in self.sorting.incidents() if one.family == family)

    def told(self, incident: Incident) -> list[str]:
        with self.sorting.store.read() as look:
            notices = look.find(Notice, incident_id=incident.id)
        return [said.code for notice in notices for said in notice.messages]


@pytest.fixture
def day() -> Day:
    return Day()


def ec2_post(said: float, end: float | None = None, **more: Any) -> bytes:
    over = minutes(end) if end is not None else None
    return aws_post("e1", "EC2", "us-east-1", start=minutes(0), said=minutes(said), end=over, **more)


def test_an_alarm_during_an_announced_outage_is_the_providers(day: Day) -> None:
    day.hears(5, ec2_post(5))
    day.hears(10, aws_alarm("shop-5xx", "AWS/EC2", "us-east-1", at=minutes(10)))
    alarm = day.incident("other")
    assert (alarm.verdict.label, alarm.verdict.origin) == (Label.PROVIDER_OUTAGE, Origin.PROVIDER)
    assert alarm.verdict.fields["by"] == "service"
    assert alarm.verdict.fields["event"] == day.incident("health").id
    assert alarm.is_open


def test_an_outage_that_is_announced_an_hour_late_still_explains_the_alarm(day: Day) -> None:
    day.hears(10, aws_alarm("shop-5xx", "AWS/EC2", "us-east-1", at=minutes(10)))
    assert day.incident("other").verdict.label is Label.UNKNOWN
    day.hears(76, ec2_post(76))
    assert day.incident("other").verdict.label is Label.PROVIDER_OUTAGE
    assert day.told(day.incident("other")).count("correlation.service") == 1


@pytest.mark.parametrize(
    ("namespace", "region", "at"),
    [("AWS/RDS", "us-east-1", 10), ("AWS/EC2", "eu-west-1", 10), ("AWS/EC2", "us-east-1", 300)],
    ids=["another service", "another region", "hours after it"],
)
def test_what_differs_is_not_explained(day: Day, namespace: str, region: str, at: float) -> None:
    day.hears(60, ec2_post(60, end=50))
    day.hears(at + 60, aws_alarm("shop", namespace, region, at=minutes(at)))
    assert day.incident("other").verdict.label is Label.UNKNOWN


def test_a_post_about_many_services_explains_with_low_confidence(day: Day) -> None:
    day.hears(5, aws_post("m", "MULTIPLE_SERVICES", "us-east-1", start=minutes(0), said=minutes(5)))
    day.hears(9, aws_alarm("queue", "AWS/SQS", "us-east-1", at=minutes(9)))
    verdict = day.incident("other").verdict
    assert (verdict.fields["by"], verdict.confidence.value) == ("place", "low")


def test_a_global_post_explains_everywhere_but_only_its_own_service(day: Day) -> None:
    day.hears(5, aws_post("g", "CLOUDFRONT", "global", start=minutes(0), said=minutes(5)))
    day.hears(9, aws_alarm("cdn", "AWS/CloudFront", "us-east-1", at=minutes(9)))
    day.hears(9, aws_alarm("queue", "AWS/SQS", "us-east-1", at=minutes(9)))
    by_title = {one.title: one.verdict.label for one in day.sorting.incidents() if one.family == "other"}
    assert sorted(label.value for label in by_title.values()) == ["provider-outage", "unknown"]


def test_an_event_of_another_account_explains_nothing(day: Day) -> None:
    day.hears(5, ec2_post(5, account="444455556666"))
    day.hears(9, aws_alarm("shop", "AWS/EC2", "us-east-1", at=minutes(9)))
    assert day.incident("other").verdict.label is Label.UNKNOWN


def test_a_resource_that_the_provider_lists_is_tied_by_name(day: Day) -> None:
    day.azure(5, azure_health(VM, "westeurope", at=minutes(5)))
    day.azure(
        70, azure_post("T-1", {"Network": ["West Europe"]}, start=minutes(0), said=minutes(70), targets=(VM,))
    )
    assert day.incident("resourcehealth").verdict.fields["by"] == "entity"


def test_regions_are_the_same_however_they_are_spelt(day: Day) -> None:
    day.azure(5, azure_health(VM, "europe-west", at=minutes(5)))
    day.azure(
        9, azure_post("T-1", {"Virtual Machines": ["West Europe", "France South"]}, start=T0, said=minutes(9))
    )
    assert day.incident("resourcehealth").verdict.label is Label.PROVIDER_OUTAGE


def test_the_sources_own_cause_stands_above_a_match(day: Day) -> None:
    day.azure(5, azure_post("T-1", {"Virtual Machines": ["West Europe"]}, start=T0, said=minutes(5)))
    day.azure(6, azure_health(VM, "westeurope", at=minutes(6), matter="m"))
    assert day.incident("resourcehealth").verdict.label is Label.PROVIDER_OUTAGE
    day.azure(30, azure_health(VM, "westeurope", at=minutes(30), cause="UserInitiated", matter="m"))
    assert day.incident("resourcehealth").verdict.label is Label.CUSTOMER_INITIATED


def test_an_update_that_still_names_no_cause_leaves_the_match(day: Day) -> None:
    day.azure(5, azure_post("T-1", {"Virtual Machines": ["West Europe"]}, start=T0, said=minutes(5)))
    day.azure(6, azure_health(VM, "westeurope", at=minutes(6), matter="m"))
    day.azure(30, azure_health(VM, "westeurope", at=minutes(30), health="Degraded", matter="m"))
    assert day.incident("resourcehealth").verdict.rule == "correlation.provider"


def test_a_security_finding_is_never_explained_by_an_outage(day: Day) -> None:
    finding = json.loads((FIXTURES / "aws/guardduty-s3-deletion.json").read_text())
    region = finding["detail"]["region"]
    day.hears(5, aws_post("s3", "S3", region, start=T0 - timedelta(days=9999), said=minutes(5)))
    day.hears(6, aws_post("m", "MULTIPLE_SERVICES", region, start=minutes(0), said=minutes(6)))
    day.hears(9, json.dumps(finding).encode())
    found = day.incident("guardduty")
    assert found.verdict.label is Label.CUSTOMER_SECURITY
    assert found.related == ()


def test_when_the_provider_calls_it_over_the_explained_incident_hears_it_and_stays_open(day: Day) -> None:
    day.hears(5, ec2_post(5))
    day.hears(10, aws_alarm("shop-5xx", "AWS/EC2", "us-east-1", at=minutes(10)))
    day.hears(125, ec2_post(125, end=120))
    alarm = day.incident("other")
    assert alarm.provider_resolved
    assert alarm.provider_ended == minutes(120)
    assert alarm.is_open
    assert "correlation.event_over" in day.told(alarm)


def test_an_event_that_its_provider_takes_back_explains_nothing_any_more(day: Day) -> None:
    day.azure(5, azure_health(VM, "westeurope", at=minutes(5)))
    day.azure(9, azure_post("T-1", {"Virtual Machines": ["West Europe"]}, start=T0, said=minutes(9)))
    assert day.incident("resourcehealth").verdict.label is Label.PROVIDER_OUTAGE
    post = json.loads(
        azure_post("T-1", {"Virtual Machines": ["West Europe"]}, start=T0, said=minutes(40), end=minutes(39))
    )
    post["data"]["alertContext"]["properties"]["eventTags"] = ["False Positive"]
    day.azure(40, json.dumps(post).encode())
    ours = day.incident("resourcehealth")
    assert ours.verdict.label is Label.UNKNOWN
    assert ours.related == ()
    assert "correlation.withdrawn" in day.told(ours)


def test_health_that_flaps_for_two_days_is_one_incident_with_a_counter_and_few_words(day: Day) -> None:
    for turn in range(192):
        at = turn * 15.0
        day.azure(at, azure_health(VM, "westeurope", at=minutes(at), cause="PlatformInitiated"))
        over = azure_health(
            VM,
            "westeurope",
            at=minutes(at + 9),
            health="Available",
            matter=f"{VM}-{minutes(at):%Y-%m-%dT%H:%M:%SZ}",
        )
        day.azure(at + 9, over)
    (only,) = day.sorting.incidents()
    assert only.signals == 384
    assert only.turns == 383
    said = day.told(only)
    assert said.count("intake.flapping") == 1
    assert len(said) < 10


def test_an_alarm_that_comes_back_after_its_incident_was_closed_is_a_new_one(day: Day) -> None:
    from dataclasses import replace

    from twokey.core.incidents import State
    from twokey.core.people import system

    day.hears(5, aws_alarm("shop", "AWS/EC2", "us-east-1", at=minutes(5)))
    first = day.incident("other")
    with day.sorting.store.change() as tx:
        tx.put(replace(first, state=State.CLOSED))
        tx.append(system("test"), "closed", incident_id=first.id)
    day.hears(3000, aws_alarm("shop", "AWS/EC2", "us-east-1", at=minutes(3000)))
    assert len(day.sorting.incidents()) == 2


def test_whatever_the_order_the_end_is_the_same(day: Day) -> None:
    from itertools import permutations

    bodies = [
        ec2_post(5),
        ec2_post(90),
        ec2_post(125, end=120),
        aws_alarm("shop-5xx", "AWS/EC2", "us-east-1", at=minutes(10)),
        aws_alarm("db", "AWS/RDS", "us-east-1", at=minutes(11)),
    ]
    ends = set()
    for order in permutations(bodies):
        one = Day()
        for body in order:
            one.hears(130, body)
        shown = ((x.title, x.verdict.label, x.provider_resolved, x.signals) for x in one.sorting.incidents())
        ends.add(tuple(sorted(shown)))
    assert len(ends) == 1, ends


def test_the_root_cause_weeks_later_renews_the_draft_and_not_the_incident(day: Day) -> None:
    from twokey.core.people import system
    from twokey.core.postmortems import Postmortem

    place = {"Virtual Machines": ["West Europe"]}
    day.azure(5, azure_post("T-1", place, start=T0, said=minutes(5)))
    ours = day.incident("servicehealth")
    with day.sorting.store.change() as tx:
        tx.add(Postmortem(f"{ours.id}/en/internal", ours.id, "en", "internal", "text", minutes(6), "review"))
        tx.append(system("test"), "postmortem.drafted", incident_id=ours.id)
    state = ours.state
    day.azure(26000, azure_post("T-1", place, start=T0, said=minutes(26000), end=minutes(100), stage="RCA"))
    after = day.incident("servicehealth")
    assert after.state is state
    assert day.told(after).count("correlation.root_cause") == 1


def test_a_provider_that_speaks_only_when_all_is_over_opens_nothing_unless_we_were_hit(day: Day) -> None:
    day.hears(130, ec2_post(130, end=120))
    assert day.sorting.incidents() == []


@pytest.mark.parametrize("alarm_first", [True, False])
def test_a_provider_that_speaks_only_when_all_is_over_still_explains(day: Day, alarm_first: bool) -> None:
    alarm = aws_alarm("shop-5xx", "AWS/EC2", "us-east-1", at=minutes(10))
    post = ec2_post(130, end=120)
    for body in (alarm, post) if alarm_first else (post, alarm):
        day.hears(131, body)
    ours = day.incident("other")
    assert ours.verdict.rule == "correlation.provider"
    assert ours.provider_ended == minutes(120)
    assert day.incident("health").provider_resolved


def test_what_a_provider_said_twice_when_all_was_over_is_one_event(day: Day) -> None:
    for said in (130, 140):
        day.hears(said, ec2_post(said, end=120))
    day.hears(141, aws_alarm("shop-5xx", "AWS/EC2", "us-east-1", at=minutes(10)))
    (event,) = (one for one in day.sorting.incidents() if one.family == "health")
    assert event.signals == 2
    assert {seen.incident_id for seen in day.sorting.sightings()} == {
        one.id for one in day.sorting.incidents()
    }
    day.hears(150, ec2_post(150, end=120))
    assert day.incident("health").signals == 3
