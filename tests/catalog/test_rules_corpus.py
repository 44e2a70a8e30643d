"""The default rules against recorded events of many public sources, each with the label that people gave it."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from twokey.catalog.rules import load_rules
from twokey.core.signals import RawNotification, raw_id
from twokey.providers.aws.normalise import AwsNormaliser
from twokey.providers.azure.normalise import AzureNormaliser
from twokey.providers.reading import parsed

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("TWOKEY_CORPUS", ROOT / "../shared/corpus")).resolve()
NOW = datetime(2026, 11, 20, tzinfo=UTC)

pytestmark = pytest.mark.skipif(
    not (CORPUS / "labels.csv").is_file(), reason="the recorded events are not part of the project"
)


def judged() -> Iterator[tuple[str, str, str, set[str]]]:
    """Yield for each file: path, family, our label, the labels that are right (the given one first)."""
    rules = load_rules()
    with (CORPUS / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        body = (CORPUS / row["path"]).read_bytes()
        event = parsed(body)
        is_azure = AzureNormaliser.recognises(event)
        assert is_azure is (row["provider"] == "azure"), row["path"]
        assert is_azure or AwsNormaliser.recognises(event), row["path"]
        raw = RawNotification(raw_id("file", body), "x.file", body, NOW)
        signals = (AzureNormaliser() if is_azure else AwsNormaliser()).normalise(raw)
        verdict = rules.verdict(signals[0], raw)  # the label of a file is its first event's
        family = row["path"].split("/")[1]
        right = {row["label"], *row["alt_labels"].split()}
        yield row["path"], family, verdict.label.value, right


def test_every_recorded_event_gets_a_label_that_people_accept() -> None:
    wrong = [
        f"{path}: {label}, not one of {sorted(right)}"
        for path, _, label, right in judged()
        if label not in right
    ]
    assert wrong == []


def test_no_family_of_recorded_events_is_forgotten() -> None:
    counted = Counter(family for _, family, _, _ in judged())
    assert counted["guardduty"] >= 20
    assert counted["securityhub"] >= 60
    assert counted["aws-health"] >= 40
    assert counted["azure-service-health"] >= 15
    assert counted["azure-resource-health"] >= 3
