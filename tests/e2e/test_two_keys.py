"""Two keys, from outside: who may turn one, what one is worth, and what makes them void."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from twokey.core.approvals import Approval
from twokey.core.notices import Notice
from twokey.core.runbooks import Plan
from twokey.demo import notifications
from twokey.demo.company import SHOP


@pytest.fixture
def untouched(shared: Any) -> Iterator[Any]:
    """The shared world; no write reaches its cloud during this test."""
    before = list(shared.writes())
    yield shared
    assert shared.writes() == before


def keys(world: Any, plan_id: str) -> list[str]:
    return sorted(key.person_id for key in world.find(Approval, plan_id=plan_id))


def reject(world: Any, plan_card: Any) -> None:
    """End the plan, so that the next test may propose it."""
    world.ben.click(world.fresh(plan_card), "plan_reject")
    view = world.until(lambda: world.view(world.ben, "plan_reject"))
    world.fill(world.ben, view, reason="the test is over")
    world.ends(world.plan_id(plan_card), "refused")


def test_whoever_may_not_turn_a_key_is_refused_and_told_alone_and_nothing_is_written(untouched: Any) -> None:
    world = untouched
    plan_card = world.propose(buckets="shop-orders")
    plan_id = world.plan_id(plan_card)

    def press(person: Any) -> str:
        return world.private(person, lambda: person.click(world.fresh(plan_card), "plan_review"))

    assert "guest" in press(world.gus)
    assert "bot" in press(world.rob)
    assert "nobody on the roster" in press(world.stranger)
    assert world.slack.view_of(world.gus) is None

    # One person with two accounts is one person: the second account's key is her own.
    assert "your own plan" in world.key(world.ana2, plan_card).errors["typed"]
    world.ana2.close(world.slack.view_of(world.ana2))

    # What a person is, is read when the key is sent, not when the modal was opened.
    modal = world.modal(world.dee, plan_card)
    world.dee.member.deleted = True
    assert "deactivated" in " ".join(world.fill(world.dee, modal, typed=SHOP, code="123456").errors.values())
    world.dee.member.deleted = False
    world.dee.member.is_restricted = True
    assert "guest" in " ".join(world.fill(world.dee, modal, typed=SHOP, code="123456").errors.values())
    world.dee.member.is_restricted = False
    world.security.is_ext_shared = True
    assert "shared" in " ".join(world.fill(world.dee, modal, typed=SHOP, code="123456").errors.values())
    world.security.is_ext_shared = False

    roster = world.roster.read_text()
    world.roster.write_text("people: []\n")
    assert "names nobody" in " ".join(world.fill(world.dee, modal, typed=SHOP, code="123456").errors.values())
    world.roster.write_text("people: [{broken\n")
    assert "cannot be read" in " ".join(
        world.fill(world.dee, modal, typed=SHOP, code="123456").errors.values()
    )
    assert "cannot be read" in press(world.cy)
    world.roster.unlink()
    assert world.fill(world.dee, modal, typed=SHOP, code="123456").errors
    world.roster.write_text(roster)
    wrong = world.fill(world.dee, modal, typed="111111111111", code="123456")
    assert set(wrong.errors) == {"typed"}
    assert set(world.fill(world.dee, modal, typed=SHOP, code="000000").errors) == {"code"}
    world.dee.close(modal)

    assert keys(world, plan_id) == ["p-ana"]
    assert world.state(plan_id) == "proposed"
    assert world.actions().count("approval.refused") >= 6
    reject(world, plan_card)

    # An old button after the plan's end says so to the person alone, and turns nothing.
    assert "rejected" in world.old_click(world.cy, plan_card)
    assert keys(world, plan_id) == ["p-ana"]


def test_a_key_sent_after_the_plans_end_is_refused_in_the_modal(untouched: Any) -> None:
    world = untouched
    plan_card = world.propose(buckets="shop-orders,shop-invoices")
    modal = world.modal(world.cy, plan_card)
    reject(world, plan_card)
    assert "rejected" in " ".join(world.fill(world.cy, modal, typed=SHOP).errors.values())
    world.cy.close(modal)


def test_the_same_payload_five_times_by_socket_and_by_http_counts_once(shared: Any) -> None:
    world = shared
    before = world.writes().count("PutBucketPolicy")
    world.slack.via_socket()
    plan_card = world.propose(buckets="shop-invoices")
    plan_id = world.plan_id(plan_card)
    delivery = world.key(world.ben, plan_card)
    delivery.redeliver(2)
    world.slack.via_http(f"{world.bots[0].url}/slack/events")
    delivery._transport = world.slack.transport
    delivery.redeliver(2)
    world.slack.via_socket()
    assert [attempt.accepted for attempt in delivery.attempts] == [True] * 5
    assert len({json.dumps(attempt.body) for attempt in delivery.attempts}) == 1, (
        "a repeat gets the same answer"
    )
    world.ends(plan_id, "done")
    assert keys(world, plan_id) == ["p-ana", "p-ben"]
    assert world.writes().count("PutBucketPolicy") - before == 1
    proposals = [e for e in world.audit() if e.action == "proposed" and e.plan_id == plan_id]
    assert len(proposals) == 1


def test_an_exact_replay_of_a_signed_request_does_nothing_twice(shared: Any) -> None:
    world = shared
    world.slack.via_http(f"{world.bots[0].url}/slack/events")
    try:
        noted = world.actions().count("noted")
        delivery = world.ana.command("/twokey", "note INC-1 once only", world.security)
        assert delivery.acked
        world.until(lambda: world.actions().count("noted") == noted + 1)
        delivery.redeliver(3)
        assert delivery.acked
        world.quiet()
        assert world.actions().count("noted") == noted + 1
    finally:
        world.slack.via_socket()


@pytest.mark.parametrize("who", ["one person", "two people"])
def test_clicks_at_the_same_moment_make_one_run(shared: Any, who: str) -> None:
    world = shared
    before = world.writes().count("PutBucketPolicy")
    bucket = {"one person": "shop-images", "two people": "shop-exports"}[who]
    plan_card = world.propose(buckets=bucket)
    plan_id = world.plan_id(plan_card)
    people = [world.cy, world.cy] if who == "one person" else [world.cy, world.eve]
    modals = [world.modal(person, plan_card) for person in dict.fromkeys(people)]
    modals = (modals * 2)[:2]
    codes = [world.code(world.cy)] * 2 if who == "one person" else [world.code(p) for p in people]
    together = threading.Barrier(2)
    deliveries: list[Any] = []

    def send(n: int) -> None:
        together.wait()
        values = {"typed": SHOP, "code": codes[n]}
        asked = {block.get("block_id") for block in modals[n].blocks}
        values = {name: value for name, value in values.items() if name in asked}
        deliveries.append(people[n].submit(modals[n], values, force=True))

    threads = [threading.Thread(target=send, args=(n,)) for n in (0, 1)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    world.ends(plan_id, "done")
    assert all(delivery.acked for delivery in deliveries)
    if who == "two people":
        assert sum(bool(delivery.errors) for delivery in deliveries) == 1
        assert "all its keys" in " ".join(
            e for d in deliveries for e in d.errors.values()
        ) or "running" in " ".join(e for d in deliveries for e in d.errors.values())
    assert len(keys(world, plan_id)) == 2
    assert world.writes().count("PutBucketPolicy") - before == 1
    assert [e.action for e in world.audit() if e.plan_id == plan_id].count("run.started") == 1
    for person in dict.fromkeys(people):
        if view := world.slack.view_of(person):
            person.close(view)


# What is different when the run starts, from what people confirmed


def edit_runbook(world: Any) -> Callable[[], object]:
    path = world.runbooks / "aws.protect-buckets.yaml"
    before = path.read_text()
    path.write_text(before.replace("max: {buckets: 50}", "max: {buckets: 5000}"))
    return lambda: path.write_text(before)


def edit_policy(world: Any) -> Callable[[], object]:
    """Put a statement of our name where ours would go; any other statement would stop nothing (S27)."""
    s3 = world.company.client("s3", SHOP)
    before = s3.get_bucket_policy(Bucket="shop-backups")["Policy"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TwokeyProtect",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::shop-backups/*",
            }
        ],
    }
    s3.put_bucket_policy(Bucket="shop-backups", Policy=json.dumps(policy))
    return lambda: s3.put_bucket_policy(Bucket="shop-backups", Policy=before)


@pytest.mark.parametrize(("change", "said"), [(edit_policy, "another content"), (edit_runbook, "approved")])
def test_a_change_between_the_preview_and_the_run_voids_the_keys_and_writes_nothing(
    untouched: Any, change: Callable[[Any], Callable[[], object]], said: str
) -> None:
    world = untouched
    plan_card = world.propose(buckets="shop-backups")
    plan_id = world.plan_id(plan_card)
    modal = world.modal(world.eve, plan_card)
    back = change(world)
    delivery = world.fill(world.eve, modal, typed=SHOP)
    try:
        assert not delivery.errors, delivery.errors
        world.ends(plan_id, "voided")
        world.quiet()
        told = world.slack.show(world.thread()[-1], 4000)
        assert "void" in told.lower() or "void" in world.thread_text().lower()
        assert said in world.thread_text(), told
    finally:
        back()


def test_an_unreadable_roster_stops_people_but_hides_no_incident_and_loses_no_card(shared: Any) -> None:
    """Who mends the roster may need the incident that is going on to know why."""
    world = shared
    roster = world.roster.read_text()
    plan_card = world.propose(buckets="shop-logs")
    modal = world.modal(world.cy, plan_card)
    world.roster.write_text("people: [{broken\n")
    try:
        assert world.webhook(notifications.planned_maintenance(datetime.now(UTC)).encode()) == 202
        world.until(
            lambda: any("VM2T-L9G" in world.slack.show(m) for m in world.slack.messages(world.channel))
        )
        assert "cannot be read" in " ".join(world.fill(world.cy, modal, typed=SHOP).errors.values())
        world.quiet()
        assert not [n.id for n in world.find(Notice) if n.state.value == "failed"]
    finally:
        world.roster.write_text(roster)
    world.cy.close(modal)
    reject(world, plan_card)


def test_the_record_of_all_this_proves_itself(shared: Any) -> None:
    shared.quiet()
    shared.proven()
    assert all(plan.state.value not in ("approved", "running") for plan in shared.find(Plan))
    assert "Traceback" not in shared.log(), shared.log()[-3000:]
