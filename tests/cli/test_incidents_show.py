"""`twokey incidents show` prints every version of a verdict: who gave it, by which rule, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.lab.intake_harness import IntakeHarness
from twokey.cli import app
from twokey.store import open_store
from twokey.testing.clocks import SettableClock
from twokey.testing.people import identity

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "aws" / "cloudtrail-delete-bucket.json"


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a record with one incident that a person has judged anew."""
    path = tmp_path / "record.db"
    store = open_store(f"sqlite:///{path}", SettableClock())
    sorting = IntakeHarness(store, store.jobs())
    sorting.arrives("aws.sqs:findings", FIXTURE.read_bytes())
    sorting.works()
    reason = "we tidied \x1b[2Jup"
    sorting.response.classify("INC-1", "customer-initiated", reason, identity("U-ANA"))
    store.close()
    monkeypatch.setenv("TWOKEY_DATABASE_URL", f"sqlite:///{path}")
    return path


def show(*options: str) -> str:
    result = CliRunner().invoke(app, ["incidents", "show", "INC-1", *options], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.usefixtures("record")
def test_every_version_is_a_line_with_its_rule_and_its_reason() -> None:
    lines = show().splitlines()
    begin = lines.index("verdicts:")
    versions = lines[begin + 1 : lines.index("timeline:")]
    assert len(versions) == 2
    assert (
        "customer-security by aws.cloudtrail.bucket-deleted (system:intake, opened): Somebody deleted"
        in versions[0]
    )
    assert "customer-initiated by human (d-ana, classified): we tidied" in versions[1]
    assert "\x1b" not in versions[1]


@pytest.mark.usefixtures("record")
def test_scripts_get_them_as_json() -> None:
    found = json.loads(show("--json"))["verdicts"]
    assert [(one["label"], one["rule"], one["actor"]) for one in found] == [
        ("customer-security", "aws.cloudtrail.bucket-deleted", "system:intake"),
        ("customer-initiated", "human", "d-ana"),
    ]
    assert found[0]["confidence"] == "low"
