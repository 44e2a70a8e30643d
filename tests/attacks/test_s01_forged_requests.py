"""S1: what Slack did not sign, or did not sign just now, is 401; what is sent again has happened already."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.lab.installation import Installation
from tests.lab.trials import Proof
from twokey.demo.company import SHOP
from twokey.demo.slack.signed_http import body_of, sign

from .doors import FORM, SLACK, Headers, ask, at_once, caught, keys, request_of, said

TYPE: Headers = [("Content-Type", FORM)]
STAMP, SIGNATURE = "X-Slack-Request-Timestamp", "X-Slack-Signature"


@pytest.fixture(scope="module")
def asked(shared: Installation) -> Any:
    """A plan that needs one more key, and Cy's signed yes to it, which nobody has sent."""
    card = shared.propose(buckets="shop-orders")
    modal = shared.modal(shared.cy, card)
    yes = caught(shared, lambda: shared.fill(shared.cy, modal, typed=SHOP))
    return shared.plan_id(card), yes, card


@pytest.fixture
def nothing_happens(shared: Installation, asked: Any) -> Iterator[None]:
    """Nothing is heard, no key turns and no write reaches the cloud during this test."""
    plan_id, _, _ = asked
    shared.quiet()

    def seen() -> Any:
        heard = [
            entry
            for entry in shared.audit()
            if entry.actor.id not in ("system:engine", "system:slack-sender")
        ]
        return len(heard), keys(shared), shared.writes(), shared.state(plan_id)

    before = seen()
    yield
    assert seen() == before


def forgeries(secret: str, body: bytes, now: int) -> dict[str, Headers]:
    """Return every way to get the two headers wrong, by name."""

    def both(stamp: str, signature: str | bytes) -> Headers:
        return [*TYPE, (STAMP, stamp), (SIGNATURE, signature)]

    def right(stamp: str) -> Headers:
        return both(stamp, sign(secret, stamp, body))

    at = str(now)
    good = sign(secret, at, body)
    made = {
        "another secret": both(at, sign("another secret", at, body)),
        "an empty secret": both(at, sign("", at, body)),
        "301 seconds old": right(str(now - 301)),
        "301 seconds ahead": right(str(now + 301)),
        "a day old": right(str(now - 86400)),
        "far in the future": right(str(now + 10**9)),
        "milliseconds": right(str(now * 1000)),
        "digits without end": right("9" * 400),
        "zero": right("0"),
        "no headers": list(TYPE),
        "no timestamp": [*TYPE, (SIGNATURE, good)],
        "no signature": [*TYPE, (STAMP, at)],
        "an empty signature": both(at, ""),
        "é": both(at, "v0=é".encode()),
        "é in Latin-1": both(at, "v0=é".encode("latin-1")),
        "an é at the end": both(at, good.encode()[:-2] + "é".encode()),
        "a version of tomorrow": both(at, good.replace("v0=", "v1=")),
        "no version": both(at, good.removeprefix("v0=")),
        "capital letters": both(at, "v0=" + good.removeprefix("v0=").upper()),
        "a short signature": both(at, good[:-1]),
        "a long signature": both(at, good + "0"),
        "nothing but the version": both(at, "v0="),
        "the signature of another body": both(at, sign(secret, at, body + b"&")),
        "the signature of another moment": both(at, sign(secret, str(now - 1), body)),
        "the body as its own signature": both(at, "v0=" + body[:64].hex()[:64]),
        "a stale timestamp before a fresh one": [
            *TYPE,
            (STAMP, str(now - 400)),
            (STAMP, at),
            (SIGNATURE, good),
        ],
        "a wrong signature before a right one": [
            *TYPE,
            (STAMP, at),
            (SIGNATURE, "v0=" + "0" * 64),
            (SIGNATURE, good),
        ],
    }
    odd = ("abc", "", "-1", "+" + at, "1e9", at + ".0", " ", "0x10", "nan", "null", "true", at + "\t" + at)
    made |= {f"odd timestamp {number}": right(stamp) for number, stamp in enumerate(odd)}
    arabic = "".join(chr(0x0660 + int(digit)) for digit in at)
    made["digits of another script"] = [
        *TYPE,
        (STAMP, arabic.encode()),
        (SIGNATURE, sign(secret, arabic, body)),
    ]
    return made


@pytest.mark.usefixtures("nothing_happens")
def test_s01_what_slack_did_not_sign_just_now_is_401(shared: Installation, asked: Any, proof: Proof) -> None:
    _, yes, _ = asked
    body, _ = body_of(yes)
    secret, bot = shared.slack.signing_secret, shared.bots[0]
    trials = proof(
        "S1", "a request that Slack did not sign just now is 401 and does nothing", ci=1, release=5
    )
    for _ in trials:
        for name in forgeries(secret, body, 0):
            while True:  # 301 seconds ahead are 300 a second later: only an answer in the same second counts
                now, began = int(time.time()), time.time()
                answer = ask(bot, SLACK, forgeries(secret, body, now)[name], body)
                if name != "301 seconds ahead" or int(time.time()) == int(began):
                    break
            assert answer.status == 401, (name, answer)
            trials.outcome("401")
        trials.count(len(forgeries(secret, body, 0)) - 1)


@pytest.mark.usefixtures("nothing_happens")
def test_s01_one_changed_byte_of_a_signed_body_is_401(shared: Installation, asked: Any, proof: Proof) -> None:
    headers, body = request_of(shared, asked[1])
    trials = proof("S1", "a signed body in which one byte was changed is 401", ci=100, release=2_000)
    for random in trials:
        place = random.randrange(len(body))
        changed = bytearray(body)
        changed[place] ^= 1 << random.randrange(8)
        assert ask(shared.bots[0], SLACK, headers, bytes(changed)).status == 401, (place, changed[place])
        trials.outcome("401")


