"""Who may come through a secure webhook, and how rarely the keys that decide it are fetched."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.lab.arm.entra import Entra
from twokey.core.errors import Invalid, Unavailable
from twokey.providers.azure.entra import ACTION_GROUPS_APP, ACTION_GROUPS_ROLE, WebhookTokens
from twokey.providers.azure.signing_keys import SigningKeys, fetched
from twokey.testing.clocks import SettableClock

TENANT = "00000000-0000-0000-0000-00000000000f"
AUDIENCE = "api://twokey"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def signing_key(key_id: str) -> object:
    if key_id != "key-1":
        raise jwt.PyJWKClientError("unknown key")
    return KEY.public_key()


@pytest.fixture
def tokens(clock: SettableClock) -> WebhookTokens:
    return WebhookTokens(TENANT, (AUDIENCE,), clock, signing_key)


def claims(clock: SettableClock, **changed: Any) -> dict[str, Any]:
    now = int(clock.now().timestamp())
    good = {
        "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
        "aud": AUDIENCE,
        "tid": TENANT,
        "azp": ACTION_GROUPS_APP,
        "roles": [ACTION_GROUPS_ROLE],
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + 3600,
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def signed(content: dict[str, Any], key: Any = KEY, algorithm: str = "RS256", kid: Any = "key-1") -> str:
    headers = {} if kid is None else {"kid": kid}
    return "Bearer " + jwt.encode(content, key, algorithm=algorithm, headers=headers)


def test_azure_monitors_own_token_may_enter(tokens: WebhookTokens, clock: SettableClock) -> None:
    assert tokens.authorize(signed(claims(clock)))
    older = claims(clock, azp=None, appid=ACTION_GROUPS_APP.upper(), iss=f"https://sts.windows.net/{TENANT}/")
    assert tokens.authorize(signed(older))


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "api://somebody-else"},
        {"aud": None},
        {"iss": "https://login.microsoftonline.com/11111111-0000-0000-0000-000000000000/v2.0"},
        {"iss": "https://login.microsoftonline.com.evil.example/x/v2.0"},
        {"iss": None},
        {"tid": "11111111-0000-0000-0000-000000000000"},
        {"tid": None},
        {"azp": "11111111-0000-0000-0000-000000000000"},
        {"azp": None},
        {"roles": None},
        {"roles": ["Reader"]},
        {"roles": ACTION_GROUPS_ROLE},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 1},
        {"nbf": None},
        {"nbf": 99999999999},
        {"exp": [1]},
    ],
)
def test_a_token_that_is_wrong_in_one_claim_may_not(
    tokens: WebhookTokens, clock: SettableClock, changed: dict[str, Any]
) -> None:
    assert not tokens.authorize(signed(claims(clock, **changed)))


def test_a_token_expires_by_our_own_clock(tokens: WebhookTokens, clock: SettableClock) -> None:
    token = signed(claims(clock))
    clock.advance(3600 + 30)
    assert tokens.authorize(token)
    clock.advance(60)
    assert not tokens.authorize(token)


def test_a_token_that_is_signed_otherwise_may_not(tokens: WebhookTokens, clock: SettableClock) -> None:
    good = claims(clock)
    assert not tokens.authorize(signed(good, key=STRANGER))
    assert not tokens.authorize(signed(good, algorithm="RS512"))
    for kid in ("other", "../../etc/passwd", "key-1' or '1", "", None, 7, "k" * 500):
        try:
            token = signed(good, kid=kid)
        except jwt.PyJWTError:
            continue  # the library itself makes no such header
        assert not tokens.authorize(token)

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    body = part(good)
    assert not tokens.authorize(f"Bearer {part({'alg': 'none', 'kid': 'key-1'})}.{body}.")
    assert not tokens.authorize(f"Bearer {part({'alg': 'none', 'kid': 'key-1'})}.{body}.AA")
    assert not tokens.authorize(f"Bearer {part({'alg': 'HS256', 'kid': 'key-1'})}.{body}.{_hmac(part, body)}")


def _hmac(part: Any, body: str) -> str:
    """Sign with the public key as if it were a shared secret: the classic confusion."""
    head = part({"alg": "HS256", "kid": "key-1"})
    mac = hmac.new(PUBLIC, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer a.b", "Basic x.y.z", "Bearer é.é.é", "x" * 9000]
)
def test_what_is_no_token_may_not(tokens: WebhookTokens, header: str) -> None:
    assert not tokens.authorize(header)


def test_keys_that_cannot_be_had_are_not_the_callers_fault(clock: SettableClock) -> None:
    def nobody(key_id: str) -> object:
        raise Unavailable("azure.webhook_keys", tenant=TENANT)

    with pytest.raises(Unavailable, match=r"azure\.webhook_keys"):
        WebhookTokens(TENANT, (AUDIENCE,), clock, nobody).authorize(signed(claims(clock)))


def test_a_webhook_without_tenant_or_audience_stops_the_start(clock: SettableClock) -> None:
    with pytest.raises(Invalid, match=r"azure\.webhook_tenant"):
        WebhookTokens("common", (AUDIENCE,), clock, signing_key)
    with pytest.raises(Invalid, match=r"azure\.webhook_tenant"):
        WebhookTokens(TENANT, (), clock, signing_key)
    with pytest.raises(Invalid, match=r"azure\.webhook_tenant"):
        WebhookTokens(TENANT, ("",), clock, signing_key)
    with pytest.raises(Invalid, match=r"azure\.webhook_app"):
        WebhookTokens(TENANT, (AUDIENCE,), clock, signing_key, app="*")
    with pytest.raises(Invalid, match=r"azure\.base_url_not_https"):
        WebhookTokens(TENANT, (AUDIENCE,), clock, signing_key, authority="http://login.example")


# the keys


@pytest.fixture
def entra() -> Iterator[Entra]:
    with Entra() as started:
        yield started


@pytest.fixture
def keys(entra: Entra, clock: SettableClock) -> SigningKeys:
    trusting = ssl.create_default_context(cafile=entra.ca_bundle)
    return SigningKeys(TENANT, clock, entra.base_url, partial(fetched, context=trusting))


def test_the_keys_are_read_once_and_again_when_they_are_old(
    keys: SigningKeys, entra: Entra, clock: SettableClock
) -> None:
    for _ in range(50):
        assert keys("key-1")
    assert entra.key_reads == 1
    clock.advance(3601)
    assert keys("key-1")
    assert entra.key_reads == 2


def test_a_new_key_is_found_within_a_minute(keys: SigningKeys, entra: Entra, clock: SettableClock) -> None:
    assert keys("key-1")
    entra.keys["key-2"] = STRANGER
    with pytest.raises(jwt.InvalidKeyError):
        keys("key-2")
    clock.advance(61)
    assert keys("key-2").public_numbers() == STRANGER.public_key().public_numbers()


def test_a_key_that_was_taken_back_is_refused_when_the_keys_were_read_again(
    keys: SigningKeys, entra: Entra, clock: SettableClock
) -> None:
    assert keys("key-1")
    entra.keys = {"key-2": STRANGER}
    clock.advance(3601)
    with pytest.raises(jwt.InvalidKeyError):
        keys("key-1")


def test_while_the_authority_is_away_known_keys_serve_for_a_day_and_no_longer(
    keys: SigningKeys, entra: Entra, clock: SettableClock
) -> None:
    assert keys("key-1")
    entra.fails = True
    clock.advance(23 * 3600)
    assert keys("key-1")
    clock.advance(2 * 3600)
    with pytest.raises(Unavailable, match=r"azure\.webhook_keys"):
        keys("key-1")


def test_an_authority_that_fails_is_not_asked_for_every_token(
    keys: SigningKeys, entra: Entra, clock: SettableClock
) -> None:
    entra.fails = True
    for _ in range(50):
        with pytest.raises(Unavailable):
            keys("key-1")
    assert len(entra.calls) == 1
    entra.fails = False
    clock.advance(11)
    assert keys("key-1")


@pytest.mark.parametrize(
    ("end", "document"),
    [
        ("openid-configuration", b"<html>"),
        ("openid-configuration", b"[]"),
        ("openid-configuration", b"{}"),
        ("openid-configuration", b'{"jwks_uri": "https://evil.example/keys"}'),
        ("openid-configuration", b'{"jwks_uri": "file:///etc/passwd"}'),
        ("openid-configuration", b" " * 300_000),
        ("/keys", b"not JSON"),
        ("/keys", b'{"keys": "many"}'),
        ("/keys", b'{"keys": []}'),
        ("/keys", b'{"keys": [{"kty": "oct", "kid": "key-1", "k": "c2VjcmV0"}]}'),
        ("/keys", b'{"keys": [{"kty": "RSA", "kid": "key-1", "use": "enc", "n": "AQAB", "e": "AQAB"}]}'),
        ("/keys", b'{"keys": [{"kty": "RSA", "kid": "key-1"}]}'),
    ],
)
def test_what_is_no_list_of_keys_opens_nothing(
    keys: SigningKeys, entra: Entra, end: str, document: bytes
) -> None:
    """It is not the caller's fault either: Unavailable, and so 503."""
    entra.documents[end] = document
    with pytest.raises(Unavailable, match=r"azure\.webhook_keys"):
        keys("key-1")


