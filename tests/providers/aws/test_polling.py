"""Health and Security Hub, asked through real boto3: every page, from the stored cursor, once each."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.lab.aws import FakeLists
from tests.lab.aws.lists import health_event, pushed
from tests.lab.intake_harness import IntakeHarness
from twokey.app.running import Poller
from twokey.core.errors import Refused, Unavailable
from twokey.core.signals import Cursor
from twokey.flow.intake.cursors import StoredCursors
from twokey.providers.aws.options import AwsOptions
from twokey.providers.aws.polling import PolledList, PollOptions, lists
from twokey.providers.aws.session import AwsSession
from twokey.store import open_store
from twokey.testing.clocks import START, SettableClock

OWN, MEMBER, OTHER = "111122223333", "222222222222", "333333333333"
FINDING = Path(__file__).parents[2] / "fixtures" / "aws" / "securityhub-imported-public-bucket.json"


@pytest.fixture
def fake() -> Iterator[FakeLists]:
    with FakeLists(account=OWN) as server:
        yield server


class Site:
    """One bot's first stretch with its polled lists, over real boto3, on a record of its own."""

    def __init__(
        self, fake: FakeLists, *what: str, sorting: IntakeHarness | None = None, **more: Any
    ) -> None:
        self.sorting = sorting or IntakeHarness()
        self.clock: Any = self.sorting.clock
        options = AwsOptions(
            endpoint_url=fake.url,
            access_key_id="AKIATESTTESTTESTTEST",
            secret_access_key="test",
            own_account=OWN,
            max_attempts=1,
        )
        self.waited: list[float] = []
        self.cursors = StoredCursors(self.sorting.store, self.clock)
        self.lists = lists(AwsSession(options, self.clock), self.cursors, PollOptions(what=what, **more))
        for one in self.lists:
            one.wait = self.waited.append

    def polls(self) -> int:
        """Let every list be asked once, to its end, as the bot's poller does; return how many rows came."""
        came = 0
        for one in self.lists:
            poller = Poller(one, self.sorting.intake, threading.Event())
            while True:
                came += poller.once()
                if one._round is None:
                    break
        return came

    def later(self, **by: float) -> None:
        self.clock.advance(timedelta(**by).total_seconds())


def test_every_event_of_every_page_comes_with_its_words_and_its_entities(fake: FakeLists) -> None:
    for number in range(25):
        fake.happens(health_event(number), entities=tuple(f"i-{n:04d}" for n in range(3)))
    site = Site(fake, "health")
    assert site.polls() == 25
    site.sorting.works()
    assert len(site.sorting.incidents()) == 25
    signal = site.sorting.sightings()[0].signal
    assert "increased error rates" in signal.description
    assert [resource.id for resource in signal.resources] == ["i-0000", "i-0001", "i-0002"]
    assert len(fake.asked("DescribeEvents")) == 13  # two a page
    assert {len(given["eventArns"]) for given in fake.asked("DescribeEventDetails")} == {10, 5}


def test_what_was_read_is_not_stored_again_and_the_cursor_survives_a_restart(fake: FakeLists) -> None:
    fake.happens(health_event(1))
    site = Site(fake, "health")
    site.polls()
    assert site.cursors.position("aws.poll:health") == "2026-03-02T08:30:00+00:00"
    with site.sorting.store.read() as look:
        entries = len(look.audit())
    site.later(minutes=6)
    assert site.polls() == 1  # the overlap reads it anew
    assert len(site.sorting.raws()) == 1
    with site.sorting.store.read() as look:
        assert len(look.audit()) == entries  # and leaves no trace
    fake.calls.clear()
    again = Site(fake, "health", sorting=site.sorting)
    again.polls()
    (given,) = fake.asked("DescribeEvents")
    since = datetime.fromtimestamp(given["filter"]["lastUpdatedTimes"][0]["from"], UTC)
    assert since == datetime(2026, 3, 2, 2, 30, tzinfo=UTC)  # six hours before the newest it had read


def test_a_list_that_was_never_read_is_read_from_three_days_ago(fake: FakeLists) -> None:
    fake.happens(health_event(1, START - timedelta(days=2)))
    fake.happens(health_event(2, START - timedelta(days=4)))
    site = Site(fake, "health")
    assert site.polls() == 1


