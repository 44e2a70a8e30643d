"""Every repeat of a recorded event is known as one: copies, redeliveries in other wrappers, backup copies, updates."""

from __future__ import annotations

import base64
import copy
import csv
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from twokey.core.signals import RawNotification, Signal, raw_id
from twokey.providers.aws.normalise import AwsNormaliser
from twokey.providers.azure.normalise import AzureNormaliser
from twokey.providers.reading import parsed

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("TWOKEY_CORPUS", ROOT / "../shared/corpus")).resolve()
NOW = datetime(2026, 11, 20, tzinfo=UTC)

pytestmark = pytest.mark.skipif(
    not (CORPUS / "labels.csv").is_file(), reason="the recorded events are not part of the project"
)


@cache
def events() -> list[tuple[str, Any]]:
    """Return the events of every file, single ones: arrays and pages are left whole."""
    with (CORPUS / "labels.csv").open(newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    return [(path, parsed((CORPUS / path).read_bytes())) for path in paths]


def signals(document: Any, cloud: str) -> tuple[Signal, ...]:
    body = json.dumps(document).encode()
    raw = RawNotification(raw_id(f"{cloud}.test", body), f"{cloud}.test", body, NOW)
    return (AzureNormaliser() if cloud == "azure" else AwsNormaliser()).normalise(raw)


def ids(document: Any, cloud: str) -> list[str]:
    return [signal.id for signal in signals(document, cloud)]


def of(cloud: str) -> Iterator[tuple[str, Any]]:
    return ((p, e) for p, e in events() if AzureNormaliser.recognises(e) is (cloud == "azure"))


def test_files_with_the_same_content_are_the_same_messages() -> None:
    groups: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    for path, event in events():
        groups[json.dumps(event, sort_keys=True)].append((path, event))
    twins = [group for group in groups.values() if len(group) > 1]
    assert sum(len(group) - 1 for group in twins) >= 5
    for group in twins:
        cloud = "azure" if AzureNormaliser.recognises(group[0][1]) else "aws"
        assert len({tuple(ids(event, cloud)) for _, event in group}) == 1, group[0][0]


def has_name(event: Any) -> bool:
    """Say whether a document names itself, so that its copy can be known in another delivery."""
    return all(not signal.id.startswith("other|") for signal in signals(event, "aws"))


def test_a_redelivery_in_another_wrapper_is_the_same_message() -> None:
    wrapped = 0
    for path, event in of("aws"):
        if not isinstance(event, dict) or "detail" not in event or not has_name(event):
            continue
        text = json.dumps(event)
        sns = {
            "Type": "Notification",
            "MessageId": "m-1",
            "TopicArn": "arn:aws:sns:us-east-1:1:t",
            "Message": text,
        }
        for again in (sns, {"Records": [{"eventSource": "aws:sqs", "body": text}]}, [event]):
            assert ids(again, "aws") == ids(event, "aws"), path
        wrapped += 1
    assert wrapped > 20


def test_a_repeat_with_another_envelope_is_the_same_message() -> None:
    """EventBridge's own id and time change when a source sends the same thing again."""
    again = 0
    for path, event in of("aws"):
        kind = event.get("detail-type", "") if isinstance(event, dict) else ""
        if kind not in ("GuardDuty Finding", "AWS Health Event", "AWS API Call via CloudTrail") and (
            "Findings" not in kind
        ):
            continue
        copied = copy.deepcopy(event)
        copied |= {"id": "another", "time": "2030-01-01T00:00:00Z"}
        assert ids(copied, "aws") == ids(event, "aws"), path
        again += 1
    assert again > 20


def test_the_copy_in_the_backup_region_is_the_same_message() -> None:
    copies = 0
    for path, event in of("aws"):
        if not isinstance(event, dict) or event.get("detail-type") != "AWS Health Event":
            continue
        copied = copy.deepcopy(event)
        copied |= {"id": "another", "region": "us-west-2"}
        if isinstance(copied["detail"], dict) and copied["detail"].get("communicationId"):
            copied["detail"]["backupEvent"] = "true"
            assert ids(copied, "aws") == ids(event, "aws"), path
            copies += 1
    assert copies >= 3


def test_a_queue_that_writes_base64_changes_nothing() -> None:
    for path, event in of("azure"):
        body = base64.b64encode(json.dumps(event).encode())
        raw = RawNotification(raw_id("azure.queue", body), "azure.queue", body, NOW)
        found = [signal.id for signal in AzureNormaliser().normalise(raw)]
        named = [one for one in ids(event, "azure") if one]
        assert len(found) == len(named), path


def test_the_same_matter_told_twice_is_an_update() -> None:
    """Two descriptions of one Health event, two posts of one Azure incident, ASFF and OCSF of one finding."""
    subjects: dict[str, set[str]] = defaultdict(set)
    for cloud in ("aws", "azure"):
        for _, event in of(cloud):
            for signal in signals(event, cloud):
                subjects[signal.subject].add(signal.id)
    updated = {subject for subject, messages in subjects.items() if len(messages) > 1}
    assert len(updated) > 100
    assert "servicehealth|1kfm-dq0" in updated
    for begin in ("health|arn:", "securityhub|arn:", "health-status|", "resourcehealth|"):
        assert any(subject.startswith(begin) for subject in updated), begin
