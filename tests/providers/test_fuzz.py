"""S20: whatever arrives, a reader says what it is or that it cannot be read (Invalid): nothing else comes out.

The seeds are the project's own fixtures; mutations are what senders get wrong and what attackers do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.lab.intake_harness import IntakeHarness
from tests.lab.mutations import MEGABYTE, Change, mutated, written
from tests.lab.trials import Proof, Trials
from twokey.catalog.recordings import bodies
from twokey.catalog.rules import Rules, load_rules, signal_view
from twokey.cli.classify import classify_texts
from twokey.core.errors import Invalid
from twokey.core.incidents import facts, group_of, opened_by
from twokey.core.sightings import Sighting
from twokey.core.signals import RawNotification, RawState, Signal, raw_id
from twokey.providers.aws.normalise import AwsNormaliser
from twokey.providers.azure.normalise import AzureNormaliser
from twokey.providers.reading import MAX_SIGNALS, parsed
from twokey.store.nouns import from_text, to_text

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NOW = datetime(2026, 11, 20, tzinfo=UTC)
READERS: dict[str, Any] = {"aws": AwsNormaliser(), "azure": AzureNormaliser()}


@cache
def seeds(cloud: str) -> list[Any]:
    return [json.loads(path.read_text()) for path in sorted((FIXTURES / cloud).glob("*.json"))]


@cache
def rules() -> Rules:
    return load_rules(payload=lambda signal, raw: READERS[raw.provider].payload(signal, raw))


CHANGES = st.lists(
    st.builds(Change, st.integers(0, 20), st.integers(0, 5000), st.integers(0, 5000)), min_size=0, max_size=4
)


def notifications(cloud: str) -> st.SearchStrategy[bytes]:
    """Return broken notifications of a cloud."""
    documents = st.builds(mutated, st.sampled_from(seeds(cloud)), CHANGES)
    return st.builds(written, documents, st.integers(0, 100), st.integers(0, 50_000))


def tried(trials: Trials, strategy: st.SearchStrategy[bytes], check: Callable[[bytes], str]) -> None:
    """Let hypothesis make as many as are wanted, and count what came out."""

    @seed(trials.seed)
    @settings(
        max_examples=trials.wanted,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(body: bytes) -> None:
        trials.outcome(check(body))
        trials.count(1)

    run()


def read(cloud: str, body: bytes) -> tuple[RawNotification, tuple[Signal, ...]]:
    raw = RawNotification(raw_id(f"{cloud}.test", body), f"{cloud}.test", body, NOW)
    return raw, READERS[cloud].normalise(raw)


def told(fault: Invalid) -> str:
    """Return that something is unreadable, which is always said with why and where."""
    assert fault.message.code == "signal.unreadable"
    assert fault.message.params["reason"]
    assert fault.message.params["where"].startswith("$")
    return "unreadable"


def is_whole(cloud: str, body: bytes) -> str:
    """Read a body as the bot does, all the way to what is stored; say what came out."""
    try:
        raw, signals = read(cloud, body)
    except Invalid as fault:
        return told(fault)
    assert 0 < len(signals) <= MAX_SIGNALS
    for signal in signals[:20]:
        assert signal.id
        assert signal.subject
        assert signal.provider == cloud or signal.family == "securityhub"
        assert len(signal.title) <= 300
        assert len(signal.description) <= 4000
        orjson.dumps(signal_view(signal))
        verdict = rules().verdict(signal, raw)
        assert verdict.accountable == "customer"
        assert rules().explain(signal, raw)
        group_of(signal, verdict.label)
        incident = opened_by(signal, verdict, 1, NOW)
        facts(incident)
        kept = Sighting(signal.id, signal.subject, "", NOW, signal, verdict)
        assert from_text(Sighting, to_text(kept)).signal.id == signal.id
    assert [signal.id for signal in read(cloud, body)[1]] == [signal.id for signal in signals]
    return "read"


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_whatever_arrives_is_read_or_unreadable_and_nothing_crashes(proof: Proof, cloud: str) -> None:
    trials = proof("S20", f"{cloud}: every broken notification is read or called unreadable", ci=1500, release=100_000)  # fmt: skip
    tried(trials, notifications(cloud), lambda body: is_whole(cloud, body))
    if trials.wanted > 1000:
        assert trials.outcomes["read"] > trials.done / 10
        assert trials.outcomes["unreadable"] > trials.done / 20


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_the_wrong_reader_reads_it_too(proof: Proof, cloud: str) -> None:
    """A notification of one cloud at the other's door is no reason to fall over."""
    other = "azure" if cloud == "aws" else "aws"
    trials = proof("S20", f"{cloud}'s reader survives what the other cloud sends", ci=300, release=20_000)

    def check(body: bytes) -> str:
        try:
            _, signals = read(cloud, body)
        except Invalid:
            return "unreadable"
        assert signals
        return "read"

    tried(trials, notifications(other), check)


