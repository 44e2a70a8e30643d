"""R5: whatever Slack does, nothing is lost, a thread keeps its order, and what stands twice says so.

The sender and its HTTP client are real, Slack is a server on the loopback. Time is driven: a Retry-After of a minute
costs no minute, and that it is obeyed is read from the fake's own log.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

import pytest

from tests.lab.installation import Installation
from tests.lab.outbox_harness import DrivenClock, OutboxHarness, drive
from twokey.core.notices import NoticeKind
from twokey.demo.slack import BackgroundLoop, FakeSlack

AT_ONCE = 10  # trials that share the machine and the clock
CALL_S = 2.0


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as running:
        yield running


@pytest.fixture
def loop() -> Iterator[BackgroundLoop]:
    with BackgroundLoop("bots") as running:
        yield running


def batches(trials: Iterable[Random]) -> Iterator[list[Random]]:
    every = iter(trials)
    while batch := list(itertools.islice(every, AT_ONCE)):
        yield batch


def talk(random: Random, harness: OutboxHarness) -> None:
    """Owe cards, lines and updates of two or three incidents, interleaved."""
    names = [harness.opens(number) for number in range(1, random.randint(2, 3) + 1)]
    for number in range(random.randint(4, 8)):
        name = random.choice(names)
        harness.tells(name, f"line {number} of {name}.")
        if random.random() < 0.3:
            harness.changes(name)


# The faults: each puts itself in the way of one harness, and returns how many answers may be lost by it

Way = Callable[[Random, FakeSlack, OutboxHarness], int]


def rate_limited(random: Random, slack: FakeSlack, harness: OutboxHarness) -> int:
    for _ in range(random.randint(1, 4)):
        slack.faults.rate_limited(
            random.choice(("chat.postMessage", "chat.*")),
            retry_after=random.choice((1, 2, 7, 30, 61)),
            times=random.randint(1, 2),
            channel=harness.channel.id,
        )
    return 0


def server_errors(random: Random, slack: FakeSlack, harness: OutboxHarness) -> int:
    slack.faults.server_error(
        "chat.*",
        status=random.choice((500, 502, 503)),
        times=random.randint(1, 9),
        channel=harness.channel.id,
    )
    return 0


def timeouts(random: Random, slack: FakeSlack, harness: OutboxHarness) -> int:
    slack.faults.hang("chat.postMessage", delay=CALL_S * 2, times=1, channel=harness.channel.id)
    return 1


def lost_replies(random: Random, slack: FakeSlack, harness: OutboxHarness) -> int:
    slack.faults.lose_reply("chat.postMessage", times=1, channel=harness.channel.id)
    return 1


def cut_requests(random: Random, slack: FakeSlack, harness: OutboxHarness) -> int:
    times = random.randint(1, 3)
    slack.faults.cut("chat.*", times=times, channel=harness.channel.id)
    return times  # not done, but nobody can know: the repeat is marked all the same


def revoked_token(random: Random, slack: FakeSlack, harness: OutboxHarness) -> int:
    error = random.choice(("token_revoked", "invalid_auth", "missing_scope", "account_inactive"))
    slack.faults.refuse("chat.*", error, times=random.randint(1, 12), channel=harness.channel.id)
    return 0


def archived_channel(random: Random, slack: FakeSlack, harness: OutboxHarness) -> int:
    error = random.choice(("is_archived", "channel_not_found", "not_in_channel", "restricted_action"))
    slack.faults.refuse("chat.*", error, times=random.randint(1, 12), channel=harness.channel.id)
    return 0


WAYS: tuple[Way, ...] = (
    rate_limited,
    server_errors,
    timeouts,
    lost_replies,
    cut_requests,
    revoked_token,
    archived_channel,
)


def lines_of(harness: OutboxHarness, incident: str) -> list[str]:
    """Return an incident's lines as they stand in its thread, repeats included."""
    cards = {
        m.ts for m in harness.stands() if not m.is_reply and f"· {incident} ·" in harness.slack.show(m, 4000)
    }  # two, where the answer about the first one was lost
    told = [m for m in harness.stands() if m.is_reply and m.thread_ts in cards]
    found = [re.search(r"line \d+ of INC-\d+\.", harness.slack.show(m, 4000)) for m in told]
    return [match[0] for match in found if match]


