"""S2: one person is one key, whatever they click, on however many devices, through however many accounts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

import psycopg
import pytest

from tests.lab.installation import SECRETS, Installation
from tests.lab.trials import Proof
from twokey.core.approvals import Approval
from twokey.core.errors import Conflict
from twokey.core.people import system
from twokey.demo.company import SHOP
from twokey.testing.codes import Authenticator

from .doors import SLACK, all_served, ask, at_once, caught, keys, request_of, said
from .staging import CHOICES, database, variant

HANDS = 50


@pytest.fixture
def peopled(worlds: Callable[..., Installation]) -> Callable[[str], Installation]:
    """Return a maker of worlds in which Ana and Ben have two accounts each, with an incident."""

    def make(name: str) -> Installation:
        world = worlds(name)
        team = world.slack.team_id
        world.slack.add_user("ben.private", user_id="U0BEN2")
        one = f"slack: [{{team: {team}, user: U0BEN}}]"
        two = f"slack: [{{team: {team}, user: U0BEN}}, {{team: {team}, user: U0BEN2}}]"
        roster = world.roster.read_text()
        assert one in roster
        world.roster.write_text(roster.replace(one, two))
        for risk in ("medium", "critical"):
            variant(world, risk)
        world.bot()
        world.attack(("shop-orders",))
        return world

    return make


def storm(
    world: Installation,
    plan_card: Any,
    accounts: list[Any],
    random: Random,
    *,
    codes: tuple[str, ...] = ("",),
) -> None:
    """Let one person press the last button of their modals 50 times at the same moment: new presses with trigger
    ids of their own, and repeats with retry headers, by Socket Mode and by HTTP."""
    modals = [(account, world.modal(account, plan_card)) for account in accounts]
    sends: list[Callable[[], Any]] = []
    while len(sends) < HANDS:
        person, modal = random.choice(modals)
        press = caught(world, partial(world.fill, person, modal, typed=SHOP, code=random.choice(codes)))
        for retry in range(min(random.choice((1, 1, 1, 3)), HANDS - len(sends))):
            if random.random() < 0.5:
                press._transport = world.slack.socket
                sends.append(partial(press._try, retry, "timeout"))
            else:
                headers, body = request_of(world, press)
                if retry:
                    headers += [("X-Slack-Retry-Num", str(retry)), ("X-Slack-Retry-Reason", "http_timeout")]
                sends.append(partial(ask, world.bots[0], SLACK, headers, body))
    at_once(sends)
    world.until(lambda: all_served(world))
    for person, modal in modals:
        person.close(modal)


def turned_once(world: Installation, plan_card: Any, person: Any, code: str = "") -> None:
    """See to it that a person's key is turned: on a machine so slow that nothing came through, press once more."""
    plan_id, person_id = world.plan_id(plan_card), f"p-{person.name}"
    if person_id not in keys(world, plan_id):
        modal = world.modal(person, plan_card)
        world.fill(person, modal, typed=SHOP, **({"code": code} if code else {}))
    world.until(lambda: person_id in keys(world, plan_id))


def ran_once(world: Installation, plan_card: Any, people: list[str], buckets: str) -> None:
    """Each of these people has one key and one entry, and the plan ran exactly once."""
    plan_id = world.plan_id(plan_card)
    world.ends(plan_id, "done")
    assert keys(world, plan_id) == people
    by = sorted(entry.actor.id for entry in said(world, plan_id, "approved"))
    assert by == [person for person in people if person != "p-ana"]
    assert len(said(world, plan_id, "run.started")) == 1
    assert len(said(world, plan_id, "proposed")) == 1
    wanted = len(buckets.split(","))
    assert sum(call == "PutBucketPolicy" for call in world.writes()) == wanted
    world.proxy.calls.clear()
    for bucket in buckets.split(","):  # the next plan may be about them again
        world.company.let_go(bucket)


def proposer_then_another(world: Installation, buckets: str, random: Random) -> None:
    """Medium risk, no code to type: fifty presses by the proposer are still her one key."""
    card = world.propose("aws.protect-buckets-medium", buckets=buckets)
    plan_id = world.plan_id(card)
    storm(world, card, [world.ana, world.ana2], random)
    assert keys(world, plan_id) == ["p-ana"]
    assert world.state(plan_id) == "proposed"
    assert not world.writes()
    assert {e.data["code"] for e in said(world, plan_id, "approval.refused")} == {"refused.own_plan"}
    storm(world, card, [world.ben, world.slack.user("ben.private")], random)
    turned_once(world, card, world.ben)
    ran_once(world, card, ["p-ana", "p-ben"], buckets)


