"""S9: who may come through a secure webhook. Every line is a token that must not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from twokey.core.errors import Invalid, Unavailable
from twokey.providers.azure.entra import ACTION_GROUPS_APP, ACTION_GROUPS_ROLE, WebhookTokens
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
    return WebhookTokens(TENANT, AUDIENCE, clock, signing_key)


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
    assert tokens.may_enter(signed(claims(clock)))
    older = claims(clock, azp=None, appid=ACTION_GROUPS_APP.upper(), iss=f"https://sts.windows.net/{TENANT}/")
    assert tokens.may_enter(signed(older))


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
    assert not tokens.may_enter(signed(claims(clock, **changed)))


def test_a_token_expires_by_our_own_clock(tokens: WebhookTokens, clock: SettableClock) -> None:
    token = signed(claims(clock))
    clock.advance(3600 + 30)
    assert tokens.may_enter(token)
    clock.advance(60)
    assert not tokens.may_enter(token)


def test_a_token_that_is_signed_otherwise_may_not(tokens: WebhookTokens, clock: SettableClock) -> None:
    good = claims(clock)
    assert not tokens.may_enter(signed(good, key=STRANGER))
    assert not tokens.may_enter(signed(good, algorithm="RS512"))
    for kid in ("other", "../../etc/passwd", "key-1' or '1", "", None, 7, "k" * 500):
        try:
            token = signed(good, kid=kid)
        except jwt.PyJWTError:
            continue  # the library itself makes no such header
        assert not tokens.may_enter(token)

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    body = part(good)
    assert not tokens.may_enter(f"Bearer {part({'alg': 'none', 'kid': 'key-1'})}.{body}.")
    assert not tokens.may_enter(f"Bearer {part({'alg': 'none', 'kid': 'key-1'})}.{body}.AA")
    assert not tokens.may_enter(f"Bearer {part({'alg': 'HS256', 'kid': 'key-1'})}.{body}.{_hmac(part, body)}")


def _hmac(part: Any, body: str) -> str:
    """Sign with the public key as if it were a shared secret: the classic confusion."""
    head = part({"alg": "HS256", "kid": "key-1"})
    mac = hmac.new(PUBLIC, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer a.b", "Basic x.y.z", "Bearer é.é.é", "x" * 9000]
)
def test_what_is_no_token_may_not(tokens: WebhookTokens, header: str) -> None:
    assert not tokens.may_enter(header)


def test_keys_that_cannot_be_had_are_not_the_callers_fault(clock: SettableClock) -> None:
    def nobody(key_id: str) -> object:
        raise jwt.PyJWKClientConnectionError("no route")

    with pytest.raises(Unavailable, match=r"azure\.webhook_keys"):
        WebhookTokens(TENANT, AUDIENCE, clock, nobody).may_enter(signed(claims(clock)))


def test_a_webhook_without_tenant_or_audience_stops_the_start(clock: SettableClock) -> None:
    with pytest.raises(Invalid, match=r"azure\.webhook_tenant"):
        WebhookTokens("common", AUDIENCE, clock, signing_key)
    with pytest.raises(Invalid, match=r"azure\.webhook_tenant"):
        WebhookTokens(TENANT, "", clock, signing_key)
