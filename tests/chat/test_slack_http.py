"""S1: forged, stale, garbled and replayed requests at the signed HTTP door."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twokey.chat.slack.http_door import is_signed
from twokey.demo.slack import as_text
from twokey.demo.slack.signed_http import sign


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    parts = urlsplit(url)
    link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        link.putrequest("POST", parts.path)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            link.putheader(name, value.encode("utf-8"))
        with suppress(BrokenPipeError):  # who refuses by the head answers before all of the body is sent
            link.endheaders(body)
        return link.getresponse().status
    finally:
        link.close()


def form(world: Any, text: str = "whoami", trigger: str = "1.2.abc") -> bytes:
    fields = {
        "command": "/twokey",
        "text": text,
        "user_id": world.people["ana"].id,
        "team_id": world.slack.team_id,
        "channel_id": world.channel.id,
        "trigger_id": trigger,
    }
    return urlencode(fields).encode()


def signed(world: Any, body: bytes, at: float | None = None) -> dict[str, str]:
    stamp = str(int(time.time() if at is None else at))
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": sign(world.slack.signing_secret, stamp, body),
    }


def test_s1_bad_requests_are_401_and_never_500(make_world: Any) -> None:
    world = make_world()
    url = world.serve_http()
    body = form(world)
    now = time.time()
    good = signed(world, body)
    bad: list[dict[str, str]] = [
        {**good, "X-Slack-Signature": "v0=" + "0" * 64},
        {**good, "X-Slack-Signature": "v0=é"},
        {**good, "X-Slack-Signature": ""},
        {**good, "X-Slack-Request-Timestamp": "abc"},
        {**good, "X-Slack-Request-Timestamp": ""},
        {**good, "X-Slack-Request-Timestamp": "²"},
        {**good, "X-Slack-Request-Timestamp": "1e9"},
        {**good, "X-Slack-Request-Timestamp": "-5"},
        {**good, "X-Slack-Request-Timestamp": "9" * 400},
        {name: value for name, value in good.items() if name != "X-Slack-Signature"},
        {name: value for name, value in good.items() if name != "X-Slack-Request-Timestamp"},
        signed(world, body, now - 301),
        signed(world, body, now + 302),
        signed(world, body + b"&user_id=U0APPROVER"),
    ]
    assert [post(url, body, headers) for headers in bad] == [401] * len(bad)
    assert {entry.action for entry in world.store.entries} <= {"heard"}
    assert post(url, body, good) == 200


ODD: list[Any] = [
    {},
    {"type": "block_actions"},
    {"type": "block_actions", "actions": []},
    {"type": "block_actions", "actions": [{"action_id": "plan_review"}]},
    {"type": "view_submission"},
    {"type": "view_submission", "view": {"callback_id": "plan_approve", "private_metadata": "[1]"}},
    {"type": "view_submission", "view": {"callback_id": "plan_approve", "state": {"values": 7}}},
    {"type": "event_callback", "event": 7},
    {"type": "shortcut", "callback_id": "none"},
]


def test_s1_a_signed_body_of_no_known_shape_is_400_or_404_and_does_nothing(make_world: Any) -> None:
    world = make_world()
    url = world.serve_http()
    shapes = [b"", b"\xff\xfe", b"payload={", b"payload=[]", b"payload=" + b"[" * 20_000, b"x" * 1000]
    shapes += [b"payload=" + json.dumps(shape).encode() for shape in ODD]
    statuses = [post(url, body, signed(world, body)) for body in shapes]
    assert all(status in (200, 400, 404) for status in statuses), statuses
    assert {entry.action for entry in world.store.entries} <= {"heard", "review.refused", "approval.refused"}


def test_a_body_larger_than_slack_sends_is_413(make_world: Any) -> None:
    world = make_world()
    url = world.serve_http()
    body = b"x" * (1024 * 1024 + 1)
    assert post(url, body, signed(world, body)) == 413


def test_s1_an_exact_replay_changes_nothing(make_world: Any) -> None:
    world = make_world()
    url = world.serve_http()
    world.incident()
    body = form(world, "ack INC-1")
    headers = signed(world, body)
    assert [post(url, body, headers) for _ in range(3)] == [200, 200, 200]
    world.slack.wait_for(lambda: [e for e in world.store.entries if e.action == "acknowledged"])
    time.sleep(0.2)
    assert [e.action for e in world.store.entries if e.action.startswith(("heard", "acknowledged"))] == [
        "heard",
        "acknowledged",
    ]


def test_the_whole_way_works_over_http(make_world: Any) -> None:
    world = make_world()
    world.slack.via_http(world.serve_http())
    world.send()
    world.incident()
    card = world.said()[0]
    delivery = world.people["ana"].click(card, "incident_acknowledge")
    assert delivery.acked
    assert "You are on INC-1" in as_text(world.told("ana")[0])
    world.people["ana"].click(card, "incident_contain")
    world.people["ana"].submit(
        world.modal("ana", "contain_choose"), {"runbook": "aws.disable-leaked-access-key"}
    )
    world.modal("ana", "contain_propose")


def test_slack_verifies_the_address_with_a_challenge(make_world: Any) -> None:
    world = make_world()
    url = world.serve_http()
    body = json.dumps({"type": "url_verification", "challenge": "abc"}).encode()
    headers = {**signed(world, body), "Content-Type": "application/json"}
    assert post(url, body, headers) == 200


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40), st.text(max_size=90), st.binary(max_size=60))
def test_s1_no_made_up_header_is_ever_signed_or_raises(stamp: str, signature: str, body: bytes) -> None:
    headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature}
    assert is_signed(headers, body, "a secret", 1_700_000_000.0) is False


@pytest.mark.parametrize("secret", ["", "s"])
def test_without_a_secret_nothing_is_signed(secret: str) -> None:
    stamp = "1700000000"
    headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": sign("", stamp, b"x")}
    assert not is_signed(headers, b"x", secret, 1_700_000_000.0)
