"""S20: whatever is sent to any address of the program, it is answered, never with 5xx, and the program goes on."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import urlencode

from tests.lab.installation import DOOR_SECRET, Installation
from tests.lab.trials import Proof

from .addresses import METHODS, addresses
from .doors import FORM, Headers, all_served, ask, keys, signed

SECRETS = (*(f"{DOOR_SECRET}{number}" for number in ("", "-2", "-3")), "x" * 40, "..", "%00", "é" * 20)
TYPES = (
    *("application/json", FORM, "text/plain", "multipart/form-data; boundary=b", "multipart/form-data", ""),
    *(
        "application/json; charset=utf-16",
        "application/xml",
        "application/cloudevents+json",
        "image/png",
        "é",
    ),
)
DEEP = b"[" * 10_000 + b"]" * 10_000


def text(random: Random) -> str:
    """Return text that a careless reader stumbles over."""
    return random.choice(
        ("", "x", "plan-1", "\x00", "\ud800", "\u202e", "é" * 50, "9" * 400, "-1", "../..", "${{ x }}", "{{7*7}}", "INC-1",
         "<!channel>", "plan_approve", "view_submission", "block_actions", "NaN", "1e999", "\U0001f600", "a" * 5000)
    )  # fmt: skip


def value(random: Random, depth: int = 4) -> Any:
    """Return some JSON."""
    kind = random.randrange(8 if depth else 6)
    match kind:
        case 0:
            return None
        case 1:
            return random.choice((True, False))
        case 2:
            return random.choice((0, -1, 2**63, 10**30, 1.5, float("inf"), float("nan")))
        case 3 | 4 | 5:
            return text(random)
        case 6:
            return [value(random, depth - 1) for _ in range(random.randrange(4))]
    return {text(random): value(random, depth - 1) for _ in range(random.randrange(4))}


def spoiled(random: Random, document: Any) -> Any:
    """Return a document of a known shape with one thing in it replaced, taken away or doubled."""
    if isinstance(document, dict) and document and random.random() < 0.8:
        name = random.choice([*document])
        match random.randrange(6):
            case 0:
                return {key: inner for key, inner in document.items() if key != name}
            case 1:
                return document | {name: value(random)}
        return document | {name: spoiled(random, document[name])}
    if isinstance(document, list) and document and random.random() < 0.8:
        place = random.randrange(len(document))
        return [*document[:place], spoiled(random, document[place]), *document[place + 1 :]]
    return value(random)


def shapes(world: Installation) -> list[Any]:
    """Return what really comes: one of each kind that Slack and the clouds send."""
    mine = {"team": {"id": world.slack.team_id}, "user": {"id": "U0CY", "team_id": world.slack.team_id}}
    view = {"id": "V1", "hash": "1", "callback_id": "plan_approve", "private_metadata": '{"plan": "plan-1"}'}
    view["state"] = {"values": {"typed": {"typed": {"type": "plain_text_input", "value": "x"}}}}  # type: ignore[assignment]
    press = {
        "action_id": "plan_review",
        "block_id": "approval:1",
        "value": "plan-1",
        "type": "button",
        "action_ts": "1",
    }
    container = {"type": "message", "message_ts": "1.1", "channel_id": world.security.id}
    return [
        mine | {"type": "block_actions", "actions": [press], "container": container, "trigger_id": "1"},
        mine | {"type": "view_submission", "view": view, "trigger_id": "1"},
        mine | {"type": "view_closed", "view": view},
        mine | {"type": "shortcut", "callback_id": "x", "trigger_id": "1"},
        mine | {"type": "message_action", "callback_id": "x", "message": {"ts": "1"}, "channel": {"id": "C1"}},
        mine | {"type": "block_suggestion", "action_id": "x", "block_id": "y", "value": "z"},
        {"type": "event_callback", "team_id": world.slack.team_id, "event_id": "Ev1",
         "event": {"type": "app_mention", "user": "U0CY", "text": "<@U0BOT> list", "channel": "C1", "ts": "1.1"}},
        {"type": "url_verification", "challenge": "x"},
        {"command": "/twokey", "text": "list", "user_id": "U0CY", "team_id": world.slack.team_id, "trigger_id": "1"},
        {"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": {"alertId": "/x"}, "alertContext": {}}},
        [{"id": "1", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "1"}}],
        {"Type": "Notification", "TopicArn": "arn:aws:sns:eu-central-1:111111111111:twokey", "Message": "{}",
         "MessageId": "1", "SignatureVersion": "2", "Signature": "eA==", "Timestamp": "2026-01-01T00:00:00.000Z",
         "SigningCertURL": "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem"},
        {"version": "0", "id": "1", "detail-type": "GuardDuty Finding", "source": "aws.guardduty", "detail": {}},
    ]  # fmt: skip


def body(random: Random, world: Installation) -> bytes:
    """Return some body: bytes, JSON of a known shape gone wrong, JSON of none, or a form."""
    document = random.choice((value, lambda r: spoiled(r, r.choice(shapes(world)))))(random)
    if random.random() < 0.15:
        return random.choice(
            (b"", random.randbytes(random.randrange(300)), DEEP, b'{"a":' * 5000, b"\xff\xfe{", b"payload=")
        )
    raw = json.dumps(document).encode("utf-8", "surrogatepass")
    match random.randrange(4):
        case 0:
            return b"payload=" + urlencode({"": document_text(document)}).encode()[1:]
        case 1 if isinstance(document, dict):
            fields = {
                str(k).encode("utf-8", "surrogatepass"): str(v).encode("utf-8", "surrogatepass")
                for k, v in document.items()
            }
            return urlencode(fields).encode()
        case 2:
            return raw[: random.randrange(len(raw) + 1)]
    return raw


def document_text(document: Any) -> str:
    return json.dumps(document)


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "identity": lambda raw: raw,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda raw: raw,
    "gzip, gzip": lambda raw: gzip.compress(gzip.compress(raw)),
    "nonsense": lambda raw: raw,
}


def headers(random: Random, encoding: str) -> Headers:
    """Return some headers, a few of them with a meaning."""
    made: Headers = [("Content-Type", random.choice(TYPES).encode("latin-1"))]
    if encoding != "identity":
        made.append(("Content-Encoding", encoding))
    more: Headers = [
        ("Authorization", random.choice(("", "Bearer", "Bearer x.y.z", "Basic eDp5", "Bearer " + "a" * 5000, f"Bearer {text(random)!r}"))),
        ("X-Api-Key", f"{DOOR_SECRET}-4"),
        ("x-amz-sns-message-type", random.choice(("Notification", "SubscriptionConfirmation", "x", ""))),
        ("aeg-event-type", random.choice(("SubscriptionValidation", "Notification", "Unsubscribe", ""))),
        ("WebHook-Request-Origin", random.choice(("eventgrid.azure.net", "evil.example", ""))),
        ("Expect", "100-continue"),
        ("Range", "bytes=0-"),
        ("X-Slack-Retry-Num", random.choice(("1", "x", "-1"))),
        ("X-Slack-Request-Timestamp", random.choice((str(int(time.time())), "x", ""))),
        ("X-Slack-Signature", random.choice(("v0=" + "0" * 64, "", "x"))),
        ("Host", random.choice(("evil.example", "localhost", "", "[::1]"))),
    ]  # fmt: skip
    return made + random.sample([one for one in more if _is_sendable(one[1])], 4)


def _is_sendable(text_: str | bytes) -> bool:
    return isinstance(text_, bytes) or (text_.isascii() and text_.isprintable())


def test_s20_no_request_to_any_address_is_answered_with_5xx(shared: Installation, proof: Proof) -> None:
    world, bot = shared, shared.bots[0]
    known = addresses(world)
    trials = proof("S20", "made-up requests to every address and method: no 5xx", ci=800, release=30_000)
    for random in trials:
        address = random.choice(known)
        method = random.choice(METHODS) if random.random() < 0.3 else random.choice(address.methods)
        path = address.filled(random.choice(SECRETS)).encode("ascii", "ignore").decode() + random.choice(
            ("", "", "?a=b", "?", "#x")
        )
        encoding = random.choice([*ENCODINGS]) if random.random() < 0.2 else "identity"
        raw = ENCODINGS[encoding](body(random, world))
        status = ask(bot, path, headers(random, encoding), raw, method).status
        assert status < 500, (method, path, encoding, raw[:300])
        trials.outcome("no answer" if status == 0 else f"{status // 100}xx")
    goes_on(world)


def test_s20_no_signed_request_of_any_shape_is_answered_with_5xx(shared: Installation, proof: Proof) -> None:
    """As if Slack itself had gone mad: the signature is right, and nothing else."""
    world, bot = shared, shared.bots[0]
    before = keys(world)
    trials = proof("S20", "signed requests of any shape: no 5xx, no key", ci=300, release=10_000)
    for random in trials:
        kind, raw = (
            as_slack_would(random, world)
            if random.random() < 0.8
            else (random.choice(TYPES), body(random, world))
        )
        extra = [one for one in signed(world.slack.signing_secret, raw) if one[0] != "Content-Type"]
        status = ask(bot, "/slack/events", [("Content-Type", kind.encode("latin-1")), *extra], raw).status
        assert 0 < status < 500, raw[:500]
        trials.outcome(f"{status // 100}xx")
    goes_on(world)
    assert keys(world) == before


def as_slack_would(random: Random, world: Installation) -> tuple[str, bytes]:
    """Return a known shape with one or two things wrong, in the form in which Slack sends that shape."""
    document = random.choice(shapes(world)[:9])
    for _ in range(random.randrange(3)):
        document = spoiled(random, document)
    if isinstance(document, dict) and ("command" in document or "event" in document):
        if "event" in document:
            return "application/json", json.dumps(document).encode()
        return FORM, urlencode(document, errors="surrogatepass").encode()
    return FORM, urlencode({"payload": json.dumps(document)}).encode()


def goes_on(world: Installation) -> None:
    """The program is well, has dropped nothing, and has put no fault on people's screens."""
    assert world.bots[0].is_running
    world.until(lambda: world.readiness()["ready"])
    world.until(lambda: all_served(world))
    note = f"still here {time.time()}"
    world.ana.command("/twokey", f"note INC-1 {note}", world.security)
    world.until(lambda: any(note in str(entry.data) for entry in world.audit()))
    world.proven()
