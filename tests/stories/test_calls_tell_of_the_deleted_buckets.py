"""The buckets go, and only CloudTrail tells: no finding is needed for one incident with the key at its head."""

import json
from pathlib import Path
from typing import Any

from tests.lab.intake_harness import IntakeHarness
from twokey import app as wiring
from twokey.core.incidents import Severity, facts
from twokey.core.responsibility import Label
from twokey.flow.containment.suggestions import best_first
from twokey.settings import load

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "aws"
KEY = "AKIAIOSFODNN7EXAMPLE"


def call(number, **asked):
    event = json.loads((FIXTURES / "cloudtrail-delete-bucket.json").read_text())
    event["id"] = f"event-{number}"
    event["detail"]["eventID"] = f"80486b96-{number:04d}"
    event["detail"]["requestParameters"] |= asked
    return event


def arrives(sorting, *events):
    sorting.arrives("aws.sqs:findings", *(json.dumps(event).encode() for event in events))
    sorting.works()


def test_forty_five_calls_by_one_key_are_one_incident_that_names_key_and_buckets():
    sorting = IntakeHarness()
    for number in range(45):
        arrives(sorting, call(number, bucketName=f"acme-{number:02d}"))
    (incident,) = sorting.incidents()
    assert incident.verdict.label is Label.CUSTOMER_SECURITY
    assert incident.signals == 45
    assert incident.severity <= Severity.SEV2
    known: Any = facts(incident)
    assert known["access_key_id"] == KEY
    assert len(known["buckets"]) == 45


def test_the_key_is_the_first_that_is_proposed():
    sorting = IntakeHarness()
    arrives(sorting, call(1))
    (incident,) = sorting.incidents()
    books = wiring.build_library(load({})).approved()
    signals = [seen.signal for seen in sorting.sightings()]
    first, second, *_ = [book.id for book in best_first(books, incident, signals)]
    assert first == "aws.disable-leaked-access-key"
    assert second == "aws.protect-buckets"


def test_the_finding_that_comes_later_joins_what_the_calls_opened():
    sorting = IntakeHarness()
    arrives(sorting, call(1))
    finding = json.loads((FIXTURES / "guardduty-s3-deletion.json").read_text())
    arrives(sorting, finding)
    (incident,) = sorting.incidents()
    assert incident.signals == 2


def test_two_keys_are_two_attackers():
    sorting = IntakeHarness()
    other = call(2)
    other["detail"]["userIdentity"] |= {"accessKeyId": "AKIAIOSFODNN7ANOTHER", "userName": "ci"}
    arrives(sorting, call(1), other)
    assert len(sorting.incidents()) == 2


def test_what_twokey_does_against_it_opens_nothing():
    sorting = IntakeHarness()
    arrives(sorting, json.loads((FIXTURES / "cloudtrail-own-call.json").read_text()))
    assert sorting.incidents() == []
    (seen,) = sorting.sightings()
    assert seen.verdict.label is Label.CUSTOMER_INITIATED


def test_a_deletion_with_twokeys_own_role_is_the_worst_news_of_all():
    sorting = IntakeHarness()
    arrives(sorting, json.loads((FIXTURES / "cloudtrail-own-role-misused.json").read_text()))
    (incident,) = sorting.incidents()
    assert incident.verdict.rule == "aws.cloudtrail.own-role-misused"