def test_an_authority_that_hangs_holds_up_nobody_whose_key_is_known(
    clock: SettableClock, entra: Entra
) -> None:
    """One reads; the others must not wait for him, or a slow authority would stop the whole door."""
    asked, go_on, slow = threading.Event(), threading.Event(), threading.Event()
    trusting = ssl.create_default_context(cafile=entra.ca_bundle)

    def fetch(url: str) -> bytes:
        if slow.is_set():
            asked.set()
            go_on.wait(300)
        return fetched(url, trusting)

    keys = SigningKeys(TENANT, clock, entra.base_url, fetch)
    assert keys("key-1")
    slow.set()
    clock.advance(3601)
    reader = threading.Thread(target=keys, args=("key-1",))
    reader.start()
    assert asked.wait(300)
    assert keys("key-1")  # while the other still reads
    with pytest.raises(jwt.InvalidKeyError):
        keys("unknown")
    go_on.set()
    reader.join(300)
    assert not reader.is_alive()


def test_the_first_of_all_readings_is_waited_for_and_made_once(clock: SettableClock, entra: Entra) -> None:
    trusting = ssl.create_default_context(cafile=entra.ca_bundle)
    fetch = partial(fetched, context=trusting)
    keys = SigningKeys(TENANT, clock, entra.base_url, fetch, patience_s=300)
    found: list[Any] = []
    callers = [threading.Thread(target=lambda: found.append(keys("key-1"))) for _ in range(12)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(300)
    assert len(found) == 12
    assert entra.key_reads == 1