def order_is_kept(harness: OutboxHarness) -> None:
    for incident, lines in harness.lines.items():
        assert list(dict.fromkeys(lines_of(harness, incident))) == lines, incident


def repeats(harness: OutboxHarness) -> int:
    lines = [line for incident in harness.lines for line in lines_of(harness, incident)]
    cards = [m for m in harness.stands() if not m.is_reply]
    return len(lines) - len(set(lines)) + len(cards) - len(harness.lines)


def pauses_are_kept(harness: OutboxHarness) -> int:
    """Return how many pauses Slack asked for; after each, that method was left alone for as long as it said."""
    calls = [
        call
        for call in harness.slack.calls()
        if call.method in ("chat.postMessage", "chat.update")
        and call.args.get("channel") == harness.channel.id
    ]
    asked = 0
    for number, call in enumerate(calls):
        if call.status != 429:
            continue
        asked += 1
        pause = call.retry_after
        after = next((later for later in calls[number + 1 :] if later.method == call.method), None)
        assert after is None or after.at >= call.at + pause, (call.method, pause, after.at - call.at)
    return asked


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_whatever_slack_does_everything_is_said_in_order_and_nothing_twice_unmarked(
    way: Way, slack: FakeSlack, loop: BackgroundLoop, proof: Any
) -> None:
    trials = proof("R5", "faults of Slack lose nothing and keep the order of threads", ci=20, release=200)
    clock = DrivenClock()
    slack.tell_time_by(clock)
    for batch in batches(trials):
        harnesses, losses = [], []
        for random in batch:
            harness = OutboxHarness(slack, loop, clock, call_s=CALL_S, card_every_s=1.0)
            harnesses.append(harness)
            if random.random() < 0.5:  # before anything is said, or in the midst of it
                losses.append(way(random, slack, harness))
                talk(random, harness)
            else:
                talk(random, harness)
                losses.append(way(random, slack, harness))
        late = drive(clock, harnesses)
        assert not late, [(n.id, n.state, n.error) for harness in late for n in harness.owed()]
        for harness, lost in zip(harnesses, losses, strict=True):
            order_is_kept(harness)
            twice = repeats(harness)
            marked = sum("Sent again" in text for text in harness.shown())
            assert twice <= lost, f"{twice} repeats for {lost} lost answers"
            assert marked >= twice
            assert harness.sender.fault() == ""
            trials.outcome("pauses kept", pauses_are_kept(harness))
            trials.outcome("repeats, marked", twice)
            harness.close()
        for harness in harnesses:
            harness.store.verify()


