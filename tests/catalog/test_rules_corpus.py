"""The default rules against recorded events of many public sources, each with the label that people gave it."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.lab.confusion import Judged, judged, page
from twokey.catalog.rules import load_rules
from twokey.cli import app
from twokey.providers.aws.normalise import AwsNormaliser
from twokey.providers.azure.normalise import AzureNormaliser
from twokey.providers.reading import parsed

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("TWOKEY_CORPUS", ROOT / "../shared/corpus")).resolve()
PAGE = ROOT / "docs" / "reference" / "classification.md"

pytestmark = pytest.mark.skipif(
    not (CORPUS / "labels.csv").is_file(), reason="the recorded events are not part of the project"
)


@cache
def every() -> tuple[Judged, ...]:
    return tuple(judged(CORPUS, load_rules()))


def test_every_recorded_event_gets_a_label_that_people_accept() -> None:
    wrong = [
        f"{one.path}: {one.ours} by {one.rule}, not one of {one.right}" for one in every() if not one.is_right
    ]
    assert wrong == []


def test_no_family_of_recorded_events_is_forgotten() -> None:
    counted = Counter(one.family for one in every())
    assert counted["guardduty"] >= 20
    assert counted["securityhub"] >= 60
    assert counted["aws-health"] >= 40
    assert counted["cloudtrail"] >= 50
    assert counted["azure-service-health"] >= 15
    assert counted["azure-resource-health"] >= 3


def test_the_cloud_of_every_recorded_event_is_recognised() -> None:
    with (CORPUS / "labels.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            event = parsed((CORPUS / row["path"]).read_bytes())
            is_azure = AzureNormaliser.recognises(event)
            assert is_azure is (row["provider"] == "azure"), row["path"]
            assert is_azure or AwsNormaliser.recognises(event), row["path"]


def test_the_page_says_what_the_rules_say_today() -> None:
    """Else: python tools/classification.py FOLDER."""
    assert PAGE.read_text(encoding="utf-8") == page(every())


def test_the_shell_judges_every_file_as_the_page_says() -> None:
    """`twokey classify --json` over all files; the first event of each file has the label that was counted."""
    paths = {str(CORPUS / one.path): one for one in every()}
    result = CliRunner().invoke(app, ["classify", "--json", *paths], catch_exceptions=False)
    assert result.exit_code == 0
    first: dict[str, str] = {}
    for line in result.stdout.splitlines():
        row = json.loads(line)
        first.setdefault(row["file"], row["label"])
    assert first == {path: one.ours for path, one in paths.items()}
