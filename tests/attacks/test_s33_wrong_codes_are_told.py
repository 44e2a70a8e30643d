"""S33: nobody guesses at codes unseen: the person is told of each wrong one, security of the third and of the lock, and
an hour is an hour wherever it begins."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.lab.trials import Proof
from twokey.chat.slack.options import SlackOptions
from twokey.core.errors import Refused
from twokey.core.notices import NoticeKind
from twokey.core.runbooks import Plan
from twokey.testing.world import World


def guesses(world: World, plan: Plan) -> str:
    """Give a wrong code in Ben's name, and return how it was refused."""
    with pytest.raises(Refused) as refused:
        world.approves("ben", plan, code="111111")
    return refused.value.message.code


def told(world: World, kind: NoticeKind, person: str = "") -> list[list[str]]:
    return [
        [said.code for said in notice.messages]
        for notice in world.notices()
        if notice.kind is kind and notice.person_id == person
    ]


@pytest.fixture
def world() -> World:
    made = World()
    made.incident()
    return made


def test_s33_each_wrong_code_is_told_and_the_third_and_the_lock_to_security(world: World) -> None:
    plan = world.proposes("ana")
    assert [guesses(world, plan) for _ in range(6)] == ["refused.step_up_wrong"] * 5 + [
        "refused.step_up_locked"
    ]
    once, at_the_lock = ["stepup.wrong_code"], ["stepup.wrong_code", "stepup.locked"]
    assert told(world, NoticeKind.PRIVATE, "d-ben") == [once, once, once, once, at_the_lock]
    assert told(world, NoticeKind.DUTY) == [["stepup.wrong_code"], ["stepup.locked"]]
    options = SlackOptions("none", "T1", "C-ALL", security_channel="C-SECURITY")
    duty = [notice for notice in world.notices() if notice.kind is NoticeKind.DUTY]
    assert {options.channel_for_duty(notice) for notice in duty} == {"C-SECURITY"}
    assert duty[0].messages[0].params["person"] == "Ben"


def test_s33_a_slip_of_the_finger_is_told_to_its_person_alone(world: World) -> None:
    plan = world.proposes("ana")
    guesses(world, plan)
    assert told(world, NoticeKind.PRIVATE, "d-ben") == [["stepup.wrong_code"]]
    assert told(world, NoticeKind.DUTY) == []


def test_s33_no_more_than_five_within_any_hour(proof: Proof) -> None:
    """Five at the end of one hour of the clock and five at the start of the next were ten in a minute."""
    for random in (
        trials := proof("S33", "five wrong codes within any sixty minutes, and no sixth", ci=10, release=200)
    ):
        world = World()
        world.incident()
        world.clock.advance(random.uniform(0, 3600))
        tried = []
        for _ in range(40):
            plan = world.proposes("ana")
            if guesses(world, plan) == "refused.step_up_wrong":
                tried.append(world.clock.now())
            world.containment.withdraw(plan.id, world.who("ana"))
            world.clock.advance(random.choice((1, 30, 400, 1500)))
        for first in tried:
            assert sum(first <= one < first + timedelta(hours=1) for one in tried) <= 5
        trials.outcome("wrong codes that were looked at", len(tried))


def test_s33_wrong_codes_of_a_proposer_and_at_the_glass_count_too(world: World) -> None:
    for _ in range(2):
        with pytest.raises(Refused, match=r"^refused.step_up_wrong"):
            world.asks_for("ben", world.previews("ben"), code="111111")
        with pytest.raises(Refused, match=r"^refused.step_up_wrong"):
            world.breaks_glass("ben", world.previews("ben"), code="111111")
    assert len(told(world, NoticeKind.PRIVATE, "d-ben")) == 4
    assert told(world, NoticeKind.DUTY) == [["stepup.wrong_code"]]