def test_what_happened_while_the_bot_was_away_for_long_is_not_missed(fake: FakeLists) -> None:
    site = Site(fake, "health", "securityhub")
    fake.happens(health_event(1))
    fake.findings = [finding(1)]
    site.polls()
    site.later(days=9)
    fake.happens(health_event(2, START + timedelta(days=1)))
    fake.findings.append(finding(2, START + timedelta(days=1)))
    restarted = Site(fake, "health", "securityhub", sorting=site.sorting)
    restarted.polls()
    assert len(site.sorting.raws()) == 4


def test_an_update_comes_as_an_update_and_the_end_as_the_end(fake: FakeLists) -> None:
    fake.happens(health_event(1))
    site = Site(fake, "health")
    site.polls()
    site.later(minutes=10)
    fake.happens(health_event(1, START, startTime=START - timedelta(hours=1), statusCode="closed"))
    site.polls()
    site.sorting.works()
    (incident,) = site.sorting.incidents()
    assert incident.signals == 2
    assert incident.provider_resolved


def test_public_events_of_other_regions_are_left_out_and_the_accounts_own_are_not(fake: FakeLists) -> None:
    fake.happens(health_event(1, region="eu-west-1"))
    fake.happens(health_event(2, region="us-east-1"))
    fake.happens(health_event(3, region="global"))
    fake.happens(health_event(4, region="ap-south-1", eventScopeCode="ACCOUNT_SPECIFIC"))
    site = Site(fake, "health", public_regions=("us-east-1",))
    site.polls()
    site.sorting.works()
    assert sorted(one.signal.region for one in site.sorting.sightings()) == [
        "ap-south-1",
        "global",
        "us-east-1",
    ]


def test_the_organisations_form_tells_each_affected_account_and_a_public_event_once(fake: FakeLists) -> None:
    fake.happens(health_event(1), MEMBER, OTHER)
    own = health_event(2, code="AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED", eventScopeCode="ACCOUNT_SPECIFIC")
    own["eventTypeCategory"] = "scheduledChange"
    fake.happens(own, *(f"{n:012d}" for n in range(12)), entities=("i-0abc",))
    site = Site(fake, "health-organization")
    assert site.polls() == 13
    site.sorting.works()
    signals = [one.signal for one in site.sorting.sightings()]
    assert len({signal.subject for signal in signals}) == 13
    assert sorted(signal.account for signal in signals) == ["", *(f"{n:012d}" for n in range(12))]
    assert {
        len(given["organizationEventDetailFilters"])
        for given in fake.asked("DescribeEventDetailsForOrganization")
    } == {1, 2, 10}
    assert all(signal.resources for signal in signals if signal.account)


@pytest.mark.parametrize(
    ("what", "operation", "code"),
    [
        ("health", "DescribeEvents", "SubscriptionRequiredException"),
        ("health-organization", "DescribeEventsForOrganization", "SubscriptionRequiredException"),
        ("securityhub", "GetFindings", "InvalidAccessException"),
    ],
)
def test_a_list_that_is_not_to_be_had_is_told_once_and_the_bot_goes_on(
    fake: FakeLists, caplog: pytest.LogCaptureFixture, what: str, operation: str, code: str
) -> None:
    fake.refuses[operation] = (401 if what == "securityhub" else 400, code)
    site = Site(fake, what)
    with caplog.at_level(logging.WARNING, "twokey"):
        for _ in range(5):
            assert site.polls() == 0
            site.later(hours=1)
        assert len(fake.asked(operation)) == 1
        site.later(hours=24)  # a support plan may have been bought
        site.polls()
    assert len(fake.asked(operation)) == 2
    assert len([r for r in caplog.records if "left out" in r.message]) == 1
    fake.refuses.clear()
    fake.happens(health_event(1, site.clock.now()), MEMBER)
    fake.findings = [finding(1, site.clock.now())]
    site.later(hours=24)
    assert site.polls() == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "AccessDeniedException", Refused),
        (400, "ThrottlingException", Unavailable),
        (500, "Oops", Unavailable),
    ],
)
def test_other_refusals_are_told_and_asked_again_only_when_it_is_time(
    fake: FakeLists, status: int, code: str, kind: type[Exception]
) -> None:
    fake.happens(health_event(1))
    fake.refuses["DescribeAffectedEntities"] = (status, code)
    site = Site(fake, "health")
    with pytest.raises(kind):
        site.polls()
    assert site.polls() == 0
    assert site.waited == [20.0]
    assert site.cursors.position("aws.poll:health") == ""
    fake.refuses.clear()
    site.later(minutes=6)
    assert site.polls() == 1


