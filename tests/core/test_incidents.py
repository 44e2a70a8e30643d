"""Incidents: legal moves, grades, what a storm has in common, and what a signal adds."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokey.core.errors import Refused
from twokey.core.incidents import (
    CANCEL_REASONS,
    MOST_RESOURCES,
    MOVES,
    Severity,
    State,
    absorb,
    facts,
    group_of,
    require_legal_move,
    severity_of,
)
from twokey.core.responsibility import Label
from twokey.core.signals import Principal, Resource
from twokey.testing.builders import ACCOUNT, KEY_ID, a_signal, a_verdict, an_incident, at


@pytest.mark.parametrize("before", list(State))
@pytest.mark.parametrize("after", list(State))
def test_only_the_legal_moves_are_possible_and_a_refusal_names_them(before, after):
    incident = an_incident(state=before, severity=Severity.SEV3)
    if after in MOVES[before]:
        require_legal_move(incident, after, "benign")
    else:
        with pytest.raises(Refused, match=r"refused.illegal_move") as refusal:
            require_legal_move(incident, after, "benign")
        assert all(state.value in refusal.value.message.params["legal"] for state in MOVES[before])


@pytest.mark.parametrize("severity", [Severity.SEV1, Severity.SEV2])
def test_a_grave_incident_closes_through_its_post_mortem(severity):
    with pytest.raises(Refused, match=r"refused.postmortem_first"):
        require_legal_move(an_incident(state=State.RESOLVED, severity=severity), State.CLOSED)
    require_legal_move(an_incident(state=State.POSTMORTEM, severity=severity), State.CLOSED)


@pytest.mark.parametrize("reason", ["", "because", "Benign"])
def test_a_cancellation_needs_a_reason_from_the_list(reason):
    with pytest.raises(Refused, match=r"refused.cancel_reason"):
        require_legal_move(an_incident(state=State.TRIAGE), State.CANCELLED, reason)


@pytest.mark.parametrize("reason", CANCEL_REASONS)
def test_every_listed_reason_cancels(reason):
    require_legal_move(an_incident(state=State.TRIAGE), State.CANCELLED, reason)


def test_over_is_closed_or_cancelled():
    over = [state for state in State if not an_incident(state=state).is_open]
    assert over == [State.CLOSED, State.CANCELLED]


@pytest.mark.parametrize(
    ("number", "grade"),
    [(10.0, 1), (9.5, 1), (9.0, 1), (8.9, 2), (7.0, 2), (6.9, 3), (4.0, 3), (3.9, 4), (0.0, 4), (None, 2)],
)
def test_a_finding_is_graded_by_its_own_number_and_there_is_no_upper_end(number, grade):
    found = severity_of(a_signal(severity=number), Label.CUSTOMER_SECURITY)
    assert found is Severity(f"SEV{grade}")


@pytest.mark.parametrize(
    ("label", "grade"),
    [
        (Label.PROVIDER_OUTAGE, 2),
        (Label.PROVIDER_MAINTENANCE, 4),
        (Label.PROVIDER_ADVISORY, 4),
        (Label.INFORMATIONAL, 4),
        (Label.CUSTOMER_INITIATED, 4),
        (Label.UNKNOWN, 3),
        (Label.CUSTOMER_CONFIG, 3),
    ],
)
def test_what_has_no_number_is_graded_by_its_side(label, grade):
    assert severity_of(a_signal(severity=None), label) is Severity(f"SEV{grade}")


def test_a_storm_is_one_principal_in_one_account():
    group = group_of(a_signal(), Label.CUSTOMER_SECURITY)
    assert group == group_of(a_signal(type="other", severity=1.0), Label.CUSTOMER_SECURITY) != ""
    others = (a_signal(account="999988887777"), a_signal(principal=Principal("eve", "IAMUser", "AKIA2")))
    for other in others:
        assert group_of(other, Label.CUSTOMER_SECURITY) != group


@pytest.mark.parametrize("label", [label for label in Label if label is not Label.CUSTOMER_SECURITY])
def test_only_security_findings_are_a_storm(label):
    assert group_of(a_signal(), label) == ""


def test_a_finding_without_a_principal_stands_alone():
    assert group_of(a_signal(principal=Principal()), Label.CUSTOMER_SECURITY) == ""


def test_a_signal_is_counted_and_adds_what_it_names():
    incident = an_incident(severity=Severity.SEV3)
    signal = a_signal(
        severity=9.0, resources=(*a_signal().resources, Resource("arn:aws:s3:::b", "AwsS3Bucket"))
    )
    grown = absorb(incident, signal, a_verdict(), at(9))
    assert (grown.signals, grown.severity, grown.last_signal_at) == (2, Severity.SEV1, at(9))
    assert [resource.id for resource in grown.resources][-1] == "arn:aws:s3:::b"
    assert len(grown.resources) == 2


def test_a_signal_never_lowers_the_severity_and_never_moves_the_state():
    grown = absorb(an_incident(severity=Severity.SEV1), a_signal(severity=1.0), a_verdict(), at(9))
    assert (grown.severity, grown.state) == (Severity.SEV1, State.RESOLVED)


def test_the_earliest_start_stands():
    grown = absorb(an_incident(), a_signal(started_at=at(-90), detected_at=at(5)), a_verdict(), at(9))
    assert (grown.times.started, grown.times.detected) == (at(-90), at(-5))


@given(st.permutations(range(5)))
def test_the_order_in_which_signals_are_absorbed_does_not_show(order):
    signals = [
        a_signal(f"s{n}", severity=float(n * 2), started_at=at(-n), resources=(Resource(f"r{n % 3}"),))
        for n in range(5)
    ]

    def after(sequence):
        incident = replace(an_incident(), resources=())
        for number in sequence:
            incident = absorb(incident, signals[number], a_verdict(), at(9))
        return replace(incident, resources=tuple(sorted(incident.resources, key=lambda r: r.id)))

    assert after(order) == after(range(5))


def test_a_runbook_may_take_what_is_known_and_what_is_not_is_left_out():
    incident = an_incident(
        resources=(Resource("arn:aws:s3:::b/key", "AwsS3Bucket"), Resource("c", "S3Bucket"))
    )
    found = facts(incident)
    assert (found["account_id"], found["access_key_id"], found["buckets"]) == (ACCOUNT, KEY_ID, ["b", "c"])
    assert "storage_account_id" not in found


def test_a_container_leads_to_its_storage_account():
    container = (
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/Acme"
        "/blobServices/default/containers/c"
    )
    found = facts(
        an_incident(provider="azure", resources=(Resource(container, "microsoft.storage/storageaccounts"),))
    )
    assert found["storage_account_name"] == "acme"
    assert found["storage_account_id"].endswith("/storageAccounts/Acme")


def test_a_storm_of_resources_is_counted_beyond_what_an_incident_can_carry():
    incident = an_incident(resources=())
    for start in range(0, MOST_RESOURCES + 40, 20):
        named = tuple(Resource(f"arn:aws:s3:::bucket-{n}") for n in range(start, start + 20))
        incident = absorb(incident, a_signal(resources=named), a_verdict(), at(9))
    assert len(incident.resources) == MOST_RESOURCES
    assert incident.more_resources == 40
    assert incident.signals == an_incident().signals + (MOST_RESOURCES + 40) // 20
