"""Whatever is thrown at the doors is answered, kept and shown, or turned away; the bot goes on."""

from __future__ import annotations

import http.client
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from twokey.core.signals import RawNotification, RawState
from twokey.demo import notifications
from twokey.demo.slack.signed_http import sign

FORM = "application/x-www-form-urlencoded"


def post(world: Any, headers: dict[str, str], body: bytes = b"payload=%7B%7D") -> int:
    link = http.client.HTTPConnection("127.0.0.1", world.bots[0].port, timeout=10)
    try:
        link.putrequest("POST", "/slack/events")
        for name, value in ({"Content-Type": FORM, "Content-Length": str(len(body))} | headers).items():
            link.putheader(name, value.encode("utf-8"))
        link.endheaders(body)
        return link.getresponse().status
    finally:
        link.close()


@pytest.mark.parametrize(
    ("stamp", "signature"),
    [
        ("abc", "right"),
        ("", "right"),
        ("-1", "right"),
        ("１２３", "right"),
        ("9" * 400, "right"),
        ("1e9", "right"),
        ("now", "v0=sïgnature-é"),
        ("now", ""),
        ("now", "v0="),
        ("now", "v0=" + "0" * 64),
        ("now", "v0=" + "Z" * 64),
    ],
)
def test_a_request_that_is_not_signed_as_slack_signs_is_401(shared: Any, stamp: str, signature: str) -> None:
    body = b"payload=%7B%7D"
    stamp = str(int(datetime.now(UTC).timestamp())) if stamp == "now" else stamp
    signature = sign(shared.slack.signing_secret, stamp, body) if signature == "right" else signature
    headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}
    assert post(shared, headers, body) == 401
    assert post(shared, {}, body) == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload=",
        b"payload=%7B",
        b"payload=[]",
        b"payload=null",
        urlencode({"payload": json.dumps({"type": "block_actions"})}).encode(),
        urlencode({"payload": json.dumps({"type": "view_submission", "view": 3})}).encode(),
        urlencode({"payload": "[" * 20_000}).encode(),
        b"\xff\xfe%00",
    ],
)
def test_a_signed_request_of_no_known_shape_is_never_a_500(shared: Any, body: bytes) -> None:
    stamp = str(int(datetime.now(UTC).timestamp()))
    signature = sign(shared.slack.signing_secret, stamp, body)
    status = post(shared, {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}, body)
    assert status < 500, status


def test_a_body_that_cannot_be_read_is_kept_and_shown_and_the_bot_goes_on(shared: Any) -> None:
    world = shared
    bodies = [
        b"not json at all <!channel>",
        b'{"schemaId": "azureMonitorCommonAlertSchema", "data": "\xff\xfe"}',
        b"[" * 50_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        b"\x00\x01\x02",
        b'{"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": 7}}',
        b'"\\ud800"',
        b"{}",
        b"null",
        b'{"n": 1e999, "m": NaN}',
    ]
    for body in bodies:
        assert world.webhook(body) == 202
    assert world.webhook(b"x" * (10 << 20)) in (413, None)
    assert world.webhook(b"") in (202, 400)
    good = notifications.planned_maintenance(datetime.now(UTC)).encode()
    assert world.webhook(good) == 202
    world.quiet(60)
    kept = {raw.body: raw for raw in world.find(RawNotification)}
    assert set(bodies) <= set(kept)
    shown = "\n".join(world.slack.show(m, 4000) for m in world.slack.messages(world.channel))
    for body in bodies:
        raw = kept[body]
        assert raw.state is not RawState.NEW
        if raw.state is RawState.UNREADABLE:
            assert raw.reason
            assert raw.id[:12] in shown, body[:40]
    unreadable = [raw for raw in kept.values() if raw.state is RawState.UNREADABLE]
    assert len(unreadable) >= 8, {body[:30]: kept[body].state for body in bodies}
    assert kept[good].state is RawState.SORTED
    assert not any(len(raw.body) >= 10 << 20 for raw in kept.values())
    assert world.readiness()["ready"]
    world.harmless()
    ours = [line for line in world.log().splitlines() if "Traceback" in line and "slack_bolt" not in line]
    assert not ours, ours


def test_a_message_in_the_queue_that_cannot_be_read_is_taken_out_kept_and_shown(shared: Any) -> None:
    world = shared
    world.company.notify(["not json", '{"detail-type": "GuardDuty Finding", "detail": 5}', "[" * 5000])
    world.until(lambda: not world.queued())
    world.quiet(60)
    states = {raw.body: raw.state for raw in world.find(RawNotification)}
    assert states[b"not json"] is RawState.UNREADABLE
    assert states[b"[" * 5000] is RawState.UNREADABLE
    assert world.readiness()["ready"]
