"""`twokey audit` and `twokey migrate`, as a person at a shell uses them; and the page that an auditor reads."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.lab.postgres import running
from twokey.cli import audit
from twokey.cli.migrate import migrate
from twokey.core.audit import content
from twokey.core.errors import Invalid, Json, NotFound
from twokey.core.people import Actor, ChatAccount, system
from twokey.core.runbooks import canonical
from twokey.store import SqlStore, open_store
from twokey.testing.clocks import SettableClock

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "audit-trail.md"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a record."""
    return f"sqlite:///{tmp_path / 'record.db'}"


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    """A record with a few entries, some of them awkward."""
    made = open_store(url, SettableClock())
    person = Actor("d-aoi", ChatAccount("T0ACME", "U1"))
    awkward = ['"hash":"' + "0" * 64 + '"', "\u2028 é 😀 \x7f", "a\0b", "\ud800", ',"hash":"x","incident":']
    with made.change() as change:
        for number, text in enumerate(awkward):
            data: dict[str, Json] = {
                "text": text,
                text: [number, 0.5, None, {"hash": "0" * 64}],
                "\uffff": 1,
                "😀": 2,
            }
            change.append(person, "noted", incident_id=f"INC-{text}", data=data)
        change.append(system("flow"), "closed")
    yield made
    made.close()


def run(*arguments: str) -> tuple[int, str]:
    """Run an audit command."""
    result = CliRunner().invoke(audit.app, list(arguments), catch_exceptions=True)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def tamper(url: str, statement: str) -> None:
    """Change the trail as an owner of the database can."""
    raw = sqlite3.connect(url.removeprefix("sqlite:///"))
    for name in ("changed", "deleted"):
        raw.execute(f"DROP TRIGGER audit_entry_never_{name}")
    raw.execute(statement)
    raw.commit()
    raw.close()


def test_a_trail_that_proves_itself_ends_with_0_and_names_its_head(url: str, store: SqlStore) -> None:
    seq, digest = store.verify()
    code, output = run("verify", "--database-url", url)
    assert code == 0
    assert f"head {seq}:{digest}" in output
    assert output.startswith("6 entries")
    code, output = run("verify", "--database-url", url, "--json", "--head", f"{seq}:{digest}")
    assert (code, json.loads(output)) == (0, {"proved": True, "entries": 6, "head": f"{seq}:{digest}"})


@pytest.mark.parametrize(
    ("statement", "said", "code"),
    [
        ("UPDATE audit_entry SET plan_id = 'x' WHERE seq = 2", "entry 2 was changed", "audit.changed"),
        ("DELETE FROM audit_entry WHERE seq = 3", "entry 3 is missing", "audit.gap"),
        ("UPDATE audit_entry SET previous = hash WHERE seq = 4", "at entry 4", "audit.broken_link"),
    ],
)
def test_a_broken_trail_ends_with_1_and_names_the_first_broken_entry(
    url: str, store: SqlStore, statement: str, said: str, code: str
) -> None:
    tamper(url, statement)
    exit_code, output = run("verify", "--database-url", url)
    assert exit_code == 1
    assert said in output
    exit_code, output = run("verify", "--database-url", url, "--json")
    assert exit_code == 1
    assert json.loads(output)["code"] == code


def test_a_cut_trail_is_found_with_a_posted_head(url: str, store: SqlStore) -> None:
    seq, digest = store.verify()
    tamper(url, "DELETE FROM audit_entry WHERE seq > 4")
    assert run("verify", "--database-url", url)[0] == 0
    exit_code, output = run("verify", "--database-url", url, "--head", f"{seq}:{digest}")
    assert exit_code == 1
    assert "cut" in output


@pytest.mark.parametrize(
    "head", ["7", "7:abc", "x:" + "a" * 64, ":" + "a" * 64, "7:" + "g" * 64, "-1:" + "a" * 64]
)
def test_a_head_that_is_none_is_refused(url: str, store: SqlStore, head: str) -> None:
    with pytest.raises(Invalid) as refused:
        run("verify", "--database-url", url, f"--head={head}")
    assert refused.value.message.code == "audit.head_not_understood"


