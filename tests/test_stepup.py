"""One-time codes: the right one once, nobody else's, and never a secret where it can be seen."""

from __future__ import annotations

import logging
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from twokey.core.errors import Invalid, Refused
from twokey.stepup import TotpStepUp, new_secret, read_secrets

NOW = datetime(2026, 1, 31, 12, 0, 10, tzinfo=UTC)
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
OTHER = "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "totp.yaml"
    file.write_text(f"# secrets\nmika.sato: {SECRET}\n\ntomas.novak: {OTHER}\n")
    file.chmod(0o600)
    return file


def _code(secret: str, at: datetime) -> str:
    return pyotp.TOTP(secret).at(at)


def test_the_right_code_has_an_identity_that_two_typings_of_it_share(path: Path) -> None:
    step_up = TotpStepUp(path)
    first = step_up.verify("mika.sato", _code(SECRET, NOW), NOW)
    again = step_up.verify("mika.sato", _code(SECRET, NOW), NOW + timedelta(seconds=20))
    assert first == again == f"mika.sato:{int(NOW.timestamp()) // 30}"


def test_the_next_code_has_another_identity(path: Path) -> None:
    step_up = TotpStepUp(path)
    later = NOW + timedelta(seconds=30)
    assert step_up.verify("mika.sato", _code(SECRET, later), later) != step_up.verify(
        "mika.sato", _code(SECRET, NOW), NOW
    )


@pytest.mark.parametrize(
    ("seconds", "holds"), [(-65, False), (-30, True), (0, True), (30, True), (65, False)]
)
def test_a_code_holds_one_step_before_and_one_after(path: Path, seconds: int, holds: bool) -> None:
    code = _code(SECRET, NOW + timedelta(seconds=seconds))
    assert (TotpStepUp(path).verify("mika.sato", code, NOW) is not None) is holds


def test_another_persons_code_is_wrong(path: Path) -> None:
    assert TotpStepUp(path).verify("mika.sato", _code(OTHER, NOW), NOW) is None


@pytest.mark.parametrize(
    "code", ["", "000000", "12345", "1234567", "abcdef", "１２３４５６", "0" * 10_000, "None"]
)
def test_what_is_not_the_code_is_wrong(path: Path, code: str) -> None:
    assert TotpStepUp(path).verify("mika.sato", code, NOW) is None


def test_spaces_in_a_typed_code_do_not_matter(path: Path) -> None:
    code = _code(SECRET, NOW)
    assert TotpStepUp(path).verify("mika.sato", f" {code[:3]} {code[3:]} ", NOW)


def test_a_person_without_a_secret_is_told_so(path: Path) -> None:
    with pytest.raises(Refused, match=r"refused\.step_up_not_set_up"):
        TotpStepUp(path).verify("lee.kim", "123456", NOW)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o666, 0o610, 0o601])
def test_a_file_that_others_can_reach_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(Refused, match=r"refused\.step_up_file_open"):
        TotpStepUp(path).verify("mika.sato", _code(SECRET, NOW), NOW)


@pytest.mark.parametrize(
    "content",
    [
        f"mika.sato: {SECRET}\nmika.sato: {OTHER}\n",
        "mika.sato: JBSWY3DPEHPK3PXP\n",  # 80 bits
        f"mika.sato: {SECRET.lower()}\n",
        f"mika.sato {SECRET}\n",
        f"mika.sato: {SECRET} # mine\n",
        "mika.sato: 0189\n",
    ],
)
def test_a_faulty_file_is_refused_by_its_line_and_never_by_its_text(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(Refused) as refused:
        read_secrets(path)
    assert refused.value.message.code == "refused.step_up_file_faulty"
    assert SECRET.lower() not in str(refused.value).lower()


def test_a_missing_file_and_bytes_that_are_no_text_are_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(Refused, match=r"refused\.step_up_file_unreadable"):
        read_secrets(path)
    path.unlink()
    with pytest.raises(Refused, match=r"refused\.step_up_file_missing"):
        read_secrets(path)


def test_a_new_secret_is_strong_and_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "totp.yaml"
    address = new_secret(path, "mika.sato")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    parts = urlsplit(address)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    secret = parse_qs(parts.query)["secret"][0]
    assert len(secret) * 5 >= 160
    assert TotpStepUp(path).verify("mika.sato", _code(secret, NOW), NOW)
    assert [file.name for file in tmp_path.iterdir()] == ["totp.yaml"]


def test_a_second_secret_is_only_made_when_it_is_meant(path: Path) -> None:
    with pytest.raises(Invalid, match=r"stepup\.has_secret"):
        new_secret(path, "mika.sato")
    new_secret(path, "mika.sato", replace=True)
    assert TotpStepUp(path).verify("mika.sato", _code(SECRET, NOW), NOW) is None
    assert TotpStepUp(path).verify("tomas.novak", _code(OTHER, NOW), NOW), "the others keep theirs"


@pytest.mark.parametrize("person", ["", "a b", "a: b", "a\nb: c", "#a", "ü"])
def test_a_name_that_would_break_the_file_is_refused(path: Path, person: str) -> None:
    with pytest.raises(Invalid, match=r"stepup\.person_malformed"):
        new_secret(path, person)


def test_no_secret_is_in_a_repr_or_a_log(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    step_up = TotpStepUp(path)
    step_up.verify("mika.sato", "000000", NOW)
    assert SECRET not in repr(step_up) + str(step_up) + caplog.text
