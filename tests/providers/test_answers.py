"""What readers answer about a signal, in words that are no cloud's; the same is answered for an old signal."""

from __future__ import annotations

import csv
import json
import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.lab.old_nouns import as_before
from twokey import app
from twokey.core.errors import Invalid
from twokey.core.incidents import Incident, absorb, facts, opened_by
from twokey.core.sightings import Sighting
from twokey.core.signals import RawNotification, Signal, raw_id
from twokey.providers.aws import resource_types as aws_types
from twokey.providers.aws.service_names import keys_of as aws_keys
from twokey.providers.azure import resource_types as azure_types
from twokey.providers.azure.service_names import keys_of as azure_keys
from twokey.testing.builders import a_verdict

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
CORPUS = Path(os.environ.get("TWOKEY_CORPUS", ROOT / "../shared/corpus")).resolve()
NOW = datetime(2026, 11, 20, tzinfo=UTC)
NO_CORPUS = "the recorded events are not part of the project"
COMPLETE = app.completions()[Sighting]


def read(path: Path, cloud: str) -> tuple[Signal, ...]:
    """Return what a cloud's reader makes of a file, nothing when it is none of its."""
    body = path.read_bytes()
    raw = RawNotification(raw_id(f"{cloud}.file", body), f"{cloud}.file", body, NOW)
    try:
        return app.normalisers()[cloud].normalise(raw)
    except Invalid:
        return ()


@cache
def of_fixtures() -> tuple[Signal, ...]:
    """Return the signals of every fixture."""
    paths = [
        (path, cloud) for cloud in ("aws", "azure") for path in sorted((FIXTURES / cloud).rglob("*.json"))
    ]
    return tuple(signal for path, cloud in paths for signal in read(path, cloud))


@cache
def of_the_corpus() -> tuple[Signal, ...]:
    """Return the signals of every recorded event, by both readers."""
    if not (CORPUS / "labels.csv").is_file():
        pytest.skip(NO_CORPUS)
    with (CORPUS / "labels.csv").open(newline="") as file:
        paths = [CORPUS / row["path"] for row in csv.DictReader(file)]
    return tuple(signal for path in paths for cloud in ("aws", "azure") for signal in read(path, cloud))


def only(name: str, cloud: str) -> Signal:
    """Return the one signal of a fixture."""
    (signal,) = read(FIXTURES / cloud / f"{name}.json", cloud)
    return signal


# one type, whoever names it


@pytest.mark.parametrize(
    ("kind", "spellings"),
    [
        ("AWS::S3::Bucket", ["S3Bucket", "AwsS3Bucket", "AWS::S3::Bucket", "S3_BUCKET", "aws::s3::bucket"]),
        ("AWS::EC2::Instance", ["Instance", "AwsEc2Instance", "AWS::EC2::Instance", "EC2_INSTANCE"]),
        ("AWS::IAM::AccessKey", ["AccessKey", "AwsIamAccessKey", "AWS::IAM::AccessKey", "ACCESS_KEY"]),
        ("AWS::IAM::User", ["IAMUser", "AwsIamUser", "AWS::IAM::User"]),
        ("AWS::IAM::Role", ["IAMRole", "AwsIamRole", "AWS::IAM::Role"]),
        ("AWS::Lambda::Function", ["Lambda", "AwsLambdaFunction", "AWS::Lambda::Function"]),
        ("AWS::RDS::DBInstance", ["RDSDBInstance", "AwsRdsDbInstance", "AWS::RDS::DBInstance"]),
        ("AWS::CloudTrail::Trail", ["Trail", "AwsCloudTrailTrail", "AWS::CloudTrail::Trail"]),
    ],
)
def test_the_spellings_of_a_type_are_one(kind: str, spellings: list[str]) -> None:
    assert {aws_types.kind_of(one) for one in spellings} == {kind}


def test_azures_types_are_compared_in_small_letters() -> None:
    spellings = ("Microsoft.Compute/virtualMachines", "MICROSOFT.COMPUTE/VIRTUALMACHINES", "Virtual Machine")
    assert {azure_types.kind_of(one) for one in spellings} == {"microsoft.compute/virtualmachines"}


def test_a_spelling_of_a_bucket_that_is_new_is_still_a_bucket() -> None:
    found = aws_types.resource_of("arn:aws:s3:::acme/key", "S3 general purpose bucket")
    assert (found.kind, found.containable) == ("AWS::S3::Bucket", {"buckets": ["acme"]})


def unknown(signals: tuple[Signal, ...]) -> set[tuple[str, str]]:
    """Return the types that no table knows; `Other` is Security Hub's own word for that."""
    tables: dict[str, Any] = {"aws": aws_types.kind_of, "azure": azure_types.kind_of}
    return {
        (signal.provider, found.type)
        for signal in signals
        for found in signal.resources
        if found.type not in ("", "Other") and not tables[signal.provider](found.type)
    }


def test_the_tables_know_every_type_of_the_fixtures() -> None:
    assert unknown(of_fixtures()) == set()


def test_the_tables_know_every_type_of_the_recorded_events() -> None:
    assert unknown(of_the_corpus()) == set()


