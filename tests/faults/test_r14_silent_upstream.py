"""R14: a source that falls silent is told of once, and shown; what speaks again is well again.

That notifications were missed while it was silent, polling finds out: see the tests of the pollers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.lab.arm import TOKEN, Identity
from tests.lab.arm.queues import StorageQueues
from tests.lab.installation import DOOR_SECRET, Installation
from tests.lab.intake_harness import IntakeHarness
from twokey.core.notices import Notice, NoticeKind
from twokey.demo import notifications
from twokey.flow.intake.liveness import SourceLiveness
from twokey.settings import load
from twokey.testing.clocks import SettableClock

from .ways import BUS, GRID, SNS, TOPICS

SOURCES = (
    "aws.sqs:findings",
    "aws.sns:arn:aws:sns:eu-central-1:111111111111:health",
    "aws.events:bus",
    "azure.queue:account/events",
    "azure.webhook:prod",
    "azure.eventgrid:grid",
)


def told(sorting: IntakeHarness) -> list[Notice]:
    with sorting.store.read() as look:
        return [n for n in look.find(Notice, limit=10_000) if n.kind is NoticeKind.DUTY]


def test_silence_is_told_once_for_each_silence_whatever_the_pauses(proof: Any) -> None:
    """The truth is kept beside it: which source was heard when, and so how many silences there were."""
    trials = proof("R14", "a source that falls silent is told of once", ci=20, release=500)
    for random in trials:
        clock = SettableClock()
        sorting = IntakeHarness(clock=clock)
        after = timedelta(hours=random.choice((1, 6, 24)))
        listening = SourceLiveness(sorting.store, clock, SOURCES, after, clock.now())
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
    sorting = IntakeHarness()
    clock: Any = sorting.clock
    listening = SourceLiveness(sorting.store, clock, SOURCES, timedelta(0), clock.now())
    clock.advance(10 * 86_400)
    assert listening.look() == {}
    assert told(sorting) == []


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[tuple[StorageQueues, dict[str, str]]]:
    """A storage queue that answers, and what leads a bot of its own process there."""
    with StorageQueues(TOKEN) as queues, Identity(TOKEN, "https://storage.azure.com") as identity:
        queues.queues["events"] = []
        yield queues, {"REQUESTS_CA_BUNDLE": queues.ca_bundle, **identity.variables}


def test_the_running_bot_tells_of_silence_and_shows_it(
    worlds: Callable[..., Installation], storage: tuple[StorageQueues, dict[str, str]], proof: Any
) -> None:
    """The setting is less than a second here: the bot looks when it starts and once a minute."""
    trials = proof("R14", "a silent source is told in Slack, and shown by /readyz and doctor", ci=1)
    queues, trust = storage
    secrets = {
        "TWOKEY_AWS_SNS_SECRET": SNS,
        "TWOKEY_AWS_EVENT_KEYS": f"bus={BUS}",
        "TWOKEY_AZURE_EVENT_GRID": f"grid={GRID}",
    }
    world = worlds(
        TWOKEY_SLACK_PER_SECOND="25",
        TWOKEY_SILENT_AFTER_H="0.0002",
        TWOKEY_AWS_SNS_TOPICS=",".join(TOPICS),
        TWOKEY_AZURE_QUEUES=f"{queues.base_url}/events",
        **secrets,
        **trust,
    )
    sources = load({name: v for name, v in world.variables.items() if name[:7] == "TWOKEY_"}).heard_from()
    assert len(sources) == 7

    def said() -> list[str]:
        shown = [world.slack.show(message, 4000) for message in world.slack.messages(world.channel)]
        return [text for text in shown if "Nothing has come from" in text]

    def stand() -> dict[str, str]:
        parts = world.readiness()["parts"]
        return {source: str(parts.get(source)) for source in sources}

    for _ in trials:
        world.bot()
        world.until(lambda: len(said()) >= len(sources), 240)
        for source in sources:
            assert len([text for text in said() if f"from {source} since" in text]) == 1, (source, said())
        world.until(lambda: all("ok, but silent since" in part for part in stand().values()), 60)
        assert world.readiness()["ready"], "silence is no reason to be restarted"
        world.company.notify(notifications.findings(world.company.key_id, ["shop-orders"], datetime.now(UTC)))
        world.until(lambda: world.card("INC-1"))
        assert "Nothing has come from" in world.twokey("doctor").stdout
        assert world.actions().count("source.silent") >= len(sources)
        shown = "\n".join([*said(), str(world.readiness()), world.log(), str(world.audit())])
        assert not any(secret in shown for secret in (SNS, BUS, GRID, DOOR_SECRET))
        world.proven()
        trials.outcome("told once", len(sources))
