"""S3: who may not turn a key turns none; who may no more when the run starts has turned none. It fails closed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab.installation import Installation
from tests.lab.trials import Proof
from twokey.core.runbooks import Plan
from twokey.demo.company import BUCKETS, SHOP

from .doors import all_served, keys, said
from .staging import another_choice, held_back, variant

MEDIUM = "aws.protect-buckets-medium"
State = Callable[[Installation], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def roster(
    world: Installation, old: str = "", new: str = "", *, content: bytes | None = None
) -> Iterator[None]:
    """Let the roster file say something else for a while."""
    before = world.roster.read_text()
    if content is None:
        assert old in before
        world.roster.write_text(before.replace(old, new))
    else:
        world.roster.write_bytes(content)
    try:
        yield
    finally:
        world.roster.write_text(before)


@contextlib.contextmanager
def gone(world: Installation) -> Iterator[None]:
    """Let there be no roster file."""
    away = world.roster.rename(world.roster.with_suffix(".away"))
    try:
        yield
    finally:
        away.rename(world.roster)


@contextlib.contextmanager
def folder(world: Installation) -> Iterator[None]:
    """Let something that is no file stand in the roster's place."""
    with gone(world):
        world.roster.mkdir()
        try:
            yield
        finally:
            world.roster.rmdir()


