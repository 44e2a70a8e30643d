"""R14: every way by which something comes by itself is listened to, under the very name its notifications have."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from twokey.app.doctor import examine
from twokey.app.running import build_listening
from twokey.chat.slack.views.text import Words
from twokey.core.notices import Notice, NoticeKind
from twokey.demo.emulators import Ministack
from twokey.settings import load

from .ways import BUS, GRID, GUARDED, PLAIN, SECRETS, SECURE, SNS, SUBSCRIPTION, TOPICS, Ways, open_ways

DAY = timedelta(hours=24).total_seconds()


@pytest.fixture
def ways(tmp_path: Path, aws: Ministack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ways]:
    with open_ways(tmp_path, aws, monkeypatch) as opened:
        yield opened


def told(ways: Ways) -> list[Notice]:
    with ways.sorting.store.read() as look:
        return [n for n in look.find(Notice, limit=10_000) if n.kind is NoticeKind.DUTY]


def test_what_is_listened_for_is_what_real_deliveries_are_called(ways: Ways) -> None:
    """Every way speaks once, through the doors and readers that the bot has."""
    sources = {way: ways.heard(way) for way in ways.speaks}
    assert len(set(sources.values())) == len(sources), "two ways have one name"
    assert set(sources.values()) == set(ways.settings.heard_from())
    assert {source.partition(":")[0] for source in sources.values()} == {
        "aws.sqs",
        "aws.sns",
        "aws.events",
        "azure.queue",
        "azure.webhook",
        "azure.eventgrid",
    }


def test_whichever_way_falls_silent_is_told_of_once_and_no_other(ways: Ways, proof: Any) -> None:
    trials = proof("R14", "each way in that falls silent is told of once, and none that spoke", ci=1)
    for random in trials:
        listening = build_listening(ways.settings, ways.sorting.store, ways.clock)
        began = ways.clock.now()
        assert listening.look() == {}
        ways.clock.advance(DAY + 60)
        never = listening.look()
        assert set(never) == set(ways.settings.heard_from())
        assert set(never.values()) == {began}, "what never spoke is judged from the start"
        named = {way: ways.heard(way) for way in ways.speaks}
        assert listening.look() == {}, "what speaks is well again"
        known = {notice.id for notice in told(ways)}
        assert len(known) == len(named)
        for quiet in random.sample(list(named), len(named)):
            ways.clock.advance(DAY + 60)
            for way in named.keys() - {quiet}:
                ways.heard(way)
            assert set(listening.look()) == set(listening.look()) == {named[quiet]}
            (new,) = [notice for notice in told(ways) if notice.id not in known]
            known.add(new.id)
            (said,) = new.messages
            assert said.params["source"] == named[quiet]
            assert named[quiet] in Words("en").of(said), "shown as it is called, for people to look for it"
            assert named[quiet] in Words("ja").of(said)
            assert not any(secret in str(new) for secret in SECRETS)
            ways.heard(quiet)
            assert listening.look() == {}
            trials.outcome(named[quiet].partition(":")[0])


def test_what_is_not_let_in_is_not_heard(ways: Ways) -> None:
    """A stranger cannot make a source that is broken look well."""
    listening = build_listening(ways.settings, ways.sorting.store, ways.clock)
    ways.clock.advance(DAY + 60)
    unsigned = ways.sns.notification({}, TopicArn=TOPICS[0]).replace(b'"Message": "{}"', b'"Message": "{ }"')
    other = f"arn:aws:sns:{TOPICS[0].split(':')[3]}:999999999999:findings"
    refused = [
        ways.web.post("/aws/events", ways.finding()),
        ways.web.post("/aws/events", ways.finding(), {"x-api-key": BUS[::-1]}),
        ways.web.post(f"/aws/sns/{SNS}", unsigned),
        ways.web.post(f"/aws/sns/{SNS}", ways.sns.notification({}, TopicArn=other)),
        ways.web.post(f"/aws/sns/{SNS}", ways.finding()),
        ways.web.post(f"/azure/{SECURE}", ways.alert()),
        ways.web.post(f"/azure/{SECURE}", ways.alert(), {"Authorization": "Bearer a.b.c"}),
        ways.web.post(f"/azure/{PLAIN[::-1]}", ways.alert()),
        ways.web.post(f"/azure/events?code={GUARDED}", ways.event()),
        ways.web.post(
            f"/azure/events/{GRID}", ways.event().replace(SUBSCRIPTION.encode(), SUBSCRIPTION[::-1].encode())
        ),
    ]
    assert refused == [401, 401, 403, 403, 400, 401, 401, 404, 401, 403]
    assert set(listening.look()) == set(ways.settings.heard_from())
    assert ways.sorting.raws() == []


def test_a_handshake_is_on_record_and_silence_counts_from_it(ways: Ways) -> None:
    """A subscription that was confirmed and then brings nothing is told of a day after it was made."""
    listening = build_listening(ways.settings, ways.sorting.store, ways.clock)
    ways.clock.advance(DAY - 60)
    ways.posts(f"/aws/sns/{SNS}", ways.sns.confirmation())
    code = "Microsoft.EventGrid.SubscriptionValidationEvent"
    ways.posts(f"/azure/events/{GRID}", ways.event(code, validationCode="512d38b6-c7b8"))
    assert len(ways.sns.confirmed) == 1
    shaken = {raw.source for raw in ways.sorting.raws()}
    assert len(shaken) == 2
    assert shaken < set(ways.settings.heard_from())
    ways.clock.advance(120)
    assert set(listening.look()) == set(ways.settings.heard_from()) - shaken
    ways.clock.advance(DAY)
    assert set(listening.look()) == set(ways.settings.heard_from())


def test_the_doctor_names_every_silent_source_and_none_that_spoke_today(ways: Ways) -> None:
    def listening() -> tuple[bool, str]:
        (found,) = [one for one in examine(ways.settings) if one.part == "listening"]
        assert not any(secret in found.says for secret in SECRETS)
        return found.ok, found.says

    names = ways.settings.heard_from()
    ok, says = listening()
    assert ok
    assert says == f"{len(names)} sources, never heard: {', '.join(names)}"
    named = {way: ways.heard(way) for way in ways.speaks}
    ok, says = listening()  # a month ago is long ago
    assert not ok
    assert all(name in says for name in names)
    ways.clock.set(datetime.now(UTC))
    first, *others = named
    for way in others:
        ways.heard(way)
    ok, says = listening()
    assert not ok
    assert [name for name in names if f"{name} since" in says] == [named[first]]
    assert not any(named[way] in says for way in others)
    ways.heard(first)
    assert listening() == (True, f"{len(names)} sources, all of them heard")


@pytest.mark.parametrize(
    "address",
    [
        "https://account.queue.core.windows.net/events?sv=2024&sig=top-secret",
        "https://user:top-secret@account.queue.core.windows.net/events",
        "http://account.queue.core.windows.net/events",
        "https://account.queue.core.windows.net/a/top-secret",
    ],
)
def test_an_address_that_stops_the_start_has_no_name_that_could_show_its_key(address: str) -> None:
    good = "https://Account.queue.core.windows.net/events"
    settings = load({"TWOKEY_AZURE_QUEUES": f"{address},{good}"})
    assert settings.heard_from() == ("azure.queue:account/events",)


def test_what_is_only_asked_is_not_listened_for() -> None:
    """An empty answer is an answer, and polling says itself when it fails."""
    polled = {"TWOKEY_AWS_POLL_S": "60", "TWOKEY_AZURE_POLL_S": "60"}
    assert load({**polled, "TWOKEY_AZURE_SUBSCRIPTIONS": SUBSCRIPTION}).heard_from() == ()
