"""`twokey report responsibility` in every format, from a record that the program itself made."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.lab.outages import aws_alarm, aws_post

T0 = datetime(2026, 11, 10, 8, 0, tzinfo=UTC)
HOSTILE = "=cmd|calc <!channel> <script>alert(1)</script>"
PERIOD = ("--from", "2026-11-10", "--to", "2026-11-10")


def minutes(number: float) -> datetime:
    return T0 + timedelta(minutes=number)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("report")
    bodies = [
        aws_post("e1", "EC2", "us-east-1", start=minutes(0), said=minutes(76)),
        aws_alarm("shop-5xx", "AWS/EC2", "us-east-1", at=minutes(10)),
        aws_post("e1", "EC2", "us-east-1", start=minutes(0), said=minutes(130), end=minutes(120)),
        aws_alarm(HOSTILE, "AWS/RDS", "eu-west-1", at=minutes(400)),
    ]
    (home / "events.jsonl").write_bytes(b"\n".join(bodies))
    assert run(home, "replay", "events.jsonl").returncode == 0
    return home


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"TWOKEY_DATABASE_URL": f"sqlite:///{home}/record.db", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-m", "twokey", *arguments],
        check=False,
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
    )


def report(home: Path, *arguments: str) -> str:
    done = run(home, "report", "responsibility", *PERIOD, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_table_says_whose_minutes_they_were(home: Path) -> None:
    shown = report(home)
    assert "Provider: 120 min" in shown
    assert "INC-1, INC-2" in shown
    assert "e1" in shown


def test_json_carries_every_incident_as_evidence_and_the_head_of_the_trail(home: Path) -> None:
    document = json.loads(report(home, "--json"))
    assert document["totals"]["provider"] == 120
    (row,) = [one for one in document["rows"] if one["side"] == "provider"]
    assert {one["incident"]: one["proof"] for one in row["evidence"]} == {
        "INC-1": "correlated",
        "INC-2": "correlated",
    }
    assert document["audit_head"]["seq"] > 0
    assert len(document["audit_head"]["hash"]) == 64


def test_a_cell_of_the_csv_is_never_a_formula(home: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(report(home, "--format", "csv"))))
    assert [row["incident"] for row in rows] == ["INC-1", "INC-2", "INC-3"]
    assert not any(value.startswith(("=", "+", "-", "@")) for row in rows for value in row.values())


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_has_a_chart_and_hostile_text_is_only_text(home: Path, language: str) -> None:
    report(home, "--format", "html", "--language", language, "--output", f"{language}.html")
    page = (home / f"{language}.html").read_text()
    assert 'role="img"' in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "{since}" not in page


def test_a_day_that_is_none_and_a_period_backwards_are_said(home: Path) -> None:
    wrong = run(home, "report", "responsibility", "--from", "yesterday")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "yesterday is not a day" in wrong.stderr
    backwards = run(home, "report", "responsibility", "--from", "2026-11-12", "--to", "2026-11-10")
    assert "ends before it begins" in backwards.stderr
    assert (
        "There are: table, json, csv, html" in run(home, "report", "responsibility", "--format", "pdf").stderr
    )


def test_without_a_record_it_says_so_and_makes_none(tmp_path: Path) -> None:
    done = run(tmp_path, "report", "responsibility")
    assert done.returncode == 2
    assert "There is no database" in done.stderr
    assert list(tmp_path.iterdir()) == []
