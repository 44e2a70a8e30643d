"""Where a signal goes: one function from what is on record to a decision; each case is a line of a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from twokey.core import correlations
from twokey.core.errors import message
from twokey.core.incidents import Incident, Severity, State, Times, opened_by
from twokey.core.responsibility import HUMAN, Confidence, Label, Verdict
from twokey.core.sightings import SubjectState, fold_signal
from twokey.core.signals import Signal, SignalKind, SignalStatus, untrusted
from twokey.flow.intake.decide import (
    TOLD_TURNS,
    Arrival,
    Join,
    KeepUnassigned,
    Open,
    Repeat,
    Turn,
    Wait,
    decide,
)
from twokey.testing.builders import a_signal, a_verdict

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ATTACK = a_verdict(Label.CUSTOMER_SECURITY)
OUTAGE = a_verdict(Label.PROVIDER_OUTAGE)
UNSURE = a_verdict(Label.UNKNOWN, confidence=Confidence.LOW)


def minutes(number: float) -> datetime:
    return NOW + timedelta(minutes=number)


def finding(id: str = "f", **changes: Any) -> Signal:
    return a_signal(id, subject="f", **{"updated_at": NOW, **changes})


def event(id: str = "e", **changes: Any) -> Signal:
    given = {"family": "health", "updated_at": NOW, **changes}
    return a_signal(id, subject="e", kind=SignalKind.EVENT, **given)


def health(id: str = "h", **changes: Any) -> Signal:
    """Return the health of a resource, whose cause comes in a second notification."""
    return event(id, **{"provider": "azure", "family": "resourcehealth", "waits_for_cause": True, **changes})


OVER = SignalStatus.RESOLVED
DISPUTE = message("aws.scope.account", resource="r", account="111122223333")


def incident(signal: Signal, verdict: Verdict = ATTACK, **changes: Any) -> Incident:
    return replace(opened_by(signal, verdict, 1, minutes(-30)), **changes)


def before(signal: Signal, verdict: Verdict = ATTACK, to: str = "INC-1") -> SubjectState:
    """Return the state of a subject of which this signal came."""
    return fold_signal(None, signal, verdict, to)


def arrival(signal: Signal, verdict: Verdict = ATTACK, **known: Any) -> Arrival:
    return Arrival(signal, verdict, NOW, storm_window=HOUR, **known)


def of_own(signal: Signal, verdict: Verdict, own: Incident, last: Signal | None = None) -> Arrival:
    """Return an update, of a matter that an incident was opened for by its last signal."""
    return arrival(signal, verdict, own=own, before=before(last or finding("f0"), own.verdict))


NEW, CLOSED = incident(finding("f0")), incident(finding("f0"), state=State.CLOSED)
STORM = incident(finding("g0"))
OLD_STORM = replace(STORM, last_signal_at=NOW - HOUR - timedelta(seconds=1))
ALARM_CLOSED = incident(health("h0"), UNSURE, state=State.CLOSED)


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        pytest.param(arrival(finding()), Open, id="a new finding opens"),
        pytest.param(arrival(finding(), is_repeat=True), Repeat, id="a repeat changes nothing"),
        pytest.param(
            arrival(finding(), is_repeat=True, own=NEW, same_group=STORM), Repeat, id="a repeat is none"
        ),
        pytest.param(arrival(health(), UNSURE, patience=HOUR), Wait, id="wait for the cause"),
        pytest.param(arrival(health(), UNSURE), Open, id="nobody waits longer than it may"),
        pytest.param(
            arrival(health(), UNSURE, patience=HOUR, same_group=STORM), Wait, id="wait, though it flaps"
        ),
        pytest.param(
            arrival(health(), UNSURE, patience=HOUR, before=before(health("h0"), UNSURE, "")),
            Open,
            id="the cause is here",
        ),
        pytest.param(
            arrival(health(status=OVER), UNSURE, patience=HOUR), KeepUnassigned, id="an end waits for nothing"
        ),
        pytest.param(arrival(finding(), patience=HOUR), Open, id="a finding waits for nothing"),
        pytest.param(of_own(finding(), ATTACK, NEW), Join, id="an update finds its incident"),
        pytest.param(
            replace(of_own(finding(), ATTACK, NEW), same_group=STORM), Join, id="an update before a storm"
        ),
        pytest.param(of_own(finding(), ATTACK, CLOSED), Open, id="an attack goes on after the close"),
        pytest.param(
            of_own(finding(updated_at=minutes(-9)), ATTACK, CLOSED), Join, id="old news stays with the closed"
        ),
        pytest.param(
            of_own(health(), UNSURE, ALARM_CLOSED, health("h0")),
            Open,
            id="an alarm comes back after the close",
        ),
        pytest.param(
            of_own(health(status=OVER), UNSURE, ALARM_CLOSED, health("h0")),
            Join,
            id="a resource that is well stays with the closed",
        ),
        pytest.param(
            of_own(event(), OUTAGE, incident(event("e0"), OUTAGE, state=State.CLOSED), event("e0")),
            Join,
            id="a provider's late word stays with the closed",
        ),
        pytest.param(arrival(finding(), same_group=STORM), Join, id="a storm takes it in"),
        pytest.param(
            arrival(finding(), same_group=replace(STORM, last_signal_at=NOW - HOUR)), Join, id="to the second"
        ),
        pytest.param(arrival(finding(), same_group=OLD_STORM), Open, id="a storm that is over does not"),
        pytest.param(
            arrival(finding(), same_group=replace(STORM, state=State.CANCELLED)), Open, id="nor a closed one"
        ),
        pytest.param(
            replace(of_own(finding(), ATTACK, CLOSED), same_group=STORM),
            Join,
            id="goes on in another's storm",
        ),
        pytest.param(
            arrival(finding(is_muted=True), same_group=STORM), KeepUnassigned, id="a muted one joins no storm"
        ),
        pytest.param(arrival(finding(is_muted=True)), KeepUnassigned, id="a muted finding opens nothing"),
        pytest.param(arrival(finding(is_test=True)), KeepUnassigned, id="a sample opens nothing"),
        pytest.param(arrival(finding(status=OVER)), KeepUnassigned, id="an end opens nothing"),
        pytest.param(
            arrival(finding(), a_verdict(opens_incident=False)),
            KeepUnassigned,
            id="the rule says it opens none",
        ),
        pytest.param(
            of_own(finding(is_muted=True), ATTACK, CLOSED), KeepUnassigned, id="archived after the close"
        ),
        pytest.param(
            arrival(event(status=OVER), OUTAGE, explains_ours=True), Open, id="a late event that hit us"
        ),
        pytest.param(arrival(event(status=OVER), OUTAGE), KeepUnassigned, id="a late event that did not"),
        pytest.param(
            arrival(
                health(),
                a_verdict(Label.CUSTOMER_INITIATED, opens_incident=False),
                before=before(health("h0", updated_at=minutes(1)), UNSURE, ""),
            ),
            KeepUnassigned,
            id="the cause came and it is our own doing",
        ),
        pytest.param(
            arrival(
                health(updated_at=minutes(1)),
                UNSURE,
                before=before(health("h0"), a_verdict(Label.CUSTOMER_INITIATED, opens_incident=False), ""),
            ),
            KeepUnassigned,
            id="the cause was here before it",
        ),
        pytest.param(arrival(untrusted(finding(), DISPUTE)), Open, id="a disputed one is shown"),
    ],
)
def test_the_first_case_that_holds_is_the_answer(one: Arrival, kind: type) -> None:
    assert type(decide(one)) is kind


def joined(one: Arrival) -> Join:
    decision = decide(one)
    assert isinstance(decision, Join)
    return decision


def opened(one: Arrival) -> Open:
    decision = decide(one)
    assert isinstance(decision, Open)
    return decision


def test_waiting_lasts_as_long_as_patience_is_left() -> None:
    assert decide(arrival(health(), UNSURE, patience=HOUR)) == Wait(HOUR)


def test_what_opens_is_graded_by_its_source_and_known_by_its_latest_word() -> None:
    one = opened(arrival(finding(severity=9.5)))
    assert (one.severity, one.verdict, one.is_over) == (Severity.SEV1, ATTACK, False)


def test_an_overtaken_alarm_opens_as_what_is_known_by_now() -> None:
    """The end overtook the alarm on its way: people learn of the matter, and that it is over."""
    end = event("e2", status=OVER, updated_at=minutes(1))
    one = opened(arrival(event(), a_verdict(Label.UNKNOWN), before=before(end, OUTAGE, "")))
    assert (one.verdict.label, one.is_over) == (Label.PROVIDER_OUTAGE, True)


def test_a_late_event_opens_as_over() -> None:
    assert opened(arrival(event(status=OVER), OUTAGE, explains_ours=True)).is_over


def test_a_storm_counts_and_changes_neither_verdict_nor_standing() -> None:
    one = joined(arrival(finding(), OUTAGE, same_group=STORM))
    assert (one.incident.signals, one.incident.verdict, one.turn, one.label_before) == (2, ATTACK, None, None)


def test_an_update_with_another_label_replaces_the_verdict() -> None:
    one = joined(of_own(event(), OUTAGE, incident(event("e0"), UNSURE), event("e0")))
    assert (one.label_before, one.incident.verdict) == (Label.UNKNOWN, OUTAGE)


@pytest.mark.parametrize(
    ("verdict", "own", "changes"),
    [
        (OUTAGE, a_verdict(Label.CUSTOMER_INITIATED, rule=HUMAN), {}),
        (UNSURE, OUTAGE, {}),
        (a_verdict(Label.UNKNOWN), a_verdict(Label.PROVIDER_OUTAGE, rule=correlations.RULE), {}),
        (a_verdict(Label.UNKNOWN), OUTAGE, {"status": OVER}),
        (OUTAGE, OUTAGE, {}),
    ],
    ids=["a person's", "not knowing", "an event's", "it is well again", "the same"],
)
def test_a_verdict_that_stays(verdict: Verdict, own: Verdict, changes: dict[str, Any]) -> None:
    signal = health(waits_for_cause=False, **changes)
    one = joined(arrival(signal, verdict, own=incident(health("h0"), own), before=None))
    assert (one.label_before, one.incident.verdict) == (None, own)


def test_an_overtaken_update_is_counted_and_undoes_nothing() -> None:
    own = incident(event("e0"), OUTAGE)
    stale = event(status=OVER, updated_at=minutes(-5), is_root_cause=True)
    one = joined(of_own(stale, a_verdict(Label.PROVIDER_MAINTENANCE), own, event("e0")))
    assert one.incident.signals == 2
    assert (one.incident.provider_resolved, one.incident.verdict) == (False, OUTAGE)
    assert (one.turn, one.label_before, one.renews_draft, one.goes_on) == (None, None, False, False)


@pytest.mark.parametrize(
    ("turns", "told"),
    [
        (0, Turn.OVER),
        (TOLD_TURNS - 1, Turn.OVER),
        (TOLD_TURNS, Turn.FLAPPING),
        (TOLD_TURNS + 1, Turn.COUNTED),
        (300, Turn.COUNTED),
    ],
)
def test_what_flaps_is_told_a_few_times_and_then_counted(turns: int, told: Turn) -> None:
    own = incident(event("e0"), OUTAGE, turns=turns)
    one = joined(of_own(event(status=OVER), OUTAGE, own, event("e0")))
    assert (one.turn, one.incident.turns, one.incident.provider_resolved) == (told, turns + 1, True)


def test_open_again_is_told_and_takes_the_end_back() -> None:
    own = incident(event("e0"), OUTAGE, provider_resolved=True, provider_ended=minutes(-3))
    one = joined(of_own(event(), OUTAGE, own, event("e0", status=OVER)))
    assert (one.turn, one.incident.provider_ended) == (Turn.OPEN_AGAIN, None)


def test_an_end_that_is_said_again_is_no_turn() -> None:
    own = incident(event("e0"), OUTAGE, provider_resolved=True)
    one = joined(of_own(event(status=OVER, ended_at=minutes(-2)), OUTAGE, own, event("e0")))
    assert (one.turn, one.incident.turns, one.incident.provider_ended) == (None, 0, minutes(-2))


@pytest.mark.parametrize(
    ("last_signal_at", "changes", "goes_on"),
    [
        (minutes(-30), {}, True),
        (minutes(-5), {}, False),
        (minutes(-30), {"is_muted": True}, False),
        (minutes(-30), {"updated_at": minutes(-9)}, False),
    ],
    ids=["the first since", "not the first", "no alarm", "old news"],
)
def test_what_goes_on_after_it_was_called_resolved_is_said_once(
    last_signal_at: datetime, changes: dict[str, Any], goes_on: bool
) -> None:
    times = Times(resolved=minutes(-10))
    own = incident(finding("f0"), state=State.RESOLVED, times=times, last_signal_at=last_signal_at)
    assert joined(of_own(replace(finding(), **changes), ATTACK, own)).goes_on is goes_on


def test_a_root_cause_renews_the_draft_once() -> None:
    own, cause = incident(event("e0"), OUTAGE), event(is_root_cause=True)
    assert joined(of_own(cause, OUTAGE, own, event("e0"))).renews_draft
    assert not joined(of_own(cause, OUTAGE, own, replace(cause, id="e0"))).renews_draft


def test_a_disputed_signal_opens_under_its_own_name() -> None:
    signal = untrusted(finding(), DISPUTE)
    assert opened(arrival(signal)).signal.disputed == DISPUTE
