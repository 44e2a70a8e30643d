"""R4: what cannot be understood is set aside with its reason, counted and shown; everything else goes on.

Ten thousand notifications with one in a hundred spoilt take a disk some minutes: CI sends two thousand, with the
same share, a release ten thousand, five times.
"""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from tests.lab.installation import DOOR_SECRET, Installation
from tests.lab.intake_harness import IntakeHarness, shipped_rules
from twokey.core.notices import Notice, NoticeKind
from twokey.core.responsibility import Verdict
from twokey.core.signals import NOT_TAKEN, RawNotification, RawState, Signal, raw_id
from twokey.store import open_store
from twokey.testing.clocks import SettableClock

FINDING = json.loads((Path(__file__).parents[1] / "fixtures/aws/guardduty-s3-deletion.json").read_text())
SHARE = 0.01
SOURCE = "aws.sqs:findings"
LARGE = 10 << 20
RAISES = "Poison:Rule/Raises"


class RulesThatRaise:
    """The shipped rules, with one among them that has a fault of its own."""

    def verdict(self, signal: Signal, raw: RawNotification) -> Verdict:
        if signal.type == RAISES:
            raise ZeroDivisionError("a rule has a fault")
        return shipped_rules().verdict(signal, raw)


def finding(random: Random, **detail: Any) -> dict[str, Any]:
    event = json.loads(json.dumps(FINDING))
    event["detail"] |= {"id": f"{random.getrandbits(128):032x}", **detail}
    # each about somebody else: a storm of one attacker would be one incident
    event["detail"]["resource"]["accessKeyDetails"]["accessKeyId"] = f"AKIA{random.getrandbits(60):016X}"[:20]
    return dict(event)


def good(random: Random) -> bytes:
    return json.dumps(finding(random)).encode()


def bad_json(random: Random) -> bytes:
    whole = good(random)
    return whole[: random.randint(1, len(whole) - 2)]


def bad_utf8(random: Random) -> bytes:
    whole = bytearray(good(random))
    whole[random.randrange(len(whole))] = random.choice((0xFF, 0xC0, 0xFE))
    return bytes(whole)


def too_large(random: Random) -> bytes:
    return (b'{"id": "%d", "text": "' % random.getrandbits(40)) + b"x" * LARGE  # and its end is missing


def too_deep(random: Random) -> bytes:
    return b"[" * random.randint(2_000, 200_000)


def wrong_types(random: Random) -> bytes:
    return json.dumps(
        {**FINDING, "detail": random.choice(([], [1, 2], "text", 7)), "id": str(random.random())}
    ).encode()


def nothing(random: Random) -> bytes:
    return random.choice((b"[]", b'""', b"null", b"7", b'"' + str(random.random()).encode() + b'"'))


def a_rule_that_raises(random: Random) -> bytes:
    return json.dumps(finding(random, type=RAISES)).encode()


def unknown_schema(random: Random) -> bytes:
    return json.dumps(
        {"detail-type": "Brand New", "source": "aws.new", "id": f"new-{random.random()}", "detail": {}}
    ).encode()


# what comes of it: set aside as unreadable, or (a schema nobody knows) shown as an incident that a person looks at
KINDS: tuple[tuple[Callable[[Random], bytes], RawState], ...] = (
    (bad_json, RawState.UNREADABLE),
    (bad_utf8, RawState.UNREADABLE),
    (too_large, RawState.UNREADABLE),
    (too_deep, RawState.UNREADABLE),
    (wrong_types, RawState.UNREADABLE),
    (nothing, RawState.UNREADABLE),
    (a_rule_that_raises, RawState.UNREADABLE),
    (unknown_schema, RawState.SORTED),
)