def finding(number: int, at: datetime = START - timedelta(minutes=5), **changes: Any) -> dict[str, Any]:
    """Return a finding as Security Hub's list has it."""
    found: dict[str, Any] = json.loads(FINDING.read_text())["detail"]["findings"][0]
    found["Id"] = found["Id"][:-12] + f"{number:012d}"
    found["UpdatedAt"] = at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {**found, **changes}


def imported(found: dict[str, Any]) -> bytes:
    """Return the same finding as EventBridge delivers it."""
    event = json.loads(FINDING.read_text())
    event["id"] = f"event-{found['Id']}-{found['UpdatedAt']}"
    event["detail"]["findings"] = [found]
    return json.dumps(event).encode()


def test_findings_come_page_by_page_and_the_cursor_goes_with_them(fake: FakeLists) -> None:
    fake.findings = [finding(n, START - timedelta(minutes=60 - n)) for n in range(7)]
    fake.fails_once["GetFindings"] = (400, "ThrottlingException")
    site = Site(fake, "securityhub")
    with pytest.raises(Unavailable):
        site.polls()
    site.later(minutes=6)
    source = site.lists[0]
    poller = Poller(source, site.sorting.intake, threading.Event())
    assert poller.once() == 2
    first = site.cursors.position(source.name)
    assert poller.once() == 2
    assert site.cursors.position(source.name) > first
    # Killed here: the next process goes on an hour before where this one stood, and misses nothing.
    again = Site(fake, "securityhub", sorting=site.sorting)
    again.polls()
    assert len(site.sorting.raws()) == 7
    with site.sorting.store.read() as look:
        assert [cursor.position for cursor in look.find(Cursor)] == ["2026-03-02T08:06:00+00:00"]


def test_more_findings_than_fit_into_the_overlap_are_still_all_read(fake: FakeLists) -> None:
    """Five hundred that were updated in one minute: progress does not depend on time moving."""
    fake.page = 100
    fake.findings = [finding(n) for n in range(500)]
    site = Site(fake, "securityhub")
    assert site.polls() == 500
    assert len(site.sorting.raws()) == 500


def test_each_region_of_security_hub_has_a_cursor_of_its_own(fake: FakeLists) -> None:
    fake.findings = [finding(1)]
    site = Site(fake, "securityhub", regions=("us-east-1", "eu-west-1"))
    site.polls()
    assert [one.name for one in site.lists] == [
        "aws.poll:securityhub-us-east-1",
        "aws.poll:securityhub-eu-west-1",
    ]
    with site.sorting.store.read() as look:
        assert len(look.find(Cursor)) == 2


def test_a_finding_that_is_polled_and_pushed_is_one_message(fake: FakeLists) -> None:
    fake.findings = [finding(1), finding(2)]
    site = Site(fake, "securityhub")
    site.sorting.arrives("aws.sqs:q", *(imported(one) for one in fake.findings))
    site.polls()
    site.sorting.works()
    assert len(site.sorting.raws()) == 4
    assert len(site.sorting.sightings()) == 2
    assert [incident.signals for incident in site.sorting.incidents()] == [1, 1]


