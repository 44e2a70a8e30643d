"""R14: a source that falls silent is told of once, and shown; what speaks again is well again.

That notifications were missed while it was silent, polling finds out: see the tests of the pollers.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from twokey.core.notices import Notice, NoticeKind
from twokey.flow.listening import Listening
from twokey.testing.clocks import SettableClock
from twokey.testing.demo import notifications
from twokey.testing.installation import Installation
from twokey.testing.sorting import Sorting

SOURCES = ("aws.sqs:findings", "aws.sqs:health", "azure.webhook:prod")


def told(sorting: Sorting) -> list[Notice]:
    with sorting.store.read() as look:
        return [n for n in look.find(Notice, limit=10_000) if n.kind is NoticeKind.DUTY]


def test_silence_is_told_once_for_each_silence_whatever_the_pauses(proof: Any) -> None:
    """The truth is kept beside it: which source was heard when, and so how many silences there were."""
    trials = proof("R14", "a source that falls silent is told of once", ci=20, release=500)
    for random in trials:
        clock = SettableClock()
        sorting = Sorting(clock=clock)
        after = timedelta(hours=random.choice((1, 6, 24)))
        listening = Listening(sorting.store, clock, SOURCES, after, clock.now())
        last = dict.fromkeys(SOURCES, clock.now())
        silences: set[tuple[str, Any]] = set()
        for number in range(random.randint(20, 60)):
            clock.advance(random.choice((600, 3600, after.total_seconds() / 3, after.total_seconds() * 1.5)))
            for source in SOURCES:
                if random.random() < 0.3:
                    sorting.arrives(source, b'{"detail-type":"x","source":"aws.x","id":"%d"}' % number)
                    last[source] = clock.now()
            for _ in range(random.randint(1, 3)):
                found = listening.look()
            expected = {source for source in SOURCES if clock.now() - last[source] > after}
            assert set(found) == expected
            silences |= {(source, last[source]) for source in expected}
        assert len(told(sorting)) == len(silences)
        assert {n.id for n in told(sorting)} == {
            f"duty:silent:{source}:{since.isoformat()}" for source, since in silences
        }
        with sorting.store.read() as look:
            entries = [e for e in look.audit(limit=100_000) if e.action == "source.silent"]
        assert len(entries) == len(silences)
        trials.outcome("silences told", len(silences))


def test_nothing_is_told_where_nobody_wants_it() -> None:
    sorting = Sorting()
    clock: Any = sorting.clock
    listening = Listening(sorting.store, clock, SOURCES, timedelta(0), clock.now())
    clock.advance(10 * 86_400)
    assert listening.look() == {}
    assert told(sorting) == []


def test_the_running_bot_tells_of_silence_and_shows_it(
    worlds: Callable[..., Installation], proof: Any
) -> None:
    """The setting is less than a second here: the bot looks when it starts and once a minute."""
    trials = proof("R14", "a silent source is told in Slack, and shown by /readyz and doctor", ci=1)
    world, source = (
        worlds(TWOKEY_SLACK_PER_SECOND="25", TWOKEY_SILENT_AFTER_H="0.0002"),
        "aws.sqs:twokey-findings",
    )

    def said() -> list[str]:
        shown = [world.slack.show(message, 4000) for message in world.slack.messages(world.channel)]
        return [text for text in shown if "Nothing has come from" in text and "twokey-findings" in text]

    for _ in trials:
        world.bot()
        assert len(world.until(said, 200)) == 1
        world.until(lambda: "ok, but silent since" in str(world.readiness()["parts"].get(source)), 30)
        assert world.readiness()["ready"], "silence is no reason to be restarted"
        world.company.notify(notifications.findings(world.company.key_id, ["shop-orders"], datetime.now(UTC)))
        world.until(lambda: world.card("INC-1"))
        assert "Nothing has come from" in world.twokey("doctor").stdout
        assert "source.silent" in world.actions()
        world.proven()
        trials.outcome("told once")
