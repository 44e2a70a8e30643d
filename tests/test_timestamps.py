"""Time stamps: an authority's answer counts only when it is its own, fresh, and for the very bytes that were asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.lab import tsa
from twokey.app import build_stamper
from twokey.core.errors import Invalid, Refused, Tampered, Unavailable
from twokey.settings import load
from twokey.timestamps import MAX_ANSWER, Rfc3161Stamper

pytestmark = pytest.mark.skipif(tsa.OPENSSL is None, reason="needs openssl, which signs the stamps")


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[tsa.Authority]:
    with tsa.authority(tmp_path / "tsa") as found:
        yield found


@pytest.fixture
def stamper(authority: tsa.Authority) -> Rfc3161Stamper:
    return Rfc3161Stamper(authority.url, authority.root)


def test_a_stamp_is_the_authoritys_word_for_these_bytes_now(stamper: Rfc3161Stamper) -> None:
    at, answer = stamper.stamp(b"a head")
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    assert stamper.check(b"a head", answer) == at
    with pytest.raises(Tampered, match="stamp_broken"):
        stamper.check(b"another head", answer)


def test_what_is_asked_for_holds_the_digest_and_nothing_of_the_bytes(
    stamper: Rfc3161Stamper, authority: tsa.Authority
) -> None:
    stamper.stamp(b"a secret head")
    assert b"secret" not in authority.queries[0]


def test_an_answer_of_before_is_not_taken_though_it_is_over_the_same_bytes(
    stamper: Rfc3161Stamper, authority: tsa.Authority
) -> None:
    stamper.stamp(b"a head")
    authority.is_stale = True
    with pytest.raises(Refused, match="Nonce"):
        stamper.stamp(b"a head")


def test_another_authoritys_answer_is_not_taken(stamper: Rfc3161Stamper, tmp_path: Path) -> None:
    other = tsa.Authority(tmp_path / "other")
    with pytest.raises(Refused, match="stamp_not_taken"):
        replace(stamper, authority=other.root).stamp(b"a head")


@pytest.mark.parametrize("answer", [b"", b"no DER", b"0\x80", b"\x30\x05\x30\x03\x02\x01\x02", b"0" * 64])
def test_an_answer_that_is_none_is_not_taken(
    stamper: Rfc3161Stamper, authority: tsa.Authority, answer: bytes
) -> None:
    authority.says = answer
    with pytest.raises(Refused, match="stamp_not_taken"):
        stamper.stamp(b"a head")


def test_a_stamp_of_which_one_bit_is_another_is_broken_or_states_the_same(stamper: Rfc3161Stamper) -> None:
    at, answer = stamper.stamp(b"a head")
    broken = 0
    for place in range(len(answer)):
        changed = bytearray(answer)
        changed[place] ^= 1
        try:
            assert stamper.check(b"a head", bytes(changed)) == at  # what is not signed says nothing
        except Tampered:
            broken += 1
    assert broken > len(answer) / 2


@pytest.mark.parametrize("status", [302, 307, 404, 500])
def test_an_authority_that_does_not_answer_is_asked_later_and_nobody_else_is(
    stamper: Rfc3161Stamper, authority: tsa.Authority, status: int
) -> None:
    authority.status = status
    with pytest.raises(Unavailable, match=f"authority_silent why='{status}'"):
        stamper.stamp(b"a head")
    assert authority.queries == []


def test_an_answer_without_end_is_cut_off(stamper: Rfc3161Stamper, authority: tsa.Authority) -> None:
    authority.says = b"0" * (MAX_ANSWER + 1)
    with pytest.raises(Unavailable):
        stamper.stamp(b"a head")


def test_an_address_where_nobody_listens_is_asked_later(stamper: Rfc3161Stamper) -> None:
    with pytest.raises(Unavailable):
        replace(stamper, url="http://127.0.0.1:9/").stamp(b"a head")


def test_without_the_authoritys_certificates_nothing_is_asked(
    stamper: Rfc3161Stamper, authority: tsa.Authority, tmp_path: Path
) -> None:
    (tmp_path / "empty.pem").write_text("")
    for file in (tmp_path / "nowhere.pem", tmp_path / "empty.pem"):
        with pytest.raises(Invalid, match="authority_unreadable"):
            replace(stamper, authority=file).stamp(b"a head")
    assert authority.queries == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TWOKEY_TSA_URL", "tsa.example.com"),
        ("TWOKEY_TSA_URL", "file:///etc/passwd"),
        ("TWOKEY_TSA_EVERY_S", "59"),
    ],
)
def test_an_authority_that_cannot_be_asked_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(Invalid, match=name):
        load({name: value})


def test_without_an_address_nothing_is_stamped() -> None:
    assert build_stamper(load({})) is None
    assert build_stamper(load({"TWOKEY_TSA_URL": "https://tsa.example.com"})) is not None