@pytest.mark.parametrize("first", ["polled", "pushed", "between"])
def test_polled_and_pushed_events_are_one_incident_each_in_any_order(fake: FakeLists, first: str) -> None:
    events = [
        health_event(1),
        health_event(2, code="AWS_S3_OPERATIONAL_ISSUE"),
        health_event(
            3,
            code="AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED",
            eventScopeCode="ACCOUNT_SPECIFIC",
            eventTypeCategory="scheduledChange",
        ),
        health_event(4, code="AWS_RISK_CREDENTIALS_EXPOSED", eventScopeCode="ACCOUNT_SPECIFIC"),
    ]
    for event in events:
        fake.happens(event, OWN, entities=("AKIAIOSFODNN7EXAMPLE",) if "RISK" in event["arn"] else ())
    site = Site(fake, "health")
    bodies = [pushed(event, OWN) for event in events]
    for half in (bodies[:2], bodies[2:]):
        if first != "polled":
            site.sorting.arrives("aws.sqs:q", *half)
            site.sorting.works()
        if first != "pushed" or half == bodies[2:]:
            site.polls()
            site.sorting.works()
        if first == "polled":
            site.sorting.arrives("aws.sqs:q", *half)
            site.sorting.works()
    incidents = site.sorting.incidents()
    assert len({incident.subject for incident in incidents}) == len(incidents) == 4
    seen = site.sorting.sightings()
    assert {one.incident_id for one in seen} == {incident.id for incident in incidents}
    for incident in incidents:  # and both say the same of it
        assert (
            len({(one.verdict.label, one.verdict.rule) for one in seen if one.incident_id == incident.id})
            == 1
        )


@pytest.mark.parametrize("what", ["health", "health-organization"])
def test_accounts_are_told_apart_however_an_event_comes(fake: FakeLists, what: str) -> None:
    own = health_event(1, code="AWS_RISK_CREDENTIALS_EXPOSED", eventScopeCode="ACCOUNT_SPECIFIC")
    accounts = (OWN,) if what == "health" else (OWN, MEMBER)
    fake.happens(own, *accounts)
    site = Site(fake, what)
    site.polls()
    site.sorting.arrives("aws.sqs:q", pushed(own, OWN), pushed(own, MEMBER))
    site.sorting.works()
    assert sorted(incident.account for incident in site.sorting.incidents()) == [OWN, MEMBER]


@pytest.mark.parametrize("database", ["memory", "sqlite"])
def test_polling_and_pushing_at_the_same_moment_give_each_incident_once(
    fake: FakeLists, tmp_path: Path, database: str
) -> None:
    clock = SettableClock()
    sorting = IntakeHarness(clock=clock)
    if database == "sqlite":
        store = open_store(f"sqlite:///{tmp_path / 'record.db'}", clock, migrate=True)
        sorting = IntakeHarness(store, store.jobs(), clock=clock)
    events = [
        health_event(n, code=code)
        for n, code in enumerate(["AWS_EC2_OPERATIONAL_ISSUE", "AWS_S3_OPERATIONAL_ISSUE"] * 10)
    ]
    for event in events:
        fake.happens(event)
    fake.findings = [finding(n) for n in range(20)]
    site = Site(fake, "health", "securityhub", sorting=sorting)
    together = threading.Barrier(3)
    faults: list[BaseException] = []

    def do(act: Any) -> None:
        together.wait()
        try:
            act()
        except BaseException as fault:
            faults.append(fault)

    def push() -> None:
        for event, found in zip(events, fake.findings, strict=True):
            sorting.arrives("aws.sqs:q", pushed(event, OWN))
            sorting.arrives("aws.events:bus", imported(found))

    def work() -> None:
        for _ in range(30):
            sorting.works()

    hands = [threading.Thread(target=do, args=(act,)) for act in (site.polls, push, work)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert faults == []
    sorting.works()
    assert len(sorting.raws()) == 80
    incidents = sorting.incidents()
    assert len({incident.subject for incident in incidents}) == len(incidents) == 40
    assert len(sorting.sightings()) == 60  # a finding is one message on both ways, an event two


def test_a_list_that_is_not_due_lets_the_bot_end(fake: FakeLists) -> None:
    site = Site(fake, "health", every=timedelta(hours=1))
    site.polls()
    assert site.lists[0].receive() == []
    assert site.waited == [20.0]


def test_nothing_is_asked_while_it_is_made() -> None:
    clock = SettableClock()
    session = AwsSession(AwsOptions(endpoint_url="http://127.0.0.1:9"), clock)
    made = lists(
        session, StoredCursors(IntakeHarness().store, clock), PollOptions(what=("health", "securityhub"))
    )
    assert [type(one) for one in made] == [PolledList, PolledList]
