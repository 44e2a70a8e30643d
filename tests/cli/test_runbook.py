"""`twokey runbook` and `twokey roster` as people run them, over the shipped runbooks."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from twokey.cli import roster, runbook
from twokey.core.errors import NotFound, Refused
from twokey.core.passkeys import Enrolment, fingerprint
from twokey.core.people import system
from twokey.store import open_store
from twokey.testing.builders import at
from twokey.testing.clocks import SettableClock

ROOT = Path(__file__).resolve().parents[2]
ROSTER = ROOT / "tests" / "fixtures" / "rosters" / "good.yaml"
KEY = "aws.disable-leaked-access-key"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the shipped runbooks, not yet approved."""
    for path in (ROOT / "runbooks").rglob("*"):
        if path.is_file() and path.name != "approved.lock":
            copy = tmp_path / "runbooks" / path.relative_to(ROOT / "runbooks")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return tmp_path / "runbooks"


def _runbook(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(runbook.app, list(words), env={"TWOKEY_RUNBOOKS_DIR": str(folder)})


def _roster(path: Path, *words: str, totp: Path = Path("none")) -> Result:
    env = {"TWOKEY_ROSTER_FILE": str(path), "TWOKEY_TOTP_FILE": str(totp)}
    return CliRunner().invoke(roster.app, list(words), env=env)


def test_check_of_good_files_says_so_and_exits_0(folder: Path) -> None:
    done = _runbook(folder, "check")
    assert (done.exit_code, done.stdout.split()[1:]) == (0, ["runbooks,", "no", "fault"])


def test_check_names_file_line_and_key_of_every_fault_and_exits_2(folder: Path) -> None:
    path = folder / f"{KEY}.yaml"
    lines = path.read_text().split("\n")
    risk = next(number for number, line in enumerate(lines) if line.startswith("  risk:"))
    lines[risk] = "  risk: hgih"
    path.write_text("\n".join(lines) + "\nextra: 1\n")
    done = _runbook(folder, "check")
    assert done.exit_code == 2
    assert f"runbooks/{KEY}.yaml:{risk + 1}: spec.risk: hgih is not a value" in done.stdout
    assert "Did you mean high?" in done.stdout
    assert f"runbooks/{KEY}.yaml:{len(lines) + 1}: extra: The key extra is not known." in done.stdout


def test_check_of_a_named_file_looks_at_that_file_only(folder: Path) -> None:
    (folder / "aws.bad.yaml").write_text("kind: [")
    assert _runbook(folder, "check", str(folder / f"{KEY}.yaml")).exit_code == 0
    assert _runbook(folder, "check", str(folder / "aws.bad.yaml")).exit_code == 2
    assert _runbook(folder, "check", str(folder / "nothing.yaml")).exit_code == 2


def test_a_fault_cannot_speak_to_the_terminal(folder: Path) -> None:
    bad = folder / "aws.\x1b[2J\u202ered.yaml"
    bad.write_text("kind: [")
    done = _runbook(folder, "check", str(bad))
    assert "\x1b" not in done.stdout
    assert "aws.\u27e8U+001B\u27e9[2J\u27e8U+202E\u27e9red.yaml" in done.stdout


def test_approve_writes_one_line_and_the_list_shows_it(folder: Path) -> None:
    before = {row["id"]: row["status"] for row in _rows(_runbook(folder, "list", "--json"))}
    assert before[KEY] == "new"
    done = _runbook(folder, "approve", KEY, "--by", "jane.doe")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"+ {KEY} 1.1.0 sha256:")
    assert "a second person's name is missing" in done.stderr
    half = {row["id"]: row["status"] for row in _rows(_runbook(folder, "list", "--json"))}
    assert half == {**before, KEY: "half-approved"}
    done = _runbook(folder, "approve", KEY, "--by", "joe.roe")
    assert " jane.doe,joe.roe " in done.stdout
    assert done.stderr == ""
    after = {row["id"]: row["status"] for row in _rows(_runbook(folder, "list", "--json"))}
    assert after == {**before, KEY: "approved"}


def test_approve_again_after_a_change_shows_both_lines_and_that_the_version_is_the_same(folder: Path) -> None:
    for name in ("jane.doe", "joe"):
        _runbook(folder, "approve", KEY, "--by", name)
    path = folder / f"{KEY}.yaml"
    path.write_text(path.read_text().replace("title: Deactivate", "title: Switch off"))
    rows = {row["id"]: row["status"] for row in _rows(_runbook(folder, "list", "--json"))}
    assert rows[KEY] == "changed"
    done = _runbook(folder, "approve", KEY, "--by", "joe")
    assert [line[:2] for line in done.stdout.splitlines()] == ["- ", "+ "]
    assert "the version has not" in done.stderr


