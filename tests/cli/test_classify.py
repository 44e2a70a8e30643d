"""`twokey classify` prints one object an event, and says what it could not read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from twokey.cli import app

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NAMES = [
    "file",
    "index",
    "label",
    "origin",
    "plan",
    "action_owner",
    "service_model",
    "confidence",
    "rule",
    "reason",
    "fields",
    "provider",
    "service",
    "region",
    "account",
    "opens_incident",
    "dedupe_key",
]


def run(*arguments: str, stdin: str | bytes | None = None) -> Any:
    return CliRunner().invoke(app, list(arguments), input=stdin, catch_exceptions=False)


def objects(result: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_one_object_an_event_with_exactly_the_promised_names() -> None:
    path = str(FIXTURES / "aws" / "health-issue.json")
    result = run("classify", path, "--json")
    assert result.exit_code == 0
    (row,) = objects(result)
    assert list(row) == NAMES
    assert (row["file"], row["index"], row["label"]) == (path, 0, "provider-outage")
    assert row["fields"] == {
        "family": "health",
        "eventTypeCategory": "issue",
        "eventScopeCode": "PUBLIC",
        "type": "AWS_EC2_OPERATIONAL_ISSUE",
        "status": "open",
    }
    assert row["opens_incident"] is True


def test_an_array_and_json_lines_and_standard_input_are_read_alike() -> None:
    files = [
        FIXTURES / "aws" / "guardduty-s3-deletion.json",
        FIXTURES / "azure" / "resource-health-legacy.json",
    ]
    events = [json.loads(path.read_text()) for path in files]
    array = run("classify", "-", "--json", stdin=json.dumps(events))
    lines = run("classify", "-", "--json", stdin="\n\n".join(json.dumps(event) for event in events) + "\n")
    assert array.exit_code == lines.exit_code == 0
    assert objects(array) == objects(lines)
    assert [(row["file"], row["index"], row["provider"]) for row in objects(array)] == [
        ("-", 0, "aws"),
        ("-", 1, "azure"),
    ]


def test_several_findings_in_one_event_are_several_objects() -> None:
    result = run("classify", str(FIXTURES / "aws" / "securityhub-custom-action-two-findings.json"), "--json")
    assert [(row["index"], row["label"]) for row in objects(result)] == [
        (0, "customer-config"),
        (1, "customer-security"),
    ]


def test_a_redelivery_has_the_same_key() -> None:
    event = json.loads((FIXTURES / "aws" / "health-issue.json").read_text())
    copy = json.loads((FIXTURES / "aws" / "health-issue-backup-copy.json").read_text())
    first, second = objects(run("classify", "-", "--json", stdin=json.dumps([event, copy])))
    assert first["dedupe_key"] == second["dedupe_key"]


def test_what_is_unreadable_is_told_after_the_others_and_ends_with_two(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_bytes(b'{"detail-type": ')
    good = str(FIXTURES / "aws" / "guardduty-access-key.json")
    result = run("classify", str(broken), good, str(tmp_path / "missing.json"), "--json")
    assert result.exit_code == 2
    assert [row["label"] for row in objects(result)] == ["customer-security"]
    told = result.stderr.splitlines()
    assert len(told) == 2
    assert told[0].startswith(f"{broken}#0: ")
    assert told[1].startswith(f"{tmp_path / 'missing.json'}#0: ")


def test_a_broken_line_and_a_broken_element_are_told_with_their_place() -> None:
    event = (FIXTURES / "aws" / "guardduty-access-key.json").read_text()
    line = json.dumps(json.loads(event))
    lines = run("classify", "-", "--json", stdin=f"{line}\nnonsense\n{line}\n")
    assert lines.exit_code == 2
    assert [row["index"] for row in objects(lines)] == [0, 2]
    assert "-#1" in lines.stderr
    assert "line 2" in lines.stderr
    array = run("classify", "-", "--json", stdin=f'[{line}, 3, {{"detail-type": "GuardDuty Finding"}}]')
    assert array.exit_code == 2
    assert "$[1]" in array.stderr
    assert "$[2].detail" in array.stderr


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff\xfe", b"{} {}", b"[" * 50_000, b'{"a": "\xff"}'])
def test_any_rubbish_ends_with_two_and_never_with_a_traceback(body: bytes) -> None:
    result = run("classify", "-", "--json", stdin=body)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_an_unknown_document_is_an_event_that_nobody_knows() -> None:
    (row,) = objects(run("classify", "-", "--json", stdin='{"hello": "world"}'))
    assert (row["label"], row["rule"], row["provider"]) == ("unknown", "none", "")


def test_people_see_the_label_first_and_then_why() -> None:
    result = run("classify", str(FIXTURES / "azure" / "service-health-maintenance-legacy.json"))
    lines = result.stdout.splitlines()
    assert lines[0].startswith("provider-maintenance  azure SQL Database japaneast")
    assert any("because: Azure maintains its platform" in line for line in lines)
    assert any('tracking_id="VVL0-9D8"' in line for line in lines)
    assert any("accountable: customer" in line for line in lines)


def test_control_characters_in_a_finding_never_reach_the_terminal() -> None:
    event = json.loads((FIXTURES / "aws" / "guardduty-access-key.json").read_text())
    event["detail"]["title"] = "\x1b[2J\u202egood news\r\nprovider-maintenance"
    for arguments in (["classify", "-"], ["rules", "explain", "-"]):
        result = run(*arguments, stdin=json.dumps(event))
        assert "\x1b" not in result.stdout
        assert "\u202e" not in result.stdout
        assert "\r" not in result.stdout
        assert not any(line.startswith("provider-maintenance") for line in result.stdout.splitlines())


def test_other_rules_can_be_asked(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "apiVersion: twokey.dev/v1\nkind: Rules\nrules:\n"
        "  - {id: mine, label: informational, reason: Mine., match: {raw: {source: [aws.health]}}}\n"
    )
    path = str(FIXTURES / "aws" / "health-issue.json")
    (row,) = objects(run("classify", path, "--json", "--rules", str(mine)))
    assert (row["rule"], row["opens_incident"]) == ("mine", False)
    mine.write_text("apiVersion: twokey.dev/v1\nkind: Rules\nrules:\n  - {id: mine}\n")
    wrong = run("classify", path, "--rules", str(mine))
    assert wrong.exit_code == 2
    assert wrong.stderr.startswith("mine.yaml:4:")
