"""Evidence: rows are told as the trail tells them, whatever stands in them, so that the two can be compared."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokey.core.audit import TimeStamp
from twokey.core.errors import NotFound
from twokey.flow.review.evidence import as_told, evidence, evidence_text
from twokey.flow.stamping import stamps
from twokey.history.evidence import verify
from twokey.store.chain import data_text, parsed
from twokey.testing.runbooks import QUARANTINE_ACCOUNT
from twokey.testing.world import World

_AWKWARD = st.sampled_from(
    ["a\0b", "\ud800", "\u2028 é 😀", "password=hunter2hunter2", "AKIA/abcDEF0123456789abcDEF0123456789abcd"]
)
_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), _AWKWARD)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | _AWKWARD, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_VALUES)
def test_a_row_is_told_as_the_trail_tells_it(value):
    assert as_told({"it": value}) == parsed(data_text({"it": value}))


def _done(world):
    world.contains()


def _undone(world):
    plan = world.contains()
    undo = world.proposes_undo("ana", plan)
    world.approves("ben", undo)
    world.works_on()
    assert world.plan(undo).state.value == "done"


def _critical(world):
    assert world.contains(QUARANTINE_ACCOUNT, "ana", "ben", "cho").state.value == "done"


def _glass_broken_and_confirmed(world):
    plan = world.breaks_glass("ana", world.previews("ana"))
    world.works_on()
    world.confirms("ben", plan)
    assert world.plan(plan).confirmed_by


def _only_proposed(world):
    world.proposes("ana")


def _refused(world):
    plan = world.proposes("ana")
    world.containment.reject(plan.id, world.who("ben"), "not during the release")


def _expired(world):
    world.proposes("ana")
    world.works_on(60)


def _voided(world):
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.rosters.without("d-ben")
    world.works_on()
    assert world.plan(plan).state.value == "voided"


def _stopped(world):
    plan = world.proposes("ana")
    world.approves("ben", plan)
    world.cloud.refuse_on("apply aws.iam.put_user_policy")
    world.works_on()
    world.containment.decide(plan.id, world.who("ana"), "stop")
    assert world.plan(plan).state.value == "failed"


def _found_done(world):
    world.cloud.fault_on("apply aws.iam.put_user_policy", times=2)
    world.contains()


STORIES = (
    _done,
    _undone,
    _critical,
    _glass_broken_and_confirmed,
    _only_proposed,
    _refused,
    _expired,
    _voided,
    _stopped,
    _found_done,
)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__.strip("_"))
def test_evidence_of_what_went_as_it_should_holds(story):
    world = World()
    world.incident()
    story(world)
    with world.store.read() as look:
        found = evidence(look, "INC-1", world.rosters.current(), [], world.clock.now())
    faults, _ = verify({"evidence.json": evidence_text(found).encode()}.__getitem__)
    assert faults == []


def test_without_a_stamp_it_says_what_is_not_proven():
    world = World()
    world.incident()
    world.contains()
    with world.store.read() as look:
        found = evidence(look, "1", world.rosters.current(), stamps(look), world.clock.now())
    assert found.stamps == ()
    text = evidence_text(found)
    faults, says = verify({"evidence.json": text.encode()}.__getitem__)
    assert faults == []
    assert any(line.startswith("NOT STAMPED: entries") for line in says)
    assert json.loads(text)["people"] == {"d-ana": "Ana", "d-ben": "Ben"}


def test_a_stamp_before_which_nothing_of_the_incident_happened_is_not_handed_out():
    world = World()
    world.incident()
    world.stamping.owe()
    world.works()
    with world.store.read() as look:
        (first,) = stamps(look)
        later = TimeStamp("stamp:999", 999, "0" * 64, world.clock.now(), b"x", "{}")
        found = evidence(look, "INC-1", world.rosters.current(), [first, later], world.clock.now())
    assert found.stamps == (first,)


def test_no_evidence_of_an_incident_that_is_none():
    world = World()
    with world.store.read() as look, pytest.raises(NotFound):
        evidence(look, "INC-7", world.rosters.current(), [], world.clock.now())
