"""Azure maintenance broke a system, and nobody could say whose responsibility it was. Now the card says it."""

from datetime import timedelta

import pytest

from twokey.core.errors import Refused
from twokey.core.incidents import Severity, State
from twokey.core.notices import NoticeKind
from twokey.core.responsibility import Label
from twokey.core.signals import Principal, Resource, SignalKind, SignalStatus

VM = "/subscriptions/0b1f6471-1bf0-4dda-aec3-111122223333/resourceGroups/shop/providers/Microsoft.Compute/virtualMachines/web"


def maintenance(world, number=0, **changes):
    """Make one communication about the maintenance; all have the tracking id in common."""
    told = {
        "subject": "VT8K-1X0",
        "kind": SignalKind.EVENT,
        "provider": "azure",
        "family": "servicehealth",
        "type": "Maintenance",
        "title": "Planned maintenance: virtual machines in Japan East",
        "account": "0b1f6471-1bf0-4dda-aec3-111122223333",
        "tracking_id": "VT8K-1X0",
        "resources": (Resource(VM, "Microsoft.Compute/virtualMachines"),),
        "principal": Principal(),
        "severity": None,
        "updated_at": world.clock.now() + timedelta(minutes=number),
    }
    return world.finding(f"VT8K-1X0-{number}", **{**told, **changes})


@pytest.fixture
def told(world):
    """Return the world after the first communication was sorted."""
    world.arrives(maintenance(world), source="azure.webhook")
    world.works()
    return world


def test_the_verdict_says_whose_it_is_and_that_accountability_stays_ours(told):
    (incident,) = told.incidents()
    verdict = incident.verdict
    assert (verdict.label, verdict.accountable) == (Label.PROVIDER_MAINTENANCE, "customer")
    assert (incident.tracking_id, [r.id for r in incident.resources]) == ("VT8K-1X0", [VM])
    assert incident.severity is Severity.SEV4
    assert verdict.rule
    assert verdict.reason


def test_there_is_nothing_of_ours_to_contain(told):
    with pytest.raises(Refused, match=r"refused.provider_side"):
        told.containment.suggestions("INC-1")
    with pytest.raises(Refused, match=r"refused.provider_side"):
        told.previews("ana")


def test_every_later_word_of_the_provider_goes_to_the_same_incident(told):
    told.clock.advance(60)
    for number in (3, 1, 2):  # they do not arrive in order
        told.arrives(maintenance(told, number, status=SignalStatus.UPDATED), source="azure.webhook")
        told.works()
    assert [incident.signals for incident in told.incidents()] == [4]
    assert len([n for n in told.notices() if n.kind is NoticeKind.CARD]) == 1


def test_the_end_is_told_and_people_close_it_themselves(told):
    told.arrives(maintenance(told, 9, status=SignalStatus.RESOLVED), source="azure.webhook")
    told.works()
    (incident,) = told.incidents()
    assert (incident.provider_resolved, incident.state) == (True, State.TRIAGE)
    assert "intake.source_resolved" in told.told()
    told.response.change_state("INC-1", State.RESOLVED, told.who("dia"))
    assert told.response.change_state("INC-1", State.CLOSED, told.who("dia")).state is State.CLOSED


def test_the_attack_at_the_same_time_is_not_explained_away(told):
    """An outage is a good time to attack: a finding beside it keeps its own side and its own incident."""
    told.arrives(told.finding("f1"))
    told.works()
    assert [i.verdict.label for i in told.incidents()] == [
        Label.PROVIDER_MAINTENANCE,
        Label.CUSTOMER_SECURITY,
    ]


def test_a_verdict_that_was_wrong_is_taken_back_with_both_on_record(told):
    """Microsoft tags it as a false positive: it was our own change."""
    told.arrives(maintenance(told, 5), label=Label.CUSTOMER_INITIATED, source="azure.webhook")
    told.works()
    assert told.incidents()[0].verdict.label is Label.CUSTOMER_INITIATED
    (said,) = [m for n in told.notices() for m in n.messages if m.code == "intake.reclassified"]
    assert said.params["before"] == "provider-maintenance"
    assert said.params["after"] == "customer-initiated"
