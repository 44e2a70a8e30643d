"""Attack S15: secrets leave on no page; names and addresses leave on no page for outsiders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokey.app import disclosure
from twokey.core.texts import SECRET
from twokey.publish.redact import REMOVED, without_secrets

OUTSIDE = disclosure()

SECRETS = {
    "aws secret key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "aws session token": "FwoGZXIvYXdzEBYaD" + "aB3/" * 40 + "==",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "slack bot": "xoxb-123456789012-abcdefABCDEF",
    "slack app": "xapp-1-A0123-456-deadbeef",
    "github": "ghp_" + "a1B2" * 9,
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nabc\n-----END RSA PRIVATE KEY-----",
    "pem cut": "-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7",
    "azure account key": "AccountKey=Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFy+/aZ09==",
    "sas": "https://x.example/c?sv=2020&sig=aB3%2Fxyz123%3D&se=1",
    "basic auth": "https://user:hunter2@x.example/",
    "bearer": "Authorization: Bearer abcdef123456789",
    "password": "password=hunter22!",
    "password json": '"password": "hunter22"',
    "client secret": "client_secret: s3cr3t~value.x",
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS.keys())
def test_s15_a_secret_is_removed_and_the_words_around_it_stay(text):
    shown = without_secrets(f"before {text} after")
    assert REMOVED in shown
    assert shown.startswith("before ")
    for piece in ("hunter2", "K7MDENG", "MIIEpAIB", "dozjgNry", "abcdefABC", "aB3%2F", "s3cr3t", "Zm9vYmFy"):
        assert piece not in shown


@pytest.mark.parametrize(
    "text",
    [
        "the key AKIAIOSFODNN7EXAMPLE of user deploy",
        "a" * 64,
        "b2ab83b90310ac59076d1f2f338b42cdc8215b5825221daff59e50142c48bee4",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "arn:aws:iam::111122223333:user/deploy",
        "aws.disable-leaked-access-key@1.0.0",
        "no secret is here: the password was changed",
        "access_key_id: AKIAIOSFODNN7EXAMPLE",
    ],
)
def test_what_an_investigator_needs_is_no_secret(text):
    assert without_secrets(text) == text


def other_cases(char: str) -> str:
    """Return the character and everything that a pattern takes for it when it ignores case."""
    return {"s": "sS\u017f", "k": "kK\u212a", "i": "iI\u0131\u0130"}.get(char.lower(), char.swapcase() + char)


written_otherwise = st.sampled_from(sorted(SECRETS.values())).flatmap(
    lambda text: st.tuples(*(st.sampled_from(other_cases(char)) for char in text)).map("".join)
)


@given(written_otherwise, st.sampled_from(["", "before ", "\u6a5f\u5bc6 "]))
def test_the_quick_look_misses_nothing_that_the_pattern_finds(text, before):
    assert without_secrets(before + text) == SECRET.sub(REMOVED, before + text)


NAMES = {
    "account": "111122223333",
    "account with dashes": "1111-2222-3333",
    "arn": "arn:aws:s3:::acme-payroll",
    "key": "AKIAIOSFODNN7EXAMPLE",
    "temporary key": "ASIAIOSFODNN7EXAMPLE",
    "ip": "203.0.113.9",
    "ip6": "2001:db8::1",
    "mail": "aoi@acme.example",
    "guid": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "subscription": "/subscriptions/x/resourceGroups/prod",
    "url": "https://intra.acme.example/x",
    "bucket host": "acme-payroll.s3.amazonaws.com",
    "instance": "i-0123456789abcdef0",
    "organisation": "o-exampleorgid",
    "slack user": "<@U0123ABCD>",
    "mention": "@aoi",
    "hash": "b2ab83b90310ac59076d1f2f338b42cdc8215b5825221daff59e50142c48bee4",
    "secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}


@pytest.mark.parametrize("text", NAMES.values(), ids=NAMES.keys())
def test_a_name_or_address_is_found_with_its_line_and_removed(text):
    page = f"# Report\n\nIt was {text} again\n"
    assert {line for line, _ in OUTSIDE.shapes_in(page)} == {3}
    assert text not in OUTSIDE.without_names(page)


def test_an_ordinary_report_names_nothing():
    page = "| 2026-11-21 12:30:05 | 2026-11-21 21:30:05 +09:00 | acknowledged | 1 h 30 min |\n影響はありません。10.5% of 1,234,567\n"
    assert OUTSIDE.shapes_in(page) == ()
    assert OUTSIDE.without_names(page) == page