def test_one_in_a_hundred_spoilt_holds_up_nobody_and_is_shown(proof: Any, tmp_path: Path) -> None:
    trials = proof(
        "R4", "poison is set aside with its reason, counted and shown; the rest goes on", ci=1, release=5
    )
    count = 10_000 if proof.is_release else 2_000
    for number, random in enumerate(trials):
        clock = SettableClock()
        store = open_store(f"sqlite:///{tmp_path}/{number}.db", clock, migrate=True)
        try:
            sorting = IntakeHarness(store, store.jobs(), clock=clock, classifier=RulesThatRaise())
            expected = sent(random, sorting, count)
            for _ in range(12):  # what raises is tried again for some minutes, and then given up
                sorting.works()
                clock.advance(120)
            outcome(sorting, expected)
            trials.count(len(expected) - 1)
            for kind, of_it in Counter(kind for kind, _ in expected.values()).items():
                trials.outcome(kind, of_it)
            store.verify()
        finally:
            store.close()


def sent(random: Random, sorting: IntakeHarness, count: int) -> dict[str, tuple[str, RawState]]:
    """Send so many, in batches as a queue gives them; return what must come of each."""
    poison = set(random.sample(range(count), round(count * SHARE)))
    kinds = [KINDS[place % len(KINDS)] for place in range(len(poison))]
    expected: dict[str, tuple[str, RawState]] = {}
    batch: list[tuple[bytes, str, RawState]] = []
    for place in range(count):
        make, state = kinds.pop() if place in poison else (good, RawState.SORTED)
        batch.append((make(random), make.__name__, state))
        if len(batch) == 50 or place == count - 1:
            sorting.arrives(SOURCE, *(body for body, _, _ in batch))
            expected |= {raw_id(SOURCE, body): (kind, wanted) for body, kind, wanted in batch}
            batch.clear()
    return expected


def outcome(sorting: IntakeHarness, expected: dict[str, tuple[str, RawState]]) -> None:
    raws = {raw.id: raw for raw in sorting.raws()}
    assert raws.keys() == expected.keys(), "nothing is dropped, nothing is made up"
    assert {name: raw.state for name, raw in raws.items()} == {
        name: state for name, (_, state) in expected.items()
    }
    aside = [raw for raw in raws.values() if raw.state is RawState.UNREADABLE]
    assert all(raw.reason for raw in aside)
    assert {raw.id for raw in sorting.response.unreadable(limit=1_000)} == {raw.id for raw in aside}
    with sorting.store.read() as look:
        told = [n for n in look.find(Notice, limit=100_000) if n.kind is NoticeKind.UNREADABLE]
        entries = [e for e in look.audit(limit=1_000_000) if e.action == "unreadable"]
    assert {notice.context["raw_id"] for notice in told} == {raw.id for raw in aside}
    assert sorted(str(entry.data["raw"]) for entry in entries) == sorted(raw.id for raw in aside)
    wanted = {name for name, (_, state) in expected.items() if state is RawState.SORTED}
    assert {seen.signal.raw_id for seen in sorting.sightings() if seen.incident_id} == wanted
    assert sorting.engine.drain() == 0, "nothing is owed any more"


def test_a_body_that_no_door_takes_in_is_on_record_and_shown(
    worlds: Callable[..., Installation], proof: Any
) -> None:
    """Azure does not send again what was answered with 413: without a note it would be gone without a trace."""
    world = worlds(TWOKEY_SLACK_PER_SECOND="25")
    bot = world.bot()
    trials = proof("R4", "a body too large for a door is refused, noted and shown", ci=2, release=20)
    for random in trials:
        size = LARGE + random.randint(0, 1000)
        assert posted(bot.port, b"{" + b" " * size) == 413
        world.until(
            lambda size=size: any(str(size + 1) in raw.reason for raw in world.find(RawNotification)), 90
        )
        note = next(raw for raw in world.find(RawNotification) if str(size + 1) in raw.reason)
        assert note.state is RawState.UNREADABLE
        assert note.body.startswith(NOT_TAKEN.encode())
        world.until(
            lambda note=note: (
                note.id in str([world.slack.show(m, 4000) for m in world.slack.messages(world.channel)])
            ),
            90,
        )
        trials.outcome("413, and a note")
    assert world.webhook(good(Random("after"))) == 202
    world.quiet()


def posted(port: int, body: bytes) -> int:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        link.putrequest("POST", f"/azure/{DOOR_SECRET}")
        link.putheader("Content-Type", "application/json")
        link.putheader("Content-Length", str(len(body)))
        link.endheaders()  # the answer comes before the body is asked for
        return link.getresponse().status
    finally:
        link.close()
