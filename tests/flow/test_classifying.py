"""A person overrules a verdict: with a reason, on record, for good; every version stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lab.intake_harness import IntakeHarness
from twokey.core.errors import Refused
from twokey.core.responsibility import HUMAN, ActionOwner, Label, Origin
from twokey.core.signals import Principal
from twokey.testing.people import identity
from twokey.testing.world import World

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


@pytest.fixture
def world() -> World:
    world = World()
    world.incident()
    return world


def test_a_persons_verdict_carries_the_name_the_reason_and_what_it_was_before(world: World) -> None:
    before = world.incidents()[0].verdict
    after = world.response.classify("INC-1", "customer-initiated", "  our own load test ", world.who("ana"))
    verdict = after.verdict
    assert (verdict.label, verdict.rule, verdict.reason) == (
        Label.CUSTOMER_INITIATED,
        HUMAN,
        "our own load test",
    )
    assert (verdict.origin, verdict.action_owner) == (Origin.CUSTOMER, ActionOwner.CUSTOMER)
    assert verdict.fields == {"label_before": before.label.value, "rule_before": before.rule}
    assert verdict.accountable == "customer"
    entry = world.trail()[-1]
    assert (entry.action, entry.actor.id) == ("classified", "d-ana")
    assert entry.data == {
        "label": "customer-initiated",
        "rule": HUMAN,
        "reason": "our own load test",
        "label_before": before.label.value,
        "rule_before": before.rule,
    }
    world.works()
    world.store.verify()  # type: ignore[attr-defined]  # both stores of a World have it


@pytest.mark.parametrize("reason", ["", "   ", "\n\t"])
def test_without_a_reason_nothing_is_overruled_and_the_try_is_on_record(world: World, reason: str) -> None:
    before = world.incidents()[0]
    with pytest.raises(Refused, match=r"refused.classify_reason"):
        world.response.classify("INC-1", "informational", reason, world.who("ana"))
    assert world.incidents()[0].verdict == before.verdict
    assert world.trail()[-1].action == "classified.refused"


def test_a_label_that_does_not_exist_is_refused_with_the_nearest(world: World) -> None:
    with pytest.raises(Refused) as refused:
        world.response.classify("INC-1", "provider-outrage", "x", world.who("ana"))
    assert refused.value.message.params["nearest"] == "provider-outage"
    assert "customer-security" in refused.value.message.params["legal"]


def test_a_stranger_overrules_nothing(world: World) -> None:
    with pytest.raises(Refused, match=r"refused.unknown_identity"):
        world.response.classify("INC-1", "informational", "x", identity("U-NOBODY"))
    assert world.incidents()[0].verdict.rule != HUMAN


def test_the_same_word_twice_is_one_version(world: World) -> None:
    world.response.classify("INC-1", "informational", "noise", world.who("ana"))
    world.response.classify("INC-1", "informational", "noise", world.who("ben"))
    assert [version.rule for version in world.response.verdicts("INC-1")].count(HUMAN) == 1
    assert world.trail()[-1].action == "classified.again"


def test_a_person_overrules_a_person_and_every_version_stays(world: World) -> None:
    first = world.incidents()[0].verdict
    world.response.classify("INC-1", "informational", "noise", world.who("ana"))
    world.response.classify("INC-1", "customer-security", "no, it is real", world.who("ben"))
    found = [(v.label, v.rule, v.actor, v.reason) for v in world.response.verdicts("INC-1")]
    assert found == [
        (first.label.value, first.rule, "system:intake", first.reason),
        ("informational", HUMAN, "d-ana", "noise"),
        ("customer-security", HUMAN, "d-ben", "no, it is real"),
    ]


def test_what_the_principal_does_next_belongs_to_what_a_person_called_an_attack() -> None:
    world = World()
    thief = Principal("deploy", "IAMUser", "AKIAIOSFODNN7EXAMPLE")
    world.incident(principal=thief, label=Label.UNKNOWN)
    assert world.incidents()[0].group == ""
    world.response.classify("INC-1", "customer-security", "it was none of ours", world.who("ana"))
    world.arrives(world.finding("next", principal=thief))
    world.works()
    assert [incident.signals for incident in world.incidents()] == [2]


def update_of(event: dict[str, object], number: int) -> bytes:
    changed = json.loads(json.dumps(event))
    activity = changed["data"]["context"]["activityLog"]
    activity["eventDataId"] = f"b3c3-{number}"
    activity["properties"]["communicationId"] = f"c-{number}"
    activity["properties"]["incidentType"] = "Incident"
    activity["submissionTimestamp"] = f"2030-01-01T00:0{number}:00Z"
    activity["eventTimestamp"] = f"2030-01-01T00:0{number}:00Z"
    return json.dumps(changed).encode()


def test_a_later_verdict_of_a_rule_is_on_record_and_does_not_undo_a_persons() -> None:
    sorting = IntakeHarness()
    who = World().who("ana")
    event = json.loads((FIXTURES / "azure" / "service-health-maintenance-legacy.json").read_text())
    sorting.arrives("azure.webhook", json.dumps(event).encode())
    sorting.works()
    assert sorting.incidents()[0].verdict.label is Label.PROVIDER_MAINTENANCE
    sorting.arrives("azure.webhook", update_of(event, 1))
    sorting.works()
    assert sorting.incidents()[0].verdict.label is Label.PROVIDER_OUTAGE
    sorting.response.classify("INC-1", "customer-config", "our failover was off", who)
    sorting.arrives("azure.webhook", json.dumps(event).encode(), update_of(event, 2))
    sorting.works()
    (incident,) = sorting.incidents()
    assert (incident.verdict.label, incident.verdict.rule) == (Label.CUSTOMER_CONFIG, HUMAN)
    assert [(v.label, v.rule) for v in sorting.response.verdicts("INC-1")] == [
        ("provider-maintenance", "azure.service-health.maintenance"),
        ("provider-outage", "azure.service-health.incident"),
        ("customer-config", HUMAN),
    ]
