"""Break-glass, taking back, and a run that stops to ask: each once, through Slack, to its end."""

from __future__ import annotations

import json
from typing import Any

from twokey.core.runbooks import Plan
from twokey.demo.company import SHOP, USER
from twokey.demo.proxy import Call


def policies(world: Any) -> list[str]:
    return list(world.company.client("iam", SHOP).list_user_policies(UserName=USER)["PolicyNames"])


def sids(world: Any, bucket: str) -> list[str]:
    return [str(statement.get("Sid")) for statement in world.company.statements(bucket)]


def test_break_glass_runs_on_one_key_is_told_to_every_approver_and_confirmed_by_another(shared: Any) -> None:
    world = shared
    view = world.preview("aws.disable-leaked-access-key", person=world.ben)
    world.ben.click(view, "glass_open")
    modal = world.until(lambda: world.view(world.ben, "glass_break"))
    last4 = world.company.key_id[-4:]
    short = world.fill(world.ben, modal, typed=last4, reason="now")
    assert short.errors, "a reason is more than a word"
    assert world.company.key_status() == "Active"
    delivery = world.fill(world.ben, modal, typed=last4, reason="nobody else is awake and it deletes buckets")
    assert not delivery.errors, delivery.errors
    plan = world.until(lambda: next((p for p in world.find(Plan) if p.break_glass_by), None))
    world.ends(plan.id, "done")
    assert world.company.key_status() == "Inactive"
    world.quiet()
    for approver in (world.cy, world.dee, world.eve, world.ana):
        told = " ".join(world.slack.show(m, 4000) for m in world.slack.direct_messages(approver))
        assert "nobody else is awake" in told, approver
    assert not world.slack.direct_messages(world.ben)

    said = world.private(
        world.ben, lambda: world.ben.command("/twokey", "resolve INC-1 contained", world.security)
    )
    assert "Done for INC-1" in said

    def card() -> Any:
        found = [
            m for m in world.thread() if any(f"approval:{plan.id}" == b.get("block_id") for b in m.blocks)
        ]
        return found[-1]

    refused = world.private(world.ben, lambda: world.ben.click(card(), "plan_confirm"))
    assert "own" in refused or "another" in refused, refused
    world.cy.click(card(), "plan_confirm")
    outcome = world.until(lambda: world.view(world.cy, "run_confirm"))
    assert not world.fill(world.cy, outcome).errors
    world.until(lambda: "confirmed" in world.actions())
    world.quiet()


def test_a_run_is_taken_back_by_a_plan_of_its_own_with_its_own_two_keys(shared: Any) -> None:
    world = shared
    before = sids(world, "shop-images")
    done = world.propose(buckets="shop-images")
    world.key(world.dee, done)
    world.ends(world.plan_id(done), "done")
    assert len(sids(world, "shop-images")) == len(before) + 1
    world.quiet()
    world.ana.click(world.fresh(done), "plan_undo")
    view = world.until(lambda: world.view(world.ana, "contain_propose", "told"))
    assert view.callback_id == "contain_propose", world.slack.show(view)
    known = len(world.plan_cards())
    assert not world.fill(world.ana, view).errors
    world.until(lambda: len(world.plan_cards()) > known)
    undo = world.plan_cards()[-1]
    world.drawn[undo.ts] = undo.blocks
    assert "your own plan" in " ".join(world.key(world.ana, undo).errors.values())
    world.ana.close(world.slack.view_of(world.ana))
    assert not world.key(world.eve, undo).errors
    world.ends(world.plan_id(undo), "done")
    assert sids(world, "shop-images") == before
    world.quiet()


def test_a_run_that_cannot_go_on_asks_and_retry_goes_on_where_it_stood(shared: Any) -> None:
    world = shared
    denied = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>denied</Message></Error>"
    operation = "PutBucketPolicy"
    plan_card = world.propose(buckets="shop-exports,shop-backups")
    plan_id = world.plan_id(plan_card)

    def deny_second(call: Call) -> bool:
        if call.operation == operation and "shop-exports" in call.path:
            world.proxy.answers[operation] = (403, denied)
        return True

    world.proxy.before.append(deny_second)
    assert not world.key(world.ben, plan_card).errors
    world.ends(plan_id, "asking")
    world.quiet()
    question = world.until(
        lambda: next(
            (
                m
                for m in reversed(world.thread())
                if "run_retry" in json.dumps(m.blocks) and m.ts != plan_card.ts
            ),
            None,
        )
    )
    assert "AWS did not allow s3:PutBucketPolicy" in world.thread_text()
    assert "not on the roster" not in world.thread_text()
    assert "nobody on the roster" in world.private(
        world.stranger, lambda: world.stranger.click(question, "run_retry")
    )
    assert world.state(plan_id) == "asking"
    world.proxy.before.remove(deny_second)
    world.proxy.answers.clear()
    world.dee.click(question, "run_retry")
    world.ends(plan_id, "done")
    assert all(any("Twokey" in sid for sid in sids(world, b)) for b in ("shop-exports", "shop-backups"))
    world.quiet()
    world.proven()
    assert "Traceback" not in world.log(), world.log()[-3000:]