# every reader answers, and an old signal is answered for as it would be read today


def check_answers(signals: tuple[Signal, ...]) -> None:
    """Compare every signal with itself as an earlier version kept it and the record completes it."""
    for signal in signals:
        old = Sighting(signal.id, signal.subject, "", NOW, as_before(signal), a_verdict())
        completed = COMPLETE(old).signal
        assert completed.has_answers
        if signal.has_answers:
            assert completed == signal
        else:  # read by a cloud that is not its own: the record asks its own
            assert (signal.provider, signal.family) in (("azure", "securityhub"), ("azure", "cloudtrail"))
            assert completed.is_security_finding is signal.is_security_finding
        assert COMPLETE(Sighting("", "", "", NOW, signal, a_verdict())).signal == completed


def test_every_fixture_is_answered_and_an_old_one_as_a_new_one() -> None:
    assert len(of_fixtures()) > 70
    check_answers(of_fixtures())


def test_every_recorded_event_is_answered_and_an_old_one_as_a_new_one() -> None:
    check_answers(of_the_corpus())


def test_an_old_incident_has_the_answers_of_the_signal_that_opened_it() -> None:
    complete = app.completions()[Incident]
    for signal in (*of_fixtures(), *of_azures_findings_in_aws()):
        incident = complete(opened_by(signal, a_verdict(), 1, NOW))
        assert incident.has_answers
        assert complete(as_before(incident)) == incident


def of_azures_findings_in_aws() -> tuple[Signal, ...]:
    """Return a finding about a storage account, as Security Hub takes it from a scanner of both clouds."""
    place = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/pics"
    body = {
        "class_uid": 2003,
        "metadata": {"product": {"name": "Prowler"}},
        "cloud": {"provider": "azure", "account": {"uid": "s"}},
        "finding_info": {"uid": "f-1", "title": "Storage account lets everybody read"},
        "resources": [{"uid": place, "type": "AzureStorageAccount"}],
    }
    raw = RawNotification("raw-1", "aws.file", json.dumps(body).encode(), NOW)
    return app.normalisers()["aws"].normalise(raw)


def test_a_storage_account_that_aws_tells_of_is_offered_all_the_same() -> None:
    (signal,) = of_azures_findings_in_aws()
    incident = app.completions()[Incident](opened_by(signal, a_verdict(), 1, NOW))
    assert facts(incident)["storage_account_name"] == "pics"
    assert incident.is_security
    more = app.completions()[Incident](absorb(incident, signal, a_verdict(), NOW))
    assert facts(more) == facts(incident)


# what the answers are


@pytest.mark.parametrize(
    ("cloud", "name", "answers"),
    [
        ("aws", "cloudwatch-alarm", {"is_availability"}),
        ("aws", "health-issue", {"speaks_for_provider"}),
        ("aws", "health-scheduled-change", {"speaks_for_provider", "is_account_specific"}),
        ("aws", "guardduty-access-key", {"is_security_finding"}),
        ("aws", "securityhub-imported-public-bucket", {"is_security_finding"}),
        ("aws", "ocsf-prowler-fail", {"is_security_finding"}),
        ("aws", "guardduty-malware-scan", {"is_security_finding"}),
        ("aws", "cloudtrail-delete-bucket", set()),
        ("azure", "resource-health-common", {"is_availability"}),
        ("azure", "event-grid-availability", {"is_availability"}),
    ],
)
def test_a_reader_answers_what_core_asks(cloud: str, name: str, answers: set[str]) -> None:
    signal = only(name, cloud)
    asked = (
        "is_availability",
        "is_root_cause",
        "is_account_specific",
        "is_security_finding",
        "speaks_for_provider",
    )
    assert {one for one in asked if getattr(signal, one)} == answers


def test_the_services_of_an_alarm_have_the_keys_of_the_providers_posts() -> None:
    assert aws_keys("AWS/ApplicationELB", "Elastic Load Balancing", "Amazon ELB") == ("elb",)
    assert aws_keys("Amazon Elastic Compute Cloud (N. Virginia)", "EC2", "AWS/Usage") == ("ec2",)
    assert azure_keys("Azure Kubernetes Service (AKS)", "Kubernetes Service") == ("aks",)
    assert azure_keys("Microsoft.Storage/storageAccounts", "Azure Storage") == ("storage",)


@pytest.mark.parametrize("hostile", ["(" * 5000, ")(" * 5000, "()" * 5000, "amazon" * 2000])
def test_a_hostile_name_of_a_service_is_folded_in_no_time(hostile: str) -> None:
    began = datetime.now(UTC)
    aws_keys(hostile)
    assert (datetime.now(UTC) - began).total_seconds() < 1


def test_a_flap_group_is_the_resource_whatever_its_spelling() -> None:
    signal = only("event-grid-availability", "azure")
    assert signal.flap_group == signal.resources[0].id.lower()


def test_the_end_of_an_arn_and_the_bare_name_are_one_thing() -> None:
    arn = "arn:aws:ec2:us-east-1:111122223333:instance/i-0ABC"
    assert aws_types.resource_of(arn).key == aws_types.resource_of("i-0abc").key == "i-0abc"