_HEADER = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=80
)
_HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
_NOW = st.integers(-400, 400).map(lambda shift: str(int(time.time()) + shift))
_STAMPS = st.one_of(_NOW, _NOW, st.integers().map(str), _HEADER)
_SIGNATURES = st.one_of(_HEX.map("v0={}".format), _HEX.map("v0={}".format), _HEX.map("v1={}".format), _HEADER)
_MORE = st.dictionaries(
    st.sampled_from(
        ["X-Slack-Retry-Num", "X-Slack-Retry-Reason", "User-Agent", "Authorization", "Cookie", "X-A"]
    ),
    _HEADER,
    max_size=3,
)
_TYPES = st.one_of(st.sampled_from([FORM, "application/json", "text/plain", "multipart/form-data"]), _HEADER)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_BODIES = st.one_of(
    st.binary(max_size=300),
    _JSON.map(lambda value: json.dumps(value).encode()),
    _JSON.map(lambda value: b"payload=" + json.dumps(value).encode()),
    st.just(b"command=/twokey&text=list&user_id=U0BEN&team_id=T1&trigger_id=1"),
)


@pytest.mark.usefixtures("nothing_happens")
def test_s01_headers_and_bodies_made_by_chance_are_401(shared: Installation, proof: Proof) -> None:
    trials = proof("S1", "made-up headers and bodies are 401, never 5xx", ci=1_000, release=10_000)

    @seed(trials.seed)
    @settings(
        max_examples=trials.wanted, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(_STAMPS, _SIGNATURES, _TYPES, _MORE, _BODIES)
    def forged(stamp: str, signature: str, kind: str, more: dict[str, str], body: bytes) -> None:
        headers: Headers = [("Content-Type", kind.encode("latin-1"))]
        headers += [(STAMP, stamp.encode("latin-1")), (SIGNATURE, signature.encode("latin-1"))]
        headers += [(name, value.encode("latin-1")) for name, value in more.items()]
        status = ask(shared.bots[0], SLACK, headers, body).status
        trials.outcome(str(status))
        trials.count(1)
        assert status == 401

    forged()


@pytest.mark.parametrize("door", ["signed HTTP", "Socket Mode"])
def test_s01_what_is_sent_again_has_one_effect_and_one_entry(
    shared: Installation, door: str, proof: Proof
) -> None:
    """An exact copy of a signed request is good for five minutes; Slack itself repeats what was not answered."""
    world, bot = shared, shared.bots[0]

    def again(delivery: Any, times: int, together: bool) -> None:
        if door == "Socket Mode":
            delivery._transport = world.slack.socket
            acts: list[Any] = [partial(delivery._try, number, "timeout") for number in range(times)]
        else:
            headers, body = request_of(world, delivery)
            acts = [partial(ask, bot, SLACK, headers, body)] * times
        answers = at_once(acts) if together else [act() for act in acts]
        if door == "signed HTTP":
            assert {answer.status for answer in answers} == {200}

    notes: dict[str, Any] = {}
    trials = proof("S1", f"a repeat by {door} has one effect and one audit entry", ci=8, release=80)
    for random in trials:
        text = f"once only {random.getrandbits(64):x}"
        note = caught(world, partial(world.ana.command, "/twokey", f"note INC-1 {text}", world.security))
        again(note, *((3, False) if len(notes) % 2 else (12, True)))
        world.until(lambda: any(text in str(entry.data) for entry in world.audit()))  # noqa: B023
        again(note, 2, False)
        notes[text] = note
    world.quiet()
    trail = world.audit()
    for text, note in notes.items():
        noted = [entry for entry in trail if entry.action == "noted" and text in str(entry.data)]
        heard = [e for e in trail if e.action == "heard" and note.payload["trigger_id"] in str(e.data)]
        assert (len(noted), len(heard)) == (1, 1)
        trials.outcome("one effect, one entry")


def test_s01_a_key_that_is_sent_again_by_every_door_is_one_key_and_one_run(
    shared: Installation, asked: Any, proof: Proof
) -> None:
    plan_id, _, card = asked
    trials = proof("S1", "a key that is sent again by every door is one key, one entry, one run", ci=1)
    for _ in trials:
        modal = shared.modal(shared.cy, card)
        yes = caught(shared, partial(shared.fill, shared.cy, modal, typed=SHOP))
        headers, body = request_of(shared, yes)
        by_http = [partial(ask, shared.bots[0], SLACK, headers, body)] * 10
        yes._transport = shared.slack.socket
        by_socket = [partial(yes._try, number, "timeout") for number in range(10)]
        answers = at_once([*by_http, *by_socket])
        shared.ends(plan_id, "done")
        for answer in [*answers[:10], *(ask(shared.bots[0], SLACK, headers, body) for _ in range(3))]:
            assert answer.status == 200
        shared.quiet()
        assert keys(shared, plan_id) == ["p-ana", "p-cy"]
        assert [len(said(shared, plan_id, action)) for action in ("approved", "run.started")] == [1, 1]
        assert not said(shared, plan_id, "approval.refused")
        assert shared.writes() == ["PutBucketPolicy"]
        assert (
            sum(yes.payload["trigger_id"] in str(e.data) for e in shared.audit() if e.action == "heard") == 1
        )
        trials.outcome("one key, one run")
