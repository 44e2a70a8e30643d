"""S9: Azure's doors that want a token are shut for every other token, before a byte of the body is read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jwt
import pytest

from tests.lab.arm.entra import Entra, new_key, public_pem
from tests.lab.installation import DOOR_SECRET, Installation, installed
from tests.lab.trials import Proof
from twokey.core.signals import RawNotification
from twokey.demo.bot import Bot
from twokey.demo.emulators import Ministack
from twokey.providers.azure.entra import ACTION_GROUPS_APP, EVENT_GRID_APP, EVENT_GRID_ROLE

from .doors import Answered, ask

OTHER_TENANT = "11111111-0000-0000-0000-000000000000"
EVENTS_SECRET = "event-door-secret-that-is-long-enough-0002-abcdef"
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
WEBHOOK, EVENTS = f"/azure/{DOOR_SECRET}", f"/azure/events/{EVENTS_SECRET}"
BODY = b'{"schemaId": "azureMonitorCommonAlertSchema", "data": {}}'
EVENT = json.dumps(
    [
        {
            "id": "1",
            "topic": f"/subscriptions/{SUBSCRIPTION}",
            "eventType": "x",
            "eventTime": "2026-01-01",
            "data": {},
        }
    ]
).encode()
ACCEPTED = {WEBHOOK: 202, EVENTS: 200}


@dataclass
class Doors:
    entra: Entra
    world: Installation
    bot: Bot

    def ask(self, path: str, authorization: str | bytes | None, body: bytes | None = None) -> Answered:
        headers: list[tuple[str, str | bytes]] = [("Content-Type", "application/json")]
        if authorization is not None:
            headers.append(("Authorization", authorization))
        return ask(self.bot, path, headers, body or (EVENT if path == EVENTS else BODY))

    def stored(self) -> int:
        with self.world.record.read() as look:
            return len([raw for raw in look.find(RawNotification, limit=5000) if raw.provider == "azure"])

    def bearer(self, path: str = WEBHOOK, **changed: Any) -> str:
        """Return what Azure would send to a door, but for what is changed."""
        events = {"azp": EVENT_GRID_APP, "roles": [EVENT_GRID_ROLE]} if path == EVENTS else {}
        return "Bearer " + self.entra.token(int(time.time()), **{**events, **changed})


@pytest.fixture(scope="module")
def doors(aws: Ministack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """A bot as a process of its own, whose authority is a fake Entra over TLS."""
    with Entra() as entra:
        settings = {
            "TWOKEY_AZURE_WEBHOOK_AUDIENCE": "api://twokey,22222222-3333-4444-5555-666666666666",
            "TWOKEY_AZURE_WEBHOOK_TENANT": entra.tenant.upper(),
            "TWOKEY_AZURE_AUTHORITY": entra.base_url,
            "TWOKEY_REHEARSAL": "1",
            "TWOKEY_AZURE_EVENT_GRID": f"grid={EVENTS_SECRET}",
            "TWOKEY_AZURE_EVENT_GRID_TOPICS": f"/subscriptions/{SUBSCRIPTION}",
            "SSL_CERT_FILE": entra.ca_bundle,
        }
        with installed(tmp_path_factory.mktemp("s09"), aws, "", settings) as world:
            yield Doors(entra, world, world.bot())


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unsigned(doors: Doors, header: dict[str, Any], signature: str = "") -> str:
    return f"Bearer {part(header)}.{part(doors.entra.claims(int(time.time())))}.{signature}"


def confused(doors: Doors) -> str:
    """Sign with the public key as if it were a shared secret."""
    signed = f"{part({'alg': 'HS256', 'kid': 'key-1'})}.{part(doors.entra.claims(int(time.time())))}"
    secret = public_pem(doors.entra.keys["key-1"])
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"Bearer {signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def with_header(doors: Doors, **header: Any) -> str:
    """Return a token that the attacker signed, and that says where its key is to be found."""
    claims = doors.entra.claims(int(time.time()))
    return "Bearer " + jwt.encode(claims, STRANGER, algorithm="RS256", headers={"kid": "key-1", **header})


STRANGER = new_key()
NOW = time.time
Forged = Callable[[Doors], "str | bytes | None"]
TOKENS: dict[str, Forged] = {
    "no header": lambda doors: None,
    "empty": lambda doors: "",
    "not a token": lambda doors: "Bearer a.b",
    "basic": lambda doors: "Basic eDp5",
    "not ASCII": lambda doors: "Bearer é.é.é".encode("latin-1"),
    "too long": lambda doors: "Bearer " + "x" * 5000 + "." + "y" * 5000 + ".z",
    "two tokens": lambda doors: doors.bearer() + ", " + doors.bearer(),
    "alg none": lambda doors: unsigned(doors, {"alg": "none", "kid": "key-1"}),
    "alg None": lambda doors: unsigned(doors, {"alg": "None", "kid": "key-1"}, "AA"),
    "alg missing": lambda doors: unsigned(doors, {"kid": "key-1"}, "AA"),
    "HS256 with the public key": confused,
    "RS512": lambda doors: (
        "Bearer "
        + jwt.encode(
            doors.entra.claims(int(NOW())),
            doors.entra.keys["key-1"],
            algorithm="RS512",
            headers={"kid": "key-1"},
        )
    ),
    "a stranger's signature": lambda doors: doors.bearer(key=STRANGER),
    "signature cut": lambda doors: doors.bearer()[:-20],
    "claims changed": lambda doors: ".".join(
        [
            (parts := doors.bearer().split("."))[0],
            part(doors.entra.claims(int(NOW()), roles=["Owner", "x"])),
            parts[2],
        ]
    ),
    "jku": lambda doors: with_header(doors, jku="https://evil.example/keys"),
    "x5u": lambda doors: with_header(doors, x5u="https://evil.example/c.pem"),
    "jwk": lambda doors: with_header(
        doors, jwk=jwt.algorithms.RSAAlgorithm.to_jwk(STRANGER.public_key(), as_dict=True)
    ),
    "kid missing": lambda doors: doors.bearer(kid=None),
    "kid unknown": lambda doors: doors.bearer(kid="other"),
    "kid path": lambda doors: unsigned(doors, {"alg": "RS256", "kid": "../../../../etc/passwd"}, "AA"),
    "kid URL": lambda doors: unsigned(doors, {"alg": "RS256", "kid": "https://evil.example/key"}, "AA"),
    "kid SQL": lambda doors: unsigned(doors, {"alg": "RS256", "kid": "key-1' or '1'='1"}, "AA"),
    "kid number": lambda doors: unsigned(doors, {"alg": "RS256", "kid": 7}, "AA"),
    "kid list": lambda doors: unsigned(doors, {"alg": "RS256", "kid": ["key-1"]}, "AA"),
    "kid NUL": lambda doors: unsigned(doors, {"alg": "RS256", "kid": "key-1\x00"}, "AA"),
    "kid long": lambda doors: unsigned(doors, {"alg": "RS256", "kid": "k" * 4000}, "AA"),
    "aud of another": lambda doors: doors.bearer(aud="api://somebody-else"),
    "aud missing": lambda doors: doors.bearer(aud=None),
    "aud of Resource Manager": lambda doors: doors.bearer(aud="https://management.azure.com"),
    "iss of another tenant": lambda doors: doors.bearer(iss=f"{doors.entra.base_url}/{OTHER_TENANT}/v2.0"),
    "iss of another tenant, version 1": lambda doors: doors.bearer(
        iss=f"https://sts.windows.net/{OTHER_TENANT}/"
    ),
    "iss elsewhere": lambda doors: doors.bearer(iss=f"https://evil.example/{doors.entra.tenant}/v2.0"),
    "iss beginning alike": lambda doors: doors.bearer(
        iss=f"{doors.entra.base_url}.evil.example/{doors.entra.tenant}/v2.0"
    ),
    "iss missing": lambda doors: doors.bearer(iss=None),
    "tid of another tenant": lambda doors: doors.bearer(tid=OTHER_TENANT),
    "tid missing": lambda doors: doors.bearer(tid=None),
    "expired": lambda doors: doors.bearer(exp=int(NOW()) - 600),
    "exp missing": lambda doors: doors.bearer(exp=None),
    "exp in words": lambda doors: doors.bearer(exp="tomorrow"),
    "exp a list": lambda doors: doors.bearer(exp=[9999999999]),
    "not yet valid": lambda doors: doors.bearer(nbf=int(NOW()) + 600),
    "nbf missing": lambda doors: doors.bearer(nbf=None),
    "role missing": lambda doors: doors.bearer(roles=None),
    "another role": lambda doors: doors.bearer(roles=["Reader"]),
    "role as text": lambda doors: doors.bearer(
        roles="ActionGroupsSecureWebhook AzureEventGridSecureWebhookSubscriber"
    ),
    "another application": lambda doors: doors.bearer(azp="33333333-0000-0000-0000-000000000000"),
    "application missing": lambda doors: doors.bearer(azp=None),
    "application as text in sub": lambda doors: doors.bearer(azp=None, sub=ACTION_GROUPS_APP),
    "application as a list": lambda doors: doors.bearer(azp=[ACTION_GROUPS_APP, EVENT_GRID_APP]),
}


@pytest.mark.parametrize("path", [WEBHOOK, EVENTS], ids=["webhook", "event grid"])
def test_only_azures_own_token_for_this_door_opens_it(doors: Doors, path: str, proof: Proof) -> None:
    """Each line of the table is wrong in one thing, and 401; nothing of it is stored."""
    before = doors.stored()
    trials = proof("S9", "an Azure door opens for Azure's own token and for no other", ci=len(TOKENS))
    for (name, forged), _ in zip(TOKENS.items(), trials, strict=True):
        answered = doors.ask(path, forged(doors))
        trials.outcome(str(answered.status))
        assert answered.status == 401, name
    assert doors.stored() == before
    good = [
        doors.bearer(path),
        doors.bearer(path, aud="22222222-3333-4444-5555-666666666666"),
        doors.bearer(
            path,
            iss=f"https://sts.windows.net/{doors.entra.tenant}/",
            azp=None,
            appid=(EVENT_GRID_APP if path == EVENTS else ACTION_GROUPS_APP).upper(),
            ver="1.0",
        ),
    ]
    assert [doors.ask(path, token).status for token in good] == [ACCEPTED[path]] * 3


def test_a_token_for_one_door_does_not_open_the_other(doors: Doors) -> None:
    assert doors.ask(WEBHOOK, doors.bearer(EVENTS)).status == 401
    assert doors.ask(EVENTS, doors.bearer(WEBHOOK)).status == 401


def test_a_good_token_without_the_secret_opens_nothing(doors: Doors) -> None:
    assert doors.ask(f"/azure/{'x' * 40}", doors.bearer()).status == 404
    assert doors.ask(f"/azure/events/{DOOR_SECRET}", doors.bearer(EVENTS)).status == 404
    assert doors.ask(f"/azure/{EVENTS_SECRET}", doors.bearer()).status == 404


@pytest.mark.parametrize("path", [WEBHOOK, EVENTS], ids=["webhook", "event grid"])
def test_a_wrong_token_is_answered_before_any_of_the_body_has_come(doors: Doors, path: str) -> None:
    """The head promises a megabyte and sends none of it."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\nAuthorization: Bearer a.b.c\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", doors.bot.port), timeout=60) as link:
        link.sendall(head.encode())
        assert link.recv(64).startswith(b"HTTP/1.1 401")