def test_a_faulty_runbook_cannot_be_approved(folder: Path) -> None:
    path = folder / f"{KEY}.yaml"
    path.write_text(path.read_text().replace("risk: high", "risk: none"))
    done = _runbook(folder, "approve", KEY, "--by", "jane.doe")
    assert done.exit_code == 2
    assert "spec.risk" in done.stderr
    assert not (folder / "approved.lock").exists()


def test_a_name_with_a_space_is_refused(folder: Path) -> None:
    done = _runbook(folder, "approve", KEY, "--by", "jane doe")
    assert done.exit_code == 2
    assert not (folder / "approved.lock").exists()


def test_show_tells_keys_guards_steps_and_undos(folder: Path) -> None:
    told = _runbook(folder, "show", "aws.quarantine-account").stdout
    assert "risk critical: 2 keys beside the proposer's, with one-time codes, within 15 min" in told
    assert "guard not-management-account" in told
    assert "undo aws.organizations.detach_policy" in told
    assert json.loads(_runbook(folder, "show", KEY, "--json").stdout)["id"] == KEY


def test_show_of_a_misspelt_name_is_not_found(folder: Path) -> None:
    done = _runbook(folder, "show", "aws.quarantin-account")
    assert isinstance(done.exception, NotFound)


def test_export_is_a_playbook_and_asks_for_its_format(folder: Path) -> None:
    assert json.loads(_runbook(folder, "export", KEY, "--cacao").stdout)["spec_version"] == "cacao-2.0"
    assert _runbook(folder, "export", KEY).exit_code == 2


def test_a_good_roster_is_checked_and_listed() -> None:
    assert _roster(ROSTER, "check").exit_code == 0
    people = _rows(_roster(ROSTER, "list", "--json"))
    assert [row["id"] for row in people] == ["mika.sato", "tomas.novak", "lee.kim"]


def test_a_faulty_roster_is_told_by_line_and_exits_2(tmp_path: Path) -> None:
    path = tmp_path / "roster.yaml"
    path.write_text(ROSTER.read_text().replace("roles: [responder]", "roles: [respnder]"))
    done = _roster(path, "check")
    assert done.exit_code == 2
    assert "people[2].roles[0]: respnder is not a value" in done.stdout
    assert _roster(tmp_path / "none.yaml", "check").exit_code == 2
    assert isinstance(_roster(path, "list").exception, Refused)


def test_a_secret_is_shown_once_and_kept_where_only_its_owner_reads_it(tmp_path: Path) -> None:
    totp = tmp_path / "totp.yaml"
    done = _roster(ROSTER, "totp", "mika.sato", totp=totp)
    assert done.stdout.startswith("otpauth://totp/twokey:mika.sato?secret=")
    assert stat.S_IMODE(totp.stat().st_mode) == 0o600
    assert _roster(ROSTER, "totp", "mika.sato", totp=totp).exit_code != 0
    assert _roster(ROSTER, "totp", "mika.sato", "--replace", totp=totp).exit_code == 0
    assert isinstance(_roster(ROSTER, "totp", "nobody", totp=totp).exception, NotFound)


def test_a_confirmed_passkey_is_printed_for_whoever_keeps_the_roster_and_then_for_the_judge(
    tmp_path: Path,
) -> None:
    record = f"sqlite:///{tmp_path / 'record.db'}"
    made = Enrolment("e", "mika.sato", "confirmed", at(0), "n", None, "0a1b", "a5" * 77, "tomas.novak")
    store = open_store(record, SettableClock())
    with store.change() as tx:
        tx.add(made)
        tx.add(replace(made, id="f", state="made"))
        tx.append(system("test"), "noted")
    store.close()

    def passkeys(path: Path, *words: str) -> Result:
        env = {"TWOKEY_ROSTER_FILE": str(path), "TWOKEY_DATABASE_URL": record}
        return CliRunner().invoke(roster.app, ["passkeys", *words], env=env)

    done = passkeys(ROSTER)
    first, *lines = done.stdout.splitlines()
    assert first == f"# mika.sato: {fingerprint('a5' * 77)}, confirmed by tomas.novak"
    assert passkeys(ROSTER, "--json").stdout == ""
    path = tmp_path / "roster.yaml"
    path.write_text(
        ROSTER.read_text().replace("    language: ja\n", "\n".join(["    language: ja", *lines, ""]))
    )
    path.chmod(0o600)
    assert passkeys(path).stdout == ""
    assert _rows(passkeys(path, "--json")) == [{"person": "mika.sato", "id": "0a1b", "public_key": "a5" * 77}]


def _rows(done: Result) -> list[dict[str, str]]:
    return [json.loads(line) for line in done.stdout.splitlines()]