def test_any_bytes_at_all_are_read_or_unreadable(proof: Proof) -> None:
    trials = proof("S20", "any bytes are JSON, or Invalid with the reason", ci=500, release=50_000)

    def check(body: bytes) -> str:
        try:
            parsed(body)
        except Invalid as fault:
            return told(fault)
        return "read"

    tried(
        trials, st.binary(max_size=300) | st.text(max_size=200).map(lambda t: json.dumps(t).encode()), check
    )


def test_the_shell_classifies_or_says_why_not(proof: Proof) -> None:
    trials = proof("S20", "twokey classify ends with verdicts or faults, whatever the file holds", ci=300, release=20_000)  # fmt: skip
    both = notifications("aws") | notifications("azure")

    def check(body: bytes) -> str:
        found = list(classify_texts([("file", body)], rules()))
        assert found
        bodies(body)  # and a recording of it can be replayed
        return "verdict" if all(hasattr(one, "verdict") for one in found) else "fault"

    tried(trials, both, check)


def test_everything_that_arrives_is_sorted_or_kept_as_unreadable_and_never_lost(proof: Proof) -> None:
    trials = proof("S20", "what arrives is sorted, or kept and told as unreadable", ci=150, release=5_000)
    sorting = IntakeHarness()

    def check(body: bytes) -> str:
        sorting.arrives("aws.sqs:test", body)
        sorting.works()
        (raw,) = [raw for raw in sorting.raws() if raw.id == raw_id("aws.sqs:test", body)]
        assert raw.state in (RawState.SORTED, RawState.UNREADABLE)
        assert raw.body == body
        assert bool(raw.reason) is (raw.state is RawState.UNREADABLE)
        return raw.state.value

    tried(trials, notifications("aws"), check)
    assert len(sorting.response.unreadable(10_000)) == len(sorting.raws(RawState.UNREADABLE))


@pytest.mark.parametrize("cloud", ["aws", "azure"])
@pytest.mark.parametrize(
    "made",
    [
        lambda event: {**event, "more": "x" * MEGABYTE},
        lambda event: {**event, "title": "<" * MEGABYTE},
        lambda event: {"Records": [event] * 5000},
        lambda event: [event] * 5000,
        lambda event: {**event, "detail": json.dumps(event)[:-1] + ',"x":' + "[" * 100_000 + "}"},
        lambda event: {**event, "data": {"context": {"activityLog": {"properties": "{" * 100_000}}}},
    ],
)
def test_a_megabyte_is_read_or_refused(cloud: str, made: Callable[[Any], Any]) -> None:
    for event in seeds(cloud)[::25]:
        if isinstance(event, dict):
            is_whole(cloud, json.dumps(made(event)).encode())


@pytest.mark.parametrize(
    "opening", [b"[", b'{"a":', b'{"Records":[', b'{"detail":{"findings":[', b'[{"properties":']
)
@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_nesting_without_end_is_refused(cloud: str, opening: bytes) -> None:
    for times in (900, 20_000):
        with pytest.raises(Invalid, match=r"signal.unreadable"):
            read(cloud, opening * times)


@pytest.mark.parametrize("times", [900, 1500, 200_000])
def test_a_recording_nested_without_end_is_replayed_as_it_is(times: int) -> None:
    body = b"[" * times + b"]" * times
    assert bodies(body)
    (found,) = classify_texts([("file", body)], rules())
    assert found.fault is not None
