"""The whole way through Slack: card, contain, preview, two keys, and what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from twokey.core.approvals import Approval
from twokey.core.responsibility import Label
from twokey.core.runbooks import Plan, PlanState
from twokey.core.signals import Principal
from twokey.demo.slack import as_text
from twokey.store import open_store
from twokey.testing import builders, runbooks
from twokey.testing.clocks import SystemClock


def contain(world: Any, name: str = "ana") -> Any:
    """Press Contain on the card, choose the runbook, and return the preview."""
    card = world.said()[0]
    world.people[name].click(card, "incident_contain")
    choose = world.modal(name, "contain_choose")
    world.people[name].submit(choose, {"runbook": runbooks.LEAKED_KEY})
    return world.modal(name, "contain_propose")


def propose(world: Any) -> Any:
    """Propose the leaked-key plan and return its approval card."""
    preview = contain(world)
    world.people["ana"].submit(preview, {"code": "000007", "checked": ["yes"]})
    world.wake()
    return world.slack.wait_for(lambda: approval_card(world))


def approval_card(world: Any) -> Any:
    for message in world.thread(1):
        if message.blocks and message.blocks[0]["type"] == "header":
            return message
    return None


def test_two_people_contain_a_leaked_key_from_card_to_done(world: Any) -> None:
    world.incident()
    asked = propose(world)
    assert "1/2" in as_text(asked)
    world.people["ben"].click(asked, "plan_review")
    modal = world.modal("ben", "plan_approve")
    sent = world.people["ben"].submit(modal, {"typed": "MPLE", "code": "123457"})
    assert sent.ack == {"response_action": "clear"}
    with world.store.read() as look:
        plan = look.find(type(world.containment.plan(asked.blocks[-1]["block_id"].partition(":")[2])))[0]
    assert plan.state is PlanState.APPROVED
    world.executor.execute(plan.id)
    world.wake()
    world.slack.wait_for(lambda: "Done" in as_text(approval_card(world)))


def test_the_proposer_is_refused_inside_the_modal_with_the_exact_reason(world: Any) -> None:
    world.incident()
    asked = propose(world)
    world.people["ana"].click(asked, "plan_review")
    modal = world.modal("ana", "plan_approve")
    assert "You proposed this plan" in as_text(modal)
    sent = world.people["ana"].submit(modal, {"typed": "MPLE", "code": "123457"})
    assert sent.errors == {"typed": "Ana, this is your own plan: another person must stand behind it."}
    with world.store.read() as look:
        assert len(look.find(Approval)) == 1
    assert any(entry.action == "approval.refused" for entry in world.store.entries)


def test_a_wrong_target_and_a_wrong_code_are_shown_where_they_were_typed(world: Any) -> None:
    world.incident()
    asked = propose(world)
    ben = world.people["ben"]
    ben.click(asked, "plan_review")
    modal = world.modal("ben", "plan_approve")
    wrong = ben.submit(modal, {"typed": "XXXX", "code": "123457"})
    assert list(wrong.errors) == ["typed"]
    wrong = ben.submit(modal, {"typed": "MPLE", "code": "123456"})
    assert list(wrong.errors) == ["code"]
    right = ben.submit(modal, {"typed": "MPLE", "code": "123457"})
    assert right.ack == {"response_action": "clear"}


def test_the_same_submission_delivered_thrice_is_one_key_and_the_same_answer(world: Any) -> None:
    world.incident()
    asked = propose(world)
    ben = world.people["ben"]
    ben.click(asked, "plan_review")
    sent = ben.submit(world.modal("ben", "plan_approve"), {"typed": "MPLE", "code": "123457"})
    before = len(world.store.entries)
    sent.redeliver(2)
    assert [attempt.body for attempt in sent.attempts] == [{"response_action": "clear"}] * 3
    assert not [e for e in world.store.entries[before:] if e.action.startswith(("approv", "heard"))]


def test_one_no_ends_the_plan_and_its_old_buttons_answer_privately(world: Any) -> None:
    world.incident()
    asked = propose(world)
    old = list(asked.blocks)
    world.people["ben"].click(asked, "plan_reject")
    world.people["ben"].submit(world.modal("ben", "plan_reject"), {"reason": "wrong account"})
    world.wake()
    world.slack.wait_for(lambda: "Refused" in as_text(approval_card(world)))
    world.people["cho"].click(asked, "plan_review", blocks=old)
    assert "has rejected" in as_text(world.told("cho")[-1])
    assert world.slack.view_of(world.people["cho"]) is None


def test_a_stale_message_is_drawn_anew_when_its_old_button_is_pressed(make_world: Any) -> None:
    world = make_world().start()
    sender = world.send()
    world.incident()
    asked = propose(world)
    old = list(asked.blocks)
    world.leads = False  # the outbox rests: the message in Slack stays as it was
    del sender
    from twokey.testing.people import identity

    plan_id = old[-1]["block_id"].partition(":")[2]
    world.slack.wait_for(lambda: not world.sender._in_flight)
    world.containment.withdraw(plan_id, identity(world.people["ana"].id, world.slack.team_id))
    world.people["cho"].click(asked, "plan_review", blocks=old)
    assert "withdrawn" in as_text(world.told("cho")[-1])
    world.slack.wait_for(lambda: "Withdrawn" in as_text(approval_card(world)))


def test_a_preview_that_another_process_made_is_made_again_and_must_be_the_same(world: Any) -> None:
    world.incident()
    preview = contain(world)
    world.bot.dispatcher.drafts._plans.clear()
    world.people["ana"].submit(preview, {"code": "000007", "checked": ["yes"]})
    with world.store.read() as look:
        assert len(look.find(Approval)) == 1


def test_a_preview_that_is_not_true_any_more_is_shown_anew_and_not_proposed(world: Any) -> None:
    world.incident()
    preview = contain(world)
    world.bot.dispatcher.drafts._plans.clear()
    world.library.edit(runbooks.LEAKED_KEY, title="Another thing entirely")
    world.people["ana"].submit(preview, {"code": "000007", "checked": ["yes"]})
    again = world.modal("ana", "contain_propose")
    assert "Something changed since you looked" in as_text(again)
    with world.store.read() as look:
        assert look.find(Approval) == []


def test_a_slow_cloud_shows_a_waiting_modal_and_then_the_preview(world: Any, monkeypatch: Any) -> None:
    import time

    world.incident()
    world.cloud.slow_on("preview aws.iam.update_access_key", 2.6, time.sleep)
    card = world.said()[0]
    world.people["ana"].click(card, "incident_contain")
    choose = world.modal("ana", "contain_choose")
    sent = world.people["ana"].submit(choose, {"runbook": runbooks.LEAKED_KEY})
    assert sent.ack["view"]["callback_id"] == "wait"
    assert sent.ack_ms < 2900
    world.modal("ana", "contain_propose")


def test_break_glass_runs_on_one_key_and_tells_everybody(world: Any) -> None:
    world.incident()
    preview = contain(world)
    ana = world.people["ana"]
    ana.click(preview, "glass_open")
    glass = world.modal("ana", "glass_break")
    short = ana.submit(glass, {"typed": "MPLE", "code": "123457", "reason": "now"})
    assert list(short.errors) == ["reason"]
    ana.submit(glass, {"typed": "MPLE", "code": "223457", "reason": "nobody else answers the phone"})
    world.wake()
    world.slack.wait_for(lambda: world.slack.direct_messages(world.people["ben"]))
    assert "Break-glass" in as_text(world.slack.direct_messages(world.people["ben"])[0])
    card = world.slack.wait_for(lambda: approval_card(world))
    world.executor.execute(card.blocks[-1]["block_id"].partition(":")[2])
    world.wake()
    card = world.slack.wait_for(lambda: (c := approval_card(world)) and "plan_confirm" in str(c.blocks) and c)
    ben = world.people["ben"]
    ben.click(card, "plan_confirm")
    outcome = world.modal("ben", "run_confirm")
    assert "nobody else answers the phone" in as_text(outcome)
    assert "done, and seen by a read" in as_text(outcome)
    wrong = ben.submit(outcome, {"code": "000000"})
    assert list(wrong.errors) == ["code"]
    ben.submit(outcome, {"code": "333457"})
    world.wake()
    world.slack.wait_for(lambda: "Confirmed afterwards by Ben" in as_text(approval_card(world)))


def test_a_run_that_stops_to_ask_is_answered_with_buttons(world: Any) -> None:
    world.incident()
    asked = propose(world)
    ben = world.people["ben"]
    ben.click(asked, "plan_review")
    ben.submit(world.modal("ben", "plan_approve"), {"typed": "MPLE", "code": "123457"})
    plan_id = asked.blocks[-1]["block_id"].partition(":")[2]
    world.cloud.refuse_on("apply aws.iam.put_user_policy", times=5)
    world.executor.execute(plan_id)
    world.wake()
    assert world.containment.plan(plan_id).state is PlanState.ASKING

    def question() -> Any:
        return next(
            (m for m in world.thread(1) for b in m.blocks if b.get("block_id") == f"ask:{plan_id}"), None
        )

    message = world.slack.wait_for(question)
    ben.click(message, "run_skip")
    form = world.modal("ben", "run_skip")
    assert "partly contained" in as_text(form)
    assert "aws.iam.put_user_policy" in as_text(form)
    assert list(ben.submit(form, {"code": "000000", "checked": ["yes"]}).errors) == ["code"]
    ben.click(world.slack.wait_for(question), "run_skip")
    ben.submit(world.modal("ben", "run_skip"), {"code": "323457", "checked": ["yes"]})
    world.wake()
    card = world.slack.wait_for(
        lambda: approval_card(world) if "Ben asks to skip" in as_text(approval_card(world)) else None
    )
    assert world.containment.plan(plan_id).state is PlanState.ASKING
    ben.click(card, "decision_confirm")
    world.slack.wait_for(lambda: "another person has to confirm" in as_text(world.told("ben")[-1]))
    cho = world.people["cho"]
    cho.click(card, "decision_confirm")
    shown = world.modal("cho", "decision_confirm")
    assert "Ben asks for this" in as_text(shown)
    assert "aws.iam.put_user_policy" in as_text(shown)
    cho.submit(shown, {"code": "423457", "checked": ["yes"]})
    world.slack.wait_for(lambda: world.containment.plan(plan_id).state is PlanState.RUNNING)
    ben.click(message, "run_skip")  # the old button tells, and takes the question away

    def is_answered() -> bool:
        (first,) = [m for m in world.thread(1) if m.ts == message.ts]
        return all(b.get("block_id") != f"ask:{plan_id}" for b in first.blocks)

    world.slack.wait_for(is_answered)


def turned(world: Any, asked: Any) -> str:
    """Let ben turn his key, run the plan, and return its id."""
    ben = world.people["ben"]
    ben.click(asked, "plan_review")
    ben.submit(world.modal("ben", "plan_approve"), {"typed": "MPLE", "code": "123457"})
    plan_id = str(asked.blocks[-1]["block_id"].partition(":")[2])
    world.executor.execute(plan_id)
    world.wake()
    world.slack.wait_for(lambda: "Done" in as_text(approval_card(world)))
    return plan_id


def test_an_undo_is_a_plan_of_its_own(world: Any) -> None:
    world.incident()
    asked = propose(world)
    plan_id = turned(world, asked)
    world.people["cho"].click(approval_card(world), "plan_undo")
    preview = world.modal("cho", "contain_propose")
    assert preview.title == "Undo"
    world.people["cho"].submit(preview, {"checked": ["yes"]})
    with world.store.read() as look:
        undo = look.find(Plan, state=PlanState.PROPOSED)
    assert [plan.undo_of for plan in undo] == [plan_id]
    world.people["ana"].command("/twokey", "undo INC-1", world.channel)
    assert "taken back" in as_text(world.told("ana")[-1])
    world.people["ana"].command("/twokey", "undo INC-1 nothing", world.channel)
    assert "no plan nothing" in as_text(world.told("ana", 2)[-1])


def test_s2_fifty_clicks_by_one_person_are_one_key(world: Any) -> None:
    world.incident()
    asked = propose(world)
    ben = world.people["ben"]
    ben.click(asked, "plan_review")
    modal = world.modal("ben", "plan_approve")
    values = {"typed": "MPLE", "code": "123457"}
    with ThreadPoolExecutor(10) as pool:
        sent = list(pool.map(lambda _: ben.submit(modal, values, force=True), range(50)))
    assert sum(delivery.ack == {"response_action": "clear"} for delivery in sent) == 1
    with world.store.read() as look:
        assert sorted(key.person_id for key in look.find(Approval)) == ["d-ana", "d-ben"]


def test_what_a_runbook_needs_and_nothing_knows_is_asked(world: Any) -> None:
    world.incident(principal=Principal("deploy", "IAMUser"))
    card = world.said()[0]
    ana = world.people["ana"]
    ana.click(card, "incident_contain")
    ana.submit(world.modal("ana", "contain_choose"), {"runbook": runbooks.LEAKED_KEY})
    form = world.modal("ana", "contain_params")
    ana.submit(form, {"param:access_key_id": "not a key"})
    again = world.slack.wait_for(lambda: form if "must be of type" in as_text(form) else None)
    ana.submit(again, {"param:access_key_id": builders.KEY_ID})
    world.modal("ana", "contain_propose")


def test_a_provider_incident_has_nothing_to_contain(world: Any) -> None:
    world.incident(verdict=builders.a_verdict(Label.PROVIDER_OUTAGE), family="health")
    card = world.said(world.channel)[0]
    assert "Contain" not in as_text(card)
    assert "What remains ours" in as_text(card)
    world.people["ana"].command("/twokey", "contain INC-1", world.channel)
    told = world.modal("ana", "told")
    assert "nothing of ours is to be contained" in told.blocks[0]["text"]["text"]


def test_the_bot_comes_back_when_slack_ends_the_connection(world: Any) -> None:
    world.incident()
    card = world.said()[0]
    made = world.slack.socket.connections_made
    world.slack.socket.disconnect("refresh_requested")
    world.slack.wait_for(lambda: world.slack.socket.connections_made > made)
    world.people["ana"].click(card, "incident_acknowledge")
    world.slack.wait_for(lambda: world.response.shown("INC-1").times.acked)
    world.slack.wait_for(world.bot.supervisor.is_alive)


def test_a_lost_connection_is_seen_by_readiness(world: Any) -> None:
    assert world.bot.supervisor.is_alive()
    world.loop.run(world.door.handler.client.disconnect())
    assert world.bot.supervisor.faults() == {"socket": "not connected"}


def test_the_story_goes_the_same_way_on_a_database(make_world: Any, tmp_path: Any) -> None:
    clock = SystemClock()
    store = open_store(f"sqlite:///{tmp_path}/twokey.db", clock, migrate=True)
    world = make_world(store=store, clock=clock).start()
    world.send()
    world.incident()
    asked = propose(world)
    turned(world, asked)
    world.people["ana"].mention(world.security, "note seen", thread_ts=world.said()[0].ts)
    world.slack.wait_for(lambda: [m for m in world.thread(1) if "seen" in m.text])
    assert store.verify()[0] > 20
    world.kill_sender()
    store.close()
