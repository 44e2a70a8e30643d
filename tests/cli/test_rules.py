"""`twokey rules`: check, match, list, explain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from twokey.cli import app

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "aws"


def run(*arguments: str, stdin: str | None = None) -> Any:
    return CliRunner().invoke(app, list(arguments), input=stdin, catch_exceptions=False)


def put(path: Path, content: object) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_the_default_rules_have_no_fault() -> None:
    result = run("rules", "check")
    assert result.exit_code == 0
    assert "no fault" in result.stdout


def test_check_names_file_and_line_of_a_wrong_example(tmp_path: Path) -> None:
    path = put(
        tmp_path / "mine.yaml",
        "apiVersion: twokey.dev/v1\nkind: Rules\nrules:\n  - id: a\n    label: unknown\n    reason: r\n"
        "    match: {signal: {type: [x]}}\n    examples:\n      - given: {signal: {type: y}}\n",
    )
    result = run("rules", "check", path)
    assert result.exit_code == 2
    assert result.stderr.startswith("mine.yaml:9: ")


def test_match_exits_with_the_answer(tmp_path: Path) -> None:
    event = str(FIXTURES / "health-issue.json")
    yes = put(tmp_path / "yes.json", {"source": ["aws.health"], "detail": {"statusCode": [{"prefix": "op"}]}})
    no = put(tmp_path / "no.json", {"source": ["aws.health"], "detail": {"statusCode": ["closed"]}})
    wrong = put(tmp_path / "wrong.json", {"source": [{"prefx": "aws"}]})
    assert run("rules", "match", yes, event).exit_code == 0
    missed = run("rules", "match", no, event)
    assert missed.exit_code == 1
    assert 'detail.statusCode is "open"' in missed.stdout
    refused = run("rules", "match", wrong, event)
    assert refused.exit_code == 2
    assert "$.source[0]" in refused.stderr
    assert "prefix" in refused.stderr


def test_match_in_json_names_the_deciding_fields(tmp_path: Path) -> None:
    pattern = put(tmp_path / "p.json", {"detail": {"service": ["EC2"]}})
    result = run("rules", "match", pattern, str(FIXTURES / "health-issue.json"), "--json")
    assert json.loads(result.stdout) == {"matches": True, "fields": {"detail.service": "EC2"}}


def test_match_refuses_what_is_no_pattern_or_no_event(tmp_path: Path) -> None:
    event, pattern = str(FIXTURES / "health-issue.json"), put(tmp_path / "p.json", {"a": [1]})
    for one, other in (
        (put(tmp_path / "twice.json", '{"a": [1], "a": [2]}'), event),
        (put(tmp_path / "text.json", "not json"), event),
        (str(tmp_path / "missing.json"), event),
        (pattern, put(tmp_path / "list.json", [1])),
        (pattern, put(tmp_path / "deep.json", "[" * 100_000)),
    ):
        result = run("rules", "match", one, other)
        assert result.exit_code == 2
        assert result.stderr


def test_list_has_every_rule_in_its_order() -> None:
    rows = [json.loads(line) for line in run("rules", "list", "--json").stdout.splitlines()]
    assert rows[0]["id"] == "aws.health.risk"
    assert {"id", "label", "opens", "reason", "file", "line"} <= rows[0].keys()
    assert len(run("rules", "list").stdout.splitlines()) == len(rows)


def test_explain_tells_why_the_earlier_rules_did_not_match() -> None:
    result = run("rules", "explain", str(FIXTURES / "health-issue.json"))
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert any(line.startswith("  no aws.health.risk: signal.type is ") for line in lines)
    assert lines[1] == "  read as aws · health · AWS_EC2_OPERATIONAL_ISSUE · EC2 · us-east-1 · open"
    assert lines[-3].startswith("  => provider-outage by aws.health.issue-public: ")
    assert "(aws.yaml:" in lines[-2]
    assert "opens an incident" in lines[-1]


def test_explain_names_every_rule_in_its_turn_up_to_the_one_that_decided() -> None:
    listed = [json.loads(line)["id"] for line in run("rules", "list", "--json").stdout.splitlines()]
    lines = run("rules", "explain", str(FIXTURES / "guardduty-sample.json")).stdout.splitlines()
    asked = [line.split()[1].rstrip(":") for line in lines if line.startswith("  no ")]
    decided = next(line for line in lines if line.startswith("  => ")).split()[3].rstrip(":")
    assert [*asked, decided] == listed[: len(asked) + 1]
    assert lines[1].endswith("· is_test")
    assert "opens no incident" in lines[-1]
    assert f"{len(asked) + 1} of {len(listed)} rules were asked" in lines[-1]


def test_explain_of_what_cannot_be_read_ends_with_two() -> None:
    result = run("rules", "explain", "-", stdin="nonsense")
    assert result.exit_code == 2
    assert result.stderr.startswith("-#0: ")
