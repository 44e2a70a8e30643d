"""AWS notifications become signals with the documented identities, whatever they are wrapped in."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twokey.core.errors import Invalid
from twokey.core.signals import RawNotification, Signal, SignalKind, SignalStatus, raw_id
from twokey.providers.aws.normalise import AwsNormaliser

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "aws"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
KEY = "AKIAIOSFODNN7EXAMPLE"


def raw(body: bytes) -> RawNotification:
    return RawNotification(raw_id("aws.sqs", body), "aws.sqs", body, NOW)


def signals(document: Any) -> tuple[Signal, ...]:
    return AwsNormaliser().normalise(raw(json.dumps(document).encode()))


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text())


def only(name: str) -> Signal:
    (signal,) = signals(fixture(name))
    return signal


def test_a_guardduty_finding_names_the_key_the_buckets_and_the_times() -> None:
    signal = only("guardduty-s3-deletion")
    assert (signal.kind, signal.family, signal.type) == (
        SignalKind.FINDING,
        "guardduty",
        "Impact:S3/AnomalousBehavior.Delete",
    )
    assert (signal.account, signal.region, signal.service) == ("111122223333", "us-east-1", "S3")
    assert (signal.severity, signal.status) == (8.0, SignalStatus.OPEN)
    assert (signal.principal.name, signal.principal.access_key_id) == ("backup-batch", KEY)
    assert signal.facts["buckets"] == ["example-orders", "example-invoices"]
    assert signal.facts["access_key_id"] == KEY
    assert signal.facts["remoteIp"] == "198.51.100.23"
    assert {found.id for found in signal.resources if found.type == "S3Bucket"} == {
        "arn:aws:s3:::example-orders",
        "arn:aws:s3:::example-invoices",
    }
    assert signal.started_at == datetime(2026, 11, 20, 2, 14, 7, tzinfo=UTC)
    assert signal.detected_at == datetime(2026, 11, 20, 2, 18, 31, tzinfo=UTC)


def test_one_finding_is_one_subject_in_every_wrapper() -> None:
    event = fixture("guardduty-s3-deletion")
    text = json.dumps(event)
    wrapped = [
        event,
        event["detail"],
        fixture("guardduty-get-findings"),
        fixture("sns-guardduty-s3-deletion"),
        {
            "Records": [
                {"EventSource": "aws:sns", "Sns": {"MessageId": "1", "TopicArn": "a", "Message": text}}
            ]
        },
        {"Records": [{"eventSource": "aws:sqs", "body": text}]},
        {"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:x:1:t", "Message": f"[{text}]"},
        [{"DetailType": "GuardDuty Finding", "Source": "mock", "Detail": json.dumps(event["detail"])}],
        [event],
    ]
    found = [signals(document) for document in wrapped]
    assert [len(each) for each in found] == [1] * len(wrapped)
    assert len({each[0].subject for each in found}) == 1
    assert len({each[0].id for each in found}) == 1
    assert {each[0].principal.access_key_id for each in found} == {KEY}


def test_a_repeat_has_the_same_id_and_an_update_another() -> None:
    event = fixture("guardduty-s3-deletion")
    again = {**event, "id": "another-envelope", "time": "2026-11-20T03:00:00Z"}
    assert signals(event)[0].id == signals(again)[0].id
    update = only("guardduty-s3-deletion-update")
    assert update.subject == signals(event)[0].subject
    assert update.id != signals(event)[0].id


@pytest.mark.parametrize(
    "info",
    [
        {"sample": True},
        {"sample": "true"},
        {"value": '{"sample":true}', "type": "default"},
        {"value": '{"threat":"x", "sample": true}'},
    ],
)
def test_a_sample_is_known_by_either_marker(info: dict[str, Any]) -> None:
    event = fixture("guardduty-s3-deletion")
    event["detail"]["service"]["additionalInfo"] = info
    assert signals(event)[0].is_test


@pytest.mark.parametrize(
    "info",
    [{"sample": False}, {"value": '{"userAgent": "\\"sample\\": true"}'}, {"value": '{"sample"'}, None],
)
def test_text_that_only_mentions_a_sample_does_not_make_one(info: Any) -> None:
    event = fixture("guardduty-s3-deletion")
    event["detail"]["service"]["additionalInfo"] = info
    assert not signals(event)[0].is_test


@pytest.mark.parametrize(
    ("archived", "muted"), [(True, True), ("true", True), ("false", False), (False, False)]
)
def test_archived_is_read_as_a_flag_and_as_text(archived: object, muted: bool) -> None:
    event = fixture("guardduty-s3-deletion")
    event["detail"]["service"]["archived"] = archived
    assert signals(event)[0].is_muted is muted


def test_an_attack_sequence_has_its_actor_and_its_resources() -> None:
    signal = only("guardduty-attack-sequence")
    assert (signal.severity, signal.principal.access_key_id) == (9.0, KEY)
    assert signal.facts["buckets"] == ["example-orders"]


def test_a_space_for_the_slash_and_a_severity_as_text_are_understood() -> None:
    event = fixture("guardduty-s3-deletion")
    event["detail"]["type"] = "Recon:EC2 PortProbeUnprotectedPort"
    event["detail"]["severity"] = "9.0"
    (signal,) = signals(event)
    assert (signal.type, signal.service, signal.severity) == (
        "Recon:EC2/PortProbeUnprotectedPort",
        "EC2",
        9.0,
    )


def test_security_hub_names_the_same_guardduty_finding() -> None:
    signal = only("securityhub-imported-guardduty")
    assert signal.type == "Impact:S3/AnomalousBehavior.Delete"
    assert signal.principal.access_key_id == KEY
    assert signal.facts["buckets"] == ["example-orders", "example-invoices"]
    assert signal.facts["same_as"] == only("guardduty-s3-deletion").subject


def test_every_finding_of_one_event_becomes_a_signal() -> None:
    first, second = signals(fixture("securityhub-custom-action-two-findings"))
    assert (first.facts["control"], second.facts["isGuardDuty"]) == ("S3.8", True)
    assert first.facts["actionName"] == "Open incident"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Workflow", {"Status": "SUPPRESSED"}),
        ("Workflow", {"Status": "RESOLVED"}),
        ("RecordState", "ARCHIVED"),
    ],
)
def test_suppressed_resolved_and_archived_findings_are_muted(field: str, value: object) -> None:
    event = fixture("securityhub-imported-public-bucket")
    assert not signals(event)[0].is_muted
    event["detail"]["findings"][0][field] = value
    assert signals(event)[0].is_muted


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        ({"Label": "CRITICAL", "Normalized": 90}, 9.0),
        ({"Label": "LOW", "Normalized": 40}, 2.0),
        ({"Label": "HIGH"}, 8.0),
        ({"Label": "INFORMATIONAL", "Normalized": 10}, 0.0),
        ({"Normalized": 100}, 10.0),
        ({"Product": 5}, 5.0),
        ({}, None),
        ("HIGH", None),
    ],
)
def test_the_severity_label_wins_over_an_older_number(severity: object, expected: float | None) -> None:
    event = fixture("securityhub-imported-public-bucket")
    event["detail"]["findings"][0]["Severity"] = severity
    assert signals(event)[0].severity == expected


def test_a_backup_copy_of_a_health_event_is_the_same_message() -> None:
    event, copy = only("health-issue"), only("health-issue-backup-copy")
    assert (event.id, event.subject) == (copy.id, copy.subject)
    assert (event.region, copy.region) == ("us-east-1", "us-east-1")


def test_the_pages_of_a_health_event_are_two_messages_about_one_matter() -> None:
    event = fixture("health-issue")
    first = signals(event)[0]
    event["detail"]["page"] = "2"
    second = signals(event)[0]
    assert first.subject == second.subject
    assert first.id != second.id


def test_account_specific_health_events_of_two_accounts_are_two_matters_and_public_ones_are_one() -> None:
    specific, public = fixture("health-scheduled-change"), fixture("health-issue")
    for event, same in ((specific, False), (public, True)):
        before = signals(event)[0].subject
        event["detail"]["affectedAccount"] = "444455556666"
        assert (signals(event)[0].subject == before) is same


def test_resolved_in_the_text_counts_although_the_status_says_open() -> None:
    assert only("health-issue").status is SignalStatus.OPEN
    assert only("health-issue-resolved").status is SignalStatus.RESOLVED
    assert only("health-issue-resolved").subject == only("health-issue").subject
    assert only("health-scheduled-change").status is SignalStatus.OPEN  # its end time is a plan


def test_an_exposed_key_is_named_from_metadata_entities_or_a_misused_field() -> None:
    event = fixture("health-credentials-exposed")
    assert signals(event)[0].principal.access_key_id == KEY
    assert signals(event)[0].principal.name == "backup-batch"
    del event["detail"]["eventMetadata"]
    assert signals(event)[0].principal.access_key_id == KEY
    event["detail"]["affectedEntities"] = []
    event["detail"]["affectedAccount"] = KEY
    assert signals(event)[0].principal.access_key_id == KEY
    assert signals(event)[0].account == "111122223333"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Fri, 20 Nov 2026 06:02:51 GMT", datetime(2026, 11, 20, 6, 2, 51, tzinfo=UTC)),
        ("Fri, 20 Nov 2026 06:02:51 +0900", datetime(2026, 11, 19, 21, 2, 51, tzinfo=UTC)),
        ("2026-11-20T06:02:51Z", datetime(2026, 11, 20, 6, 2, 51, tzinfo=UTC)),
        ("2026-11-20 06:02:51.721000000", datetime(2026, 11, 20, 6, 2, 51, 721000, tzinfo=UTC)),
        (1587462325.0, datetime(2020, 4, 21, 9, 45, 25, tzinfo=UTC)),
        (1587462325000, datetime(2020, 4, 21, 9, 45, 25, tzinfo=UTC)),
        ("<<fill in>>", None),
        ("Thu, 99 Foo 9999 99:99:99 GMT", None),
        (1e300, None),
        (True, None),
    ],
)
def test_every_spelling_of_a_time_is_read_and_nonsense_is_none(written: object, expected: object) -> None:
    event = fixture("health-issue")
    event["detail"]["startTime"] = written
    assert signals(event)[0].started_at == expected


def test_the_health_api_form_is_the_same_matter_as_the_event() -> None:
    event = fixture("health-issue")
    detail = event["detail"]
    flat = {**detail, "arn": detail["eventArn"], "region": detail["eventRegion"]}
    del flat["eventArn"], flat["eventDescription"]
    text = {"latestDescription": "We are investigating."}
    (signal,) = signals({"successfulSet": [{"event": flat, "eventDescription": text}], "failedSet": []})
    assert (signal.subject, signal.region) == (only("health-issue").subject, "us-east-1")
    assert signal.description == "We are investigating."


def test_a_cloudtrail_record_over_eventbridge_names_caller_and_bucket() -> None:
    signal = only("cloudtrail-delete-bucket")
    assert (signal.family, signal.type, signal.principal.access_key_id) == ("cloudtrail", "DeleteBucket", KEY)
    assert signal.facts["buckets"] == ["example-orders"]


def test_a_guardduty_api_call_over_eventbridge_is_cloudtrail_and_no_finding() -> None:
    event = fixture("cloudtrail-delete-bucket")
    event["source"] = "aws.guardduty"
    assert signals(event)[0].family == "cloudtrail"


def test_an_ocsf_finding_over_eventbridge_is_read() -> None:
    finding = {
        "class_uid": 2004,
        "category_uid": 2,
        "metadata": {
            "product": {"uid": "arn:aws:securityhub:us-east-1::product/aws/guardduty", "name": "GuardDuty"}
        },
        "finding_info": {"uid": "f-1", "title": "T", "created_time": 1763604000000},
        "cloud": {"account": {"uid": "111122223333"}, "region": "us-east-1"},
        "severity_id": 4,
        "status": "New",
    }
    (signal,) = signals(
        {
            "detail-type": "Findings Imported V2",
            "source": "aws.securityhub",
            "detail": {"findings": [finding]},
        }
    )
    assert (signal.family, signal.severity, signal.account) == ("securityhub", 8.0, "111122223333")


def test_what_nobody_knows_becomes_a_signal_of_no_known_family() -> None:
    (signal,) = signals({"hello": "world"})
    assert (signal.family, signal.type) == ("other", "Unknown document")
    (text,) = signals({"Type": "Notification", "MessageId": "1", "TopicArn": "a", "Message": "All fine"})
    assert (text.family, text.type, text.description) == ("other", "Text message", "All fine")


def test_a_part_that_cannot_be_read_does_not_hide_the_others() -> None:
    first, second = signals([fixture("guardduty-s3-deletion"), "nonsense"])
    assert (first.family, second.type) == ("guardduty", "Unreadable part")
    assert "[1]" in second.description


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "$"),
        (b"not json", "$"),
        (b"\xff\xfe\x00", "$"),
        (b'{"a": "\xff"}', "$"),
        (b'{"a": NaN}', "$"),
        (b"12", "$"),
        (b'"text"', "$"),
        (b"[1, 2]", "$[0]"),
        (b"[" + b"{}," * 5000 + b"{}]", "$"),
        (b"[" * 100_000, "$"),
        (b'{"detail-type": "GuardDuty Finding"}', "$.detail"),
        (b'{"detail-type": "GuardDuty Finding", "detail": "x"}', "$.detail"),
        (b'{"Records": [3]}', "$.Records[0]"),
    ],
)
def test_what_cannot_be_understood_is_invalid_with_its_place(body: bytes, where: str) -> None:
    with pytest.raises(Invalid) as fault:
        AwsNormaliser().normalise(raw(body))
    assert fault.value.message.code == "signal.unreadable"
    assert fault.value.message.params["where"] == where


def test_half_a_character_in_a_hostile_name_does_not_hide_a_finding() -> None:
    event = fixture("guardduty-access-key")
    body = json.dumps(event).replace("backup-batch", "bad\\ud800name").encode()
    (signal,) = AwsNormaliser().normalise(raw(body))
    assert signal.principal.name == "bad?name"


def test_the_payload_is_the_event_without_its_wrapper() -> None:
    wrapped = fixture("sns-guardduty-s3-deletion")
    notification = raw(json.dumps(wrapped).encode())
    (signal,) = AwsNormaliser().normalise(notification)
    payload = AwsNormaliser().payload(signal, notification)
    assert isinstance(payload, dict)
    assert payload["detail-type"] == "GuardDuty Finding"


def test_long_texts_are_cut_and_html_is_dropped_in_linear_time() -> None:
    event = fixture("health-issue")
    event["detail"]["eventDescription"] = [{"language": "en_US", "latestDescription": "<" * 180_000}]
    assert len(signals(event)[0].description) <= 4000


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=3), st.one_of(st.none(), st.text(max_size=3)), max_size=2),
)
NAMES = sorted(path.stem for path in FIXTURES.glob("*.json"))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        found += [place for name, item in value.items() for place in places(item, (*path, name))]
    elif isinstance(value, list):
        found += [place for index, item in enumerate(value) for place in places(item, (*path, index))]
    return found


def holder(document: Any, path: tuple[Any, ...]) -> Any:
    for part in path[:-1]:
        document = document[part]
    return document


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_any_field_may_be_missing_or_of_another_type(data: st.DataObject) -> None:
    document = fixture(data.draw(st.sampled_from(NAMES)))
    for _ in range(data.draw(st.integers(1, 4))):
        everywhere = places(document)
        if not everywhere:
            break
        path = data.draw(st.sampled_from(everywhere))
        if data.draw(st.booleans()):
            del holder(document, path)[path[-1]]
        else:
            holder(document, path)[path[-1]] = data.draw(JUNK)
    fault = None
    found: tuple[Signal, ...] = ()
    try:
        found = signals(document)
    except Invalid as refused:
        fault = refused.message
    assert fault is None or (fault.code, fault.params["where"][:1]) == ("signal.unreadable", "$")
    for signal in found:
        assert signal.id
        assert signal.subject
        assert signal.severity is None or 0 <= signal.severity <= 10
        assert len(signal.title) <= 300
        assert len(signal.description) <= 4000
        json.dumps(dict(signal.facts))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_invalid(body: bytes) -> None:
    with suppress(Invalid):
        assert isinstance(AwsNormaliser().normalise(raw(body)), tuple)
