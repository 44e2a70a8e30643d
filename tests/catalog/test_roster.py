"""The roster: one human being is one person, and a fault means that nobody may act."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twokey.catalog.roster import FileRosters, load_roster, read_roster
from twokey.clouds import CLOUDS
from twokey.core.errors import Invalid, Refused
from twokey.core.people import ChatAccount, Passkey, Role

ROSTERS = Path(__file__).resolve().parents[1] / "fixtures" / "rosters"
GOOD = (ROSTERS / "good.yaml").read_text(encoding="utf-8")

SCOPES = tuple(module.scope for module in CLOUDS)


def test_people_have_ids_accounts_roles_and_scopes() -> None:
    roster = load_roster(GOOD, "roster.yaml", SCOPES)
    mika = roster.person("mika.sato")
    assert mika is not None
    assert mika.name == "佐藤 美香"
    assert mika.roles == {Role.RESPONDER, Role.COMMANDER, Role.APPROVER}
    assert mika.is_(Role.APPROVER, "111122223333")
    assert (mika.has_step_up, mika.language) == (True, "ja")
    tomas = roster.person("tomas.novak")
    assert tomas is not None
    assert not tomas.is_(Role.APPROVER, "999988887777"), "a scope is only what is written"


_KEYS = (
    '    passkeys:\n      - {id: "0a1b", public_key: "PUBLIC", name: phone, added: "2026-11-28"}\n'.replace(
        "PUBLIC", "a5" * 77
    )
)


def test_a_person_has_the_passkeys_that_the_file_says() -> None:
    roster = load_roster(
        GOOD.replace("    language: ja\n", f"    language: ja\n{_KEYS}"), "roster.yaml", SCOPES
    )
    mika = roster.person("mika.sato")
    assert mika is not None
    assert mika.passkeys == (Passkey("0a1b", "a5" * 77, "phone", "2026-11-28"),)


@pytest.mark.parametrize(
    ("old", "new", "code", "key"),
    [
        ("0a1b", "0A1B", "schema.not_matching", "people[0].passkeys[0].id"),
        ("a5a5", "zz", "schema.not_matching", "people[0].passkeys[0].public_key"),
        ('id: "0a1b", ', "", "schema.missing_key", "people[0].passkeys[0]"),
        ("2026-11-28", "today", "schema.not_matching", "people[0].passkeys[0].added"),
        ("name: phone", "secret: phone", "schema.unknown_key", "people[0].passkeys[0].secret"),
        ("    roles: [responder, approver]\n", f"    roles: [approver]\n{_KEYS}", "roster.duplicate_passkey", "people[1].passkeys[0]"),
    ],
)  # fmt: skip
def test_a_passkey_that_is_none_or_another_persons_is_refused(
    old: str, new: str, code: str, key: str
) -> None:
    text = GOOD.replace("    language: ja\n", f"    language: ja\n{_KEYS}")
    roster, faults = read_roster(text.replace(old, new, 1), "roster.yaml", SCOPES)
    assert (code, key) in [(fault.message.code, fault.message.params["key"]) for fault in faults]
    assert roster.people == ()


def test_two_slack_accounts_of_one_person_are_one_person() -> None:
    roster = load_roster(GOOD, "roster.yaml", SCOPES)
    assert roster.behind(ChatAccount("T0ACME", "U0MIKA")) is roster.behind(ChatAccount("T0LABS", "U0MIKA2"))


@pytest.mark.parametrize("text", ["", "# nobody yet\n", "people:\n", "people: []\n"])
def test_an_empty_roster_means_nobody(text: str) -> None:
    assert load_roster(text, "roster.yaml", SCOPES).people == ()


@pytest.mark.parametrize(
    ("old", "new", "code", "key"),
    [
        ("people:", "peopel:", "schema.unknown_key_near", "peopel"),
        ("  - id: tomas.novak", "  - id: mika.sato", "roster.duplicate_person", "people[1].id"),
        ("  - id: tomas.novak", "  - id: Mika.Sato", "roster.duplicate_person", "people[1].id"),
        ("user: U0TOMAS", "user: U0MIKA", "roster.duplicate_account", "people[1].slack[0]"),
        ("{team: T0LABS, user: U0MIKA2}", "{team: T0ACME, user: U0MIKA}", "roster.duplicate_account", "people[0].slack[1]"),
        ("    slack: [{team: T0ACME, user: U0TOMAS}]", "    slack: []", "roster.no_account", "people[1].slack"),
        ("    slack: [{team: T0ACME, user: U0TOMAS}]\n", "", "schema.missing_key", "people[1]"),
        ("user: U0TOMAS", "user: '@tomas'", "schema.not_matching", "people[1].slack[0].user"),
        ("user: U0TOMAS", "name: tomas", "schema.unknown_key", "people[1].slack[0].name"),
        ("roles: [responder, approver]", "roles: [responder, aprover]", "schema.not_one_of_near", "people[1].roles[1]"),
        ("roles: [responder, approver]", "roles: [root]", "schema.not_one_of", "people[1].roles[0]"),
        ("roles: [responder, approver]", "roles: approver", "schema.not_list", "people[1].roles"),
        ('scopes: ["111122223333"]', "scopes: [all]", "schema.not_matching", "people[1].scopes[0]"),
        ('scopes: ["111122223333"]', "scopes: ['1111*']", "schema.not_matching", "people[1].scopes[0]"),
        ("step_up: totp", "step_up: sms", "schema.not_one_of", "people[0].step_up"),
        ("language: ja", "language: fr", "schema.not_one_of", "people[0].language"),
        ("    name: Tomáš Novák", "    name: Tomáš Novák\n    admin: true", "schema.unknown_key", "people[1].admin"),
        ("    name: Tomáš Novák", "    name: Tomáš\u202eNovák", "yaml.character", ""),
        ("    name: Tomáš Novák", "    name: a\n    name: b", "yaml.duplicate_key", "people[1].name"),
    ],
)  # fmt: skip
def test_a_roster_that_could_make_two_people_of_one_is_refused(
    old: str, new: str, code: str, key: str
) -> None:
    assert old in GOOD
    roster, faults = read_roster(GOOD.replace(old, new, 1), "roster.yaml", SCOPES)
    assert (code, key) in [(fault.message.code, fault.message.params["key"]) for fault in faults]
    assert roster.people == (), "a faulty roster is nobody, never a part of it"


def test_the_file_is_read_again_at_every_question(tmp_path: Path) -> None:
    path = tmp_path / "roster.yaml"
    path.write_text(GOOD)
    rosters = FileRosters(path, SCOPES)
    assert rosters.current().person("tomas.novak")
    before = path.stat()
    path.write_text(GOOD.replace("tomas.novak", "tomas.nowak"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert rosters.current().person("tomas.novak") is None
    assert rosters.current().digest != load_roster(GOOD, "x", SCOPES).digest


def test_a_file_that_is_gone_or_faulty_refuses_and_never_answers_with_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "roster.yaml"
    path.write_text(GOOD)
    rosters = FileRosters(path, SCOPES)
    assert rosters.current().people
    for content in (b"people: [", b"\xff", GOOD.replace("totp", "x").encode()):
        path.write_bytes(content)
        with pytest.raises(Refused, match=r"refused\.roster_unreadable"):
            rosters.current()
    path.unlink()
    with pytest.raises(Refused, match=r"refused\.roster_unreadable"):
        rosters.current()
    path.mkdir()
    with pytest.raises(Refused, match=r"refused\.roster_unreadable"):
        rosters.current()


def test_a_refusal_names_the_line_but_no_path_of_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "roster.yaml"
    path.write_text("people:\n  - id: a\n")
    with pytest.raises(Refused) as refused:
        FileRosters(path, SCOPES).current()
    assert refused.value.message.params["reason"].startswith("roster.yaml:2")


@settings(max_examples=300)
@given(
    st.integers(0, len(GOOD) - 1), st.integers(0, 12), st.text(alphabet="abUT0*[]{}:-,'\" \n#&!", max_size=8)
)
def test_no_mutation_of_a_roster_crashes_or_gives_one_account_to_two_people(
    at: int, cut: int, new: str
) -> None:
    roster, faults = read_roster(GOOD[:at] + new + GOOD[at + cut :], "roster.yaml", SCOPES)
    assert all(isinstance(fault, Invalid) for fault in faults)
    accounts = [account for person in roster.people for account in person.accounts]
    assert len(accounts) == len(set(accounts))
    assert len({person.id.casefold() for person in roster.people}) == len(roster.people)
    assert all(person.accounts for person in roster.people)