def test_a_channel_that_stays_closed_is_told_elsewhere_once_and_again_when_it_is_open(
    slack: FakeSlack, loop: BackgroundLoop, proof: Any
) -> None:
    trials = proof(
        "R5", "a channel that cannot be written is told in the fallback channel", ci=10, release=100
    )
    clock = DrivenClock()
    slack.tell_time_by(clock)
    for batch in batches(trials):
        harnesses = []
        for random in batch:
            ops = slack.add_channel("ops")
            after = random.choice((60.0, 300.0, 900.0))
            harness = OutboxHarness(slack, loop, clock, fallback_channel=ops.id, fallback_after_s=after)
            harnesses.append((harness, ops, after))
            closed = random.choice(("5xx", "429", "fatal"))
            if closed == "429":
                slack.faults.rate_limited("chat.*", retry_after=20, times=None, channel=harness.channel.id)
            elif closed == "5xx":
                slack.faults.server_error("chat.*", status=503, times=None, channel=harness.channel.id)
            else:
                slack.faults.refuse("chat.*", "internal_error", times=None, channel=harness.channel.id)
            talk(random, harness)
        began = clock()
        told: dict[int, float] = {}
        until = time.monotonic() + 240
        while len(told) < len(harnesses) and time.monotonic() < until:
            clock.advance(2.0)
            for harness, ops, _ in harnesses:
                harness.clock.advance(2.0)
                harness.sender.wake()
                if harness.stands(ops):
                    told.setdefault(id(harness), clock() - began)
            time.sleep(0.03)
        for harness, ops, after in harnesses:
            assert told[id(harness)] >= after
            assert "takes no messages" in harness.shown([ops])[0]
            assert harness.sender.fault().startswith(f"cannot write in {harness.channel.id}")
            assert not harness.stands()
        slack.faults.clear()
        assert not drive(clock, [harness for harness, _, _ in harnesses])
        for harness, ops, _ in harnesses:
            order_is_kept(harness)
            slack.wait_for(lambda harness=harness, ops=ops: len(harness.stands(ops)) == 2, 60)
            assert "takes messages again" in harness.shown([ops])[1]
            assert harness.sender.fault() == ""
            assert {n.kind for n in harness.owed()} <= {NoticeKind.DUTY}
            harness.close()
            trials.outcome("told, and told again when it was open")


def test_an_archived_channel_gives_way_to_the_fallback_and_the_thread_goes_on_there(
    slack: FakeSlack, loop: BackgroundLoop, proof: Any
) -> None:
    trials = proof(
        "R5", "cards and threads of an archived channel go on in the fallback channel", ci=20, release=200
    )
    clock = DrivenClock()
    slack.tell_time_by(clock)
    for batch in batches(trials):
        harnesses = []
        for random in batch:
            ops = slack.add_channel("ops")
            harness = OutboxHarness(slack, loop, clock, fallback_channel=ops.id)
            harnesses.append((harness, ops))
            talk(random, harness)
            if random.random() < 0.5:  # cards stand already, or none does
                slack.wait_for(lambda harness=harness: driven(clock, harness) and harness.stands(), 60)
            harness.channel.is_archived = True
        assert not drive(clock, [harness for harness, _ in harnesses])
        for harness, ops in harnesses:
            everywhere = "\n".join(harness.shown([harness.channel, ops]))
            for lines in harness.lines.values():
                assert all(line in everywhere for line in lines)
            harness.close()
            trials.outcome("everything stands")


def driven(clock: DrivenClock, harness: OutboxHarness) -> bool:
    clock.advance(0.5)
    harness.sender.wake()
    return True


def test_a_dead_socket_loses_no_click(worlds: Callable[..., Installation], proof: Any) -> None:
    """Slack gives what nobody acknowledged to the next connection; here people do it again, as they would."""
    world = worlds(TWOKEY_SLACK_PER_SECOND="25", TWOKEY_LEASE_S="10")
    world.bot()
    world.attack(buckets=("shop-orders",))
    world.slack.socket.connect_timeout = 90
    trials = proof(
        "R5", "a dropped socket is opened again, and what people do is heard once", ci=6, release=200
    )
    for number, random in enumerate(trials):
        made = world.slack.socket.connections_made
        world.slack.socket.drop()
        if random.random() < 0.5:
            world.slack.wait_connected(timeout=90)
        text = f"said through trouble {number}"
        delivery = world.ana.command("/twokey", f"note INC-1 {text}", world.security)
        if not delivery.acked:
            world.slack.wait_connected(timeout=90)
            assert world.ana.command("/twokey", f"note INC-1 {text}", world.security).acked
        world.until(lambda text=text: text in str([e.data for e in world.audit() if e.action == "noted"]), 90)
        world.until(lambda made=made: world.slack.socket.connections_made > made, 90)
        heard = [e for e in world.audit() if e.action == "noted" and e.data.get("text") == text]
        assert 1 <= len(heard) <= (1 if delivery.acked else 2)
        trials.outcome("acknowledged at once" if delivery.acked else "said again")
    world.quiet()
    world.proven()