def test_looking_at_a_file_that_is_not_there_makes_none(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        run("verify", "--database-url", f"sqlite:///{tmp_path / 'typo.db'}")
    assert list(tmp_path.iterdir()) == []


def test_every_exported_line_is_canonical_json_with_its_hash(
    url: str, store: SqlStore, tmp_path: Path
) -> None:
    out = tmp_path / "trail.jsonl"
    assert run("export", "--database-url", url, "--out", str(out))[0] == 0
    lines = out.read_bytes().split(b"\n")[:-1]
    with store.read() as reading:
        entries = reading.audit()
    assert len(lines) == len(entries) == 6
    for line, entry in zip(lines, entries, strict=True):
        assert line == canonical({**content(entry), "hash": entry.hash})


def test_an_export_to_standard_output_is_the_same(url: str, store: SqlStore, tmp_path: Path) -> None:
    out = tmp_path / "trail.jsonl"
    run("export", "--database-url", url, "--out", str(out))
    assert run("export", "--database-url", url)[1] == out.read_text(encoding="utf-8")


def test_an_export_never_writes_over_another(url: str, store: SqlStore, tmp_path: Path) -> None:
    out = tmp_path / "trail.jsonl"
    out.write_text("mine")
    with pytest.raises(Invalid):
        run("export", "--database-url", url, "--out", str(out))
    assert out.read_text() == "mine"


# the auditor's own program, as the page gives it


@pytest.fixture
def outsider(tmp_path: Path) -> Path:
    """The lines of the page, in a file."""
    block = re.search(
        r"<!-- verify\.py.*?-->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    assert block is not None
    path = tmp_path / "verify.py"
    path.write_text(block[1], encoding="utf-8")
    return path


def verified(program: Path, *arguments: str) -> tuple[int, str]:
    """Run the auditor's program without anything of ours."""
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", str(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def trail(url: str, store: SqlStore, tmp_path: Path) -> Path:
    """An export."""
    out = tmp_path / "trail.jsonl"
    run("export", "--database-url", url, "--out", str(out))
    return out


def test_an_outsider_verifies_an_export_with_the_lines_of_the_page(
    outsider: Path, trail: Path, store: SqlStore
) -> None:
    seq, digest = store.verify()
    assert verified(outsider, str(trail)) == (0, f"{seq} entries, head {seq}:{digest}\n")
    assert verified(outsider, str(trail), f"{seq}:{digest}")[0] == 0
    assert verified(outsider, str(trail), f"{seq}:{'0' * 64}")[0] == 1


def test_the_lines_of_the_page_are_about_twenty_and_import_the_standard_library_only(outsider: Path) -> None:
    lines = [line for line in outsider.read_text().splitlines() if line.strip()]
    assert len(lines) <= 22
    imported = {line.split()[1] for line in lines if line.startswith("import")}
    assert imported <= sys.stdlib_module_names


def test_the_lines_of_the_page_find_every_kind_of_change(
    outsider: Path, trail: Path, store: SqlStore
) -> None:
    lines = trail.read_bytes().split(b"\n")[:-1]
    changed = {
        "a byte": [*lines[:2], lines[2].replace(b'"noted"', b'"voted"', 1), *lines[3:]],
        "white space": [lines[0].replace(b",", b", ", 1), *lines[1:]],
        "a deleted line": [*lines[:1], *lines[2:]],
        "a doubled line": [*lines[:1], *lines[:1], *lines[1:]],
        "an order": [lines[0], lines[2], lines[1], *lines[3:]],
        "a second member": [lines[0][:-1] + b',"action":"other"}', *lines[1:]],
    }
    for what, altered in changed.items():
        trail.write_bytes(b"\n".join(altered) + b"\n")
        code, output = verified(outsider, str(trail))
        assert code == 1, what
        assert output.startswith("entry"), what
    trail.write_bytes(b"\n".join(lines[:-1]) + b"\n")
    seq, digest = store.verify()
    assert verified(outsider, str(trail))[0] == 0
    assert verified(outsider, str(trail), f"{seq}:{digest}")[0] == 1


# migrate


def test_migrating_says_what_it_did_and_twice_is_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    migrate(url)
    assert capsys.readouterr().out == "record: new -> 0004\n"
    migrate(url)
    assert capsys.readouterr().out == "record: 0004, nothing to do\n"


def test_migrating_postgres_prepares_the_engine_too(capsys: pytest.CaptureFixture[str]) -> None:
    with running() as server:
        url = server.fresh()
        migrate(url)
        assert capsys.readouterr().out == "record: new -> 0004\nengine: schema\n"
        migrate(url)
        assert capsys.readouterr().out == "record: 0004, nothing to do\nengine: nothing to do\n"
        open_store(url, SettableClock()).close()


def test_an_export_is_judged_from_the_file_alone(url: str, store: SqlStore, tmp_path: Path) -> None:
    trail = tmp_path / "trail.jsonl"
    run("export", "--database-url", url, "--out", str(trail))
    store.close()
    (tmp_path / "record.db").unlink()
    code, output = run("judge", str(trail))
    assert code == 0
    assert "6 entries" in output
    code, output = run("judge", str(trail), "--json")
    assert (code, json.loads(output)) == (0, {"held": True, "entries": 6, "broken": []})
    lines = trail.read_text("utf-8").split("\n")
    trail.write_text("\n".join([*lines[:2], *lines[3:]]), "utf-8")
    code, output = run("judge", str(trail))
    assert code == 1
    assert "does not follow from the one before" in output


def test_an_effect_in_a_clouds_log_that_nobody_intended_is_named(
    url: str, store: SqlStore, tmp_path: Path
) -> None:
    trail, cloud = tmp_path / "trail.jsonl", tmp_path / "cloud.jsonl"
    run("export", "--database-url", url, "--out", str(trail))
    call = {"at": "2026-11-20T12:00:00+00:00", "operation": "DeleteBucket", "status": 204, "request": "b"}
    cloud.write_text(json.dumps(call) + "\n")
    code, output = run("judge", str(trail), "--cloud", str(cloud), "--json")
    assert code == 1
    assert [found["promise"] for found in json.loads(output)["broken"]] == ["effect-has-a-plan"]


def test_a_file_that_is_no_trail_ends_with_2(tmp_path: Path) -> None:
    assert run("judge", str(tmp_path / "typo.jsonl"))[0] == 2
    (tmp_path / "no.jsonl").write_text("no JSON\n")
    assert run("judge", str(tmp_path / "no.jsonl"))[0] == 2
    assert run("judge", str(tmp_path / "no.jsonl"), "--head", "x:y")[0] == 2