def test_the_handshakes_want_the_token_too(doors: Doors) -> None:
    origin: tuple[str, str | bytes] = ("WebHook-Request-Origin", "eventgrid.azure.net")
    assert ask(doors.bot, EVENTS, [origin], method="OPTIONS").status == 401
    granted = ask(doors.bot, EVENTS, [origin, ("Authorization", doors.bearer(EVENTS))], method="OPTIONS")
    assert (granted.status, granted.headers["webhook-allowed-origin"]) == (200, "eventgrid.azure.net")


def test_a_flood_of_unknown_keys_does_not_become_a_flood_at_the_authority(doors: Doors, proof: Proof) -> None:
    doors.ask(WEBHOOK, doors.bearer())  # the keys are known from here on
    before, started = doors.entra.key_reads, time.monotonic()
    trials = proof("S9", "tokens with unknown keys do not flood the key endpoint", ci=200, release=2000)
    for number, _ in enumerate(trials):
        assert doors.ask(WEBHOOK, doors.bearer(kid=f"unknown-{number}", key=STRANGER)).status == 401
    reads, minutes = doors.entra.key_reads - before, (time.monotonic() - started) / 60
    assert reads <= 2 + minutes  # once a minute at the most, however many ask
    assert doors.ask(WEBHOOK, doors.bearer()).status == 202