def three_people(world: Installation, buckets: str, random: Random, phones: dict[str, Authenticator]) -> None:
    """Critical: the proposer's does not count, and fifty presses by the second person are not the third's."""
    card = world.propose("aws.protect-buckets-critical", buckets=buckets)
    plan_id = world.plan_id(card)
    codes = tuple(phones["p-ben"].code() for _ in range(3))
    storm(world, card, [world.ben, world.slack.user("ben.private")], random, codes=codes)
    turned_once(world, card, world.ben, codes[0])
    storm(world, card, [world.ana, world.ana2], random, codes=("000000",))
    assert keys(world, plan_id) == ["p-ben"]
    assert world.state(plan_id) == "proposed"
    assert not world.writes()
    codes = tuple(phones["p-cy"].code() for _ in range(2))
    storm(world, card, [world.cy], random, codes=codes)
    turned_once(world, card, world.cy, codes[0])
    ran_once(world, card, ["p-ben", "p-cy"], buckets)


@pytest.mark.parametrize("name", ["sqlite", "postgres"])
def test_s02_one_person_counts_once_whatever_they_press_at_the_same_moment(
    peopled: Callable[[str], Installation], name: str, proof: Proof
) -> None:
    world = peopled(name)
    phones = {person: Authenticator(secret) for person, secret in SECRETS.items()}
    trials = proof("S2", f"fifty presses at once by one person are one key, {name}", ci=1, release=5)
    for random in trials:
        buckets = CHOICES[2 * trials.number : 2 * trials.number + 2]
        proposer_then_another(world, buckets[0], random)
        trials.outcome("proposer: 1 key of 50 presses")
        three_people(world, buckets[1], random, phones)
        trials.outcome("critical: 2 approvers, 3 people")
    two_people_together(world)
    the_database_itself_refuses_a_second_row(world, proof, name)
    world.quiet()
    world.proven()


def two_people_together(world: Installation) -> None:
    """The keys that are needed, turned at the very same moment, are seen by one of the two: nothing waits for ever."""
    buckets = CHOICES[-1]
    card = world.propose("aws.protect-buckets-medium", buckets=buckets)
    modals = [(person, world.modal(person, card)) for person in (world.cy, world.dee)]
    presses = [caught(world, partial(world.fill, person, modal, typed=SHOP)) for person, modal in modals]
    for press in presses:
        press._transport = world.slack.socket
    at_once(partial(press._try, 0, "") for press in presses)
    plan_id = world.plan_id(card)
    world.ends(plan_id, "done")
    turned = set(keys(world, plan_id))
    assert len(turned) == 2
    assert turned < {"p-ana", "p-cy", "p-dee"}
    assert len(said(world, plan_id, "run.started")) == 1


def keep(world: Installation, key: Approval, how: str) -> None:
    """Write a key through the store, as a program would that has forgotten to look."""
    with world.record.change() as change:
        change.append(system("test"), "tried")
        getattr(change, how)(key)


def the_database_itself_refuses_a_second_row(world: Installation, proof: Proof, name: str) -> None:
    """Whatever the program forgets: (plan, person) is unique, by whatever id the second row comes."""
    trials = proof("S2", f"a second key row of (plan, person) is refused by {name} itself", ci=1)
    key = world.find(Approval)[0]
    columns = "plan_id, person_id, digest, workspace, enterprise, account, tenant, body"
    for _ in trials:
        with database(world) as hand:
            copy = f"INSERT INTO approval (id, {columns}) SELECT '%s', {columns} FROM approval WHERE id = '{key.id}'"
            with pytest.raises((sqlite3.IntegrityError, psycopg.errors.UniqueViolation)) as refused:
                hand.execute(copy % "another-id")
            assert "approval" in str(refused.value)
            assert "plan_id" in str(refused.value)
        trials.outcome("refused by the unique key")
        again = replace(key, id="yet-another-id", role="approver")
        for how in ("add", "put"):
            with pytest.raises(Conflict):
                keep(world, again, how)
        trials.outcome("refused through the store", 2)
    assert (
        sum(row.plan_id == key.plan_id and row.person_id == key.person_id for row in world.find(Approval))
        == 1
    )