@contextlib.contextmanager
def member(world: Installation, **changes: Any) -> Iterator[None]:
    """Let Slack say something else about Cy's account."""
    account = world.cy.member
    before = {name: getattr(account, name) for name in changes}
    for name, value in changes.items():
        setattr(account, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(account, name, value)


@contextlib.contextmanager
def shared_outside(world: Installation) -> Iterator[None]:
    """Let the channel be shared with another company."""
    world.security.is_ext_shared = True
    try:
        yield
    finally:
        world.security.is_ext_shared = False


@contextlib.contextmanager
def silent_slack(world: Installation) -> Iterator[None]:
    """Let Slack not say who it was."""
    fault = world.slack.faults.refuse("users.info", "internal_error", times=None)
    try:
        yield
    finally:
        fault.left = 0


CY = 'id: p-cy, name: Cy, slack: [{team: T0FAKE0001, user: U0CY}], roles: [approver], scopes: ["*"]'
LINE = f"  - {{{CY}, step_up: totp}}\n"


def line(old: str, new: str) -> State:
    """Return a state in which Cy's line in the roster is different."""
    return lambda world: roster(world, CY, CY.replace(old, new))


# what is so when the key is sent -> the rule that says no
STATES: dict[str, tuple[State, str]] = {
    "no role of an approver": (line("[approver]", "[responder]"), "refused.not_approver"),
    "commander, but not of this incident": (line("[approver]", "[commander]"), "refused.not_approver"),
    "no role at all": (line("[approver]", "[]"), "refused.not_approver"),
    "approver of another account": (line('["*"]', '["999999999999"]'), "refused.not_approver"),
    "approver of no account": (line('["*"]', "[]"), "refused.not_approver"),
    "taken off the roster": (lambda world: roster(world, LINE), "refused.unknown_identity"),
    "an account of somebody else": (line("user: U0CY", "user: U0OTHER"), "refused.unknown_identity"),
    "the same user id of another team": (line("T0FAKE0001", "T0OTHER01"), "refused.unknown_identity"),
    "empty roster": (lambda world: roster(world, content=b"people: []\n"), "refused.roster_empty"),
    "empty roster file": (lambda world: roster(world, content=b""), "refused.roster_empty"),
    "no roster file": (gone, "refused.roster_unreadable"),
    "a folder for a roster": (folder, "refused.roster_unreadable"),
    "broken roster": (
        lambda world: roster(world, content=b"people: [{broken\n"),
        "refused.roster_unreadable",
    ),
    "roster in no encoding": (
        lambda world: roster(world, content=b"\xff\xfe\x00"),
        "refused.roster_unreadable",
    ),
    "one fault elsewhere in it": (
        lambda world: roster(world, "id: p-dee", "id: p-cy"),
        "refused.roster_unreadable",
    ),
    "deactivated in Slack": (lambda world: member(world, deleted=True), "refused.deactivated"),
    "guest": (lambda world: member(world, is_restricted=True), "refused.guest"),
    "guest of one channel": (lambda world: member(world, is_ultra_restricted=True), "refused.guest"),
    "bot": (lambda world: member(world, is_bot=True), "refused.bot"),
    "account of another company": (
        lambda world: member(world, team_id="T0OTHER01"),
        "refused.foreign_workspace",
    ),
    "stranger by Slack Connect": (lambda world: member(world, is_stranger=True), "refused.foreign_workspace"),
    "channel shared with another company": (shared_outside, "refused.shared_channel"),
    "Slack does not say who it is": (silent_slack, "refused.unknown_identity"),
}


@pytest.fixture(scope="module")
def staged(shared: Installation) -> Installation:
    """The world with a runbook for which one click of an approver is enough: nothing to type, no code."""
    variant(shared, "medium")
    return shared


def test_s03_a_key_of_somebody_who_may_not_turn_one_is_refused_and_told_and_on_record(
    staged: Installation, proof: Proof
) -> None:
    world = staged
    card = world.propose(MEDIUM, buckets=another_choice(world))
    plan_id = world.plan_id(card)
    modal = world.modal(world.cy, card)
    trials = proof("S3", "a key of somebody who may not turn one is refused", ci=1, release=3)
    for _ in trials:
        for name, (state, code) in STATES.items():
            known = len(said(world, plan_id, "approval.refused"))
            with state(world):
                sent = world.fill(world.cy, modal, typed=SHOP)
                assert sent.acked, name
                assert sent.errors, name
                world.until(lambda: all_served(world))
            refusals = said(world, plan_id, "approval.refused")[known:]
            codes = [entry.data["code"] for entry in refusals] or _unserved(world)
            assert codes == [code], (name, codes)
            trials.outcome("refused")
        trials.count(len(STATES) - 1)
    assert keys(world, plan_id) == ["p-ana"]
    assert world.state(plan_id) == "proposed"
    for _ in (trials := proof("S3", "a press by somebody on no list, a guest or a bot is refused", ci=1)):
        for nobody in (world.stranger, world.gus, world.rob):
            told = world.private(nobody, lambda: nobody.click(world.fresh(card), "plan_review"))  # noqa: B023
            assert told
            trials.outcome("refused, told alone, on record")
        assert len(said(world, plan_id, "review.refused")) == 3
    assert not world.writes()
    # The stage was not the reason: as she was before, Cy turns the key.
    assert not world.fill(world.cy, modal, typed=SHOP).errors
    world.ends(plan_id, "done")


def _unserved(world: Installation) -> list[str]:
    return [f"nothing on record: {world.actions()[-5:]}"]


def approved(world: Installation, people: list[Any]) -> dict[str, str]:
    """Propose a plan for each of these people and let each turn the key of theirs; return who is behind which."""
    made = {}
    for person in people:
        card = world.propose(MEDIUM, buckets=another_choice(world))
        assert not world.fill(person, world.modal(person, card), typed=SHOP).errors
        made[f"p-{person.name}"] = world.plan_id(card)
    assert {world.state(plan) for plan in made.values()} == {"approved"}
    return made


def look_at(world: Installation, plan_id: str) -> Plan:
    """Return a plan as it stands on record."""
    with world.record.read() as look:
        plan = look.get(Plan, plan_id)
    assert plan is not None
    return plan


def voided(world: Installation, plan_id: str) -> str:
    """Wait for the end of a plan that must not run, and return why it did not."""
    world.ends(plan_id, "voided")
    plan = look_at(world, plan_id)
    assert plan.reason is not None
    assert not said(world, plan_id, "run.started")
    return str(plan.reason)


def test_s03_authority_is_looked_at_again_when_the_run_starts(staged: Installation, proof: Proof) -> None:
    """Each plan has enough keys and waits for its turn; meanwhile the roster changes."""
    world = staged
    world.proxy.calls.clear()
    trials = proof(
        "S3", "an approver who may not any more when the run starts has turned no key", ci=1, release=3
    )
    for _ in trials:
        world.proxy.calls.clear()
        with held_back(world):
            plans = approved(world, [world.ben, world.cy, world.dee, world.eve])
            text = before = world.roster.read_text()
            text = text.replace(LINE, "")
            dee, eve = (row for row in before.splitlines() if "p-dee" in row or "p-eve" in row)
            text = text.replace(dee, dee.replace('["*"]', '["999999999999"]'))
            text = text.replace(eve, eve.replace("[approver]", "[responder]"))
            world.roster.write_text(text)
        bens = plans.pop("p-ben")  # whose authority is as it was
        world.ends(bens, "done")
        ran = len(look_at(world, bens).writes)
        whys = {person: voided(world, plan) for person, plan in plans.items()}
        world.roster.write_text(before)
        assert "standing.left_roster" in whys["p-cy"]
        assert "standing.lost_role" in whys["p-dee"]
        assert "standing.lost_role" in whys["p-eve"]
        trials.count(2)
        trials.outcome("run, who still may", 1)
        trials.outcome("voided", 3)
        assert len(world.writes()) == ran
        for bucket in BUCKETS:  # the next round is about them again
            world.company.let_go(bucket)


ROSTERS: dict[str, tuple[State, str]] = {
    "emptied": (STATES["empty roster"][0], "standing.left_roster"),
    "gone": (gone, "refused.roster_unreadable"),
    "broken": (STATES["broken roster"][0], "refused.roster_unreadable"),
    "without the proposer": (
        lambda world: roster(world, "id: p-ana", "id: p-ana-of-yesterday"),
        "standing.left_roster",
    ),
    "in which both keys are one person's": (
        lambda world: roster(world, content=_merged(world.roster.read_text()).encode()),
        "standing.left_roster",
    ),
}


def _merged(text: str) -> str:
    """Say that Ben's account was Ana's all the time."""
    ben = next(row for row in text.splitlines() if "p-ben" in row)
    account = ben[ben.index("{team") : ben.index("}]") + 1]
    return text.replace(ben + "\n", "").replace("user: U0ANA2}", f"user: U0ANA2}}, {account}")


@pytest.mark.parametrize("name", ROSTERS)
def test_s03_a_roster_that_is_different_when_the_run_starts_voids_the_keys(
    staged: Installation, name: str, proof: Proof
) -> None:
    world, (state, why) = staged, ROSTERS[name]
    world.proxy.calls.clear()
    for _ in (trials := proof("S3", f"a roster {name} when the run starts voids the keys", ci=1, release=3)):
        with contextlib.ExitStack() as until_the_end:
            with held_back(world):
                (plan_id,) = approved(world, [world.ben]).values()
                until_the_end.enter_context(state(world))
            assert why in voided(world, plan_id)
            trials.outcome("voided")
        assert not world.writes()
