"""The responsibility ledger counts no minute twice, cuts to its period, and keeps what is only stated apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from twokey.core.incidents import Incident, Severity, State, Times
from twokey.core.ledgers import Ended, Proof, impact_of, ledger, union_minutes
from twokey.core.responsibility import ActionOwner, Confidence, Label, Origin, Planned, Verdict

T0 = datetime(2026, 11, 10, tzinfo=UTC)
LONG = timedelta(days=3)
HEAD = (7, "abc")


def at(minute: float) -> datetime:
    return T0 + timedelta(minutes=minute)


def verdict(label: Label = Label.PROVIDER_OUTAGE, origin: Origin = Origin.PROVIDER) -> Verdict:
    return Verdict(label, origin, Planned.UNPLANNED, ActionOwner.PROVIDER, Confidence.HIGH, "r", "why")


def incident(number: int, start: float, end: float | None, **more: Any) -> Incident:
    made = Incident(
        id=f"INC-{number}",
        number=number,
        title="t",
        verdict=verdict(),
        state=State.TRIAGE,
        severity=Severity.SEV2,
        opened_at=at(start),
        last_signal_at=at(start),
        provider="aws",
        family="health",
        service="EC2",
        region="us-east-1",
        account="111122223333",
        times=Times(started=at(start)),
        provider_resolved=end is not None,
        provider_ended=at(end) if end is not None else None,
    )
    return replace(made, **more)


def test_two_incidents_of_the_same_minutes_count_them_once() -> None:
    found = ledger([incident(1, 0, 100), incident(2, 50, 120)], T0, T0 + LONG, HEAD)
    assert [round(row.minutes) for row in found.rows] == [120]
    assert found.total(Origin.PROVIDER) == 120


def test_two_places_at_once_are_two_rows_and_the_same_minutes_of_the_total() -> None:
    other = incident(2, 0, 100, region="eu-west-1")
    found = ledger([incident(1, 0, 100), other], T0, T0 + LONG, HEAD)
    assert [round(row.minutes) for row in found.rows] == [100, 100]
    assert found.total(Origin.PROVIDER) == 100


def test_an_impact_is_cut_to_the_period() -> None:
    found = impact_of(incident(1, -60, 60), T0, at(30))
    assert found is not None
    assert found.minutes == 30


def test_what_is_still_open_lasts_until_the_end_of_the_period() -> None:
    found = impact_of(incident(1, 10, None), T0, at(60))
    assert found is not None
    assert (found.minutes, found.ended) == (50, Ended.STILL_OPEN)


def test_ours_ends_when_people_mitigated_it_and_not_when_a_provider_speaks() -> None:
    ours = incident(1, 0, 10, verdict=verdict(Label.CUSTOMER_SECURITY, Origin.CUSTOMER))
    ours = replace(ours, times=replace(ours.times, mitigated=at(40), resolved=at(90)))
    found = impact_of(ours, T0, T0 + LONG)
    assert found is not None
    assert (found.minutes, found.ended) == (40, Ended.PEOPLE)


def test_a_public_post_without_anything_of_ours_is_only_stated() -> None:
    found = ledger([incident(1, 0, 100)], T0, T0 + LONG, HEAD)
    assert found.rows[0].stated_minutes == 100
    assert found.rows[0].impacts[0].proof is Proof.STATED


def test_an_alarm_that_was_tied_to_the_post_is_the_proof() -> None:
    event = incident(1, 0, 100, related=("INC-2",))
    alarm = incident(
        2,
        30,
        100,
        family="other",
        is_availability=True,
        verdict=replace(verdict(), rule="correlation.provider"),
    )
    (row,) = ledger([event, alarm], T0, T0 + LONG, HEAD).rows
    assert (row.minutes, row.stated_minutes) == (100, 0)


def test_advisories_and_cancelled_incidents_are_left_out_and_counted() -> None:
    advisory = incident(1, 0, None, verdict=verdict(Label.PROVIDER_ADVISORY))
    cancelled = incident(2, 0, None, state=State.CANCELLED)
    found = ledger([advisory, cancelled], T0, T0 + LONG, HEAD)
    assert (found.rows, found.left_out) == ((), 2)


def test_a_maintenance_that_is_to_come_is_no_impact_yet() -> None:
    assert impact_of(incident(1, 500, 600), T0, at(100)) is None


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 300)), min_size=1, max_size=20))
def test_together_is_never_more_than_the_sum_nor_than_the_span(spans: list[tuple[int, int]]) -> None:
    found = [impact_of(incident(n, s, s + d), T0, T0 + LONG) for n, (s, d) in enumerate(spans)]
    impacts = sorted((one for one in found if one), key=lambda one: one.start)
    minutes = union_minutes(impacts)
    covered = {minute for s, d in spans for minute in range(s, s + d)}
    assert round(minutes) == len(covered)
