"""What people type: after the command, after the bot's name in a thread, and by pressing."""

from __future__ import annotations

import time
from typing import Any

import pytest

from twokey.chat.slack.inbound import commands
from twokey.chat.slack.inbound.parsing import parse
from twokey.chat.slack.inbound.verbs import Command
from twokey.core.incidents import Severity, State
from twokey.core.people import Role
from twokey.demo.slack import as_text

VERBS = commands.VERBS
ALIASES = {alias: verb.name for verb in VERBS.values() for alias in verb.aliases}


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("", Command("help")),
        ("  ack   INC-12 ", Command("ack", "INC-12")),
        ("ACK inc-012", Command("ack", "INC-12")),
        ("show 12", Command("show", "INC-12")),
        ("info #12", Command("show", "INC-12")),
        ("list mine 2", Command("list", "", ("mine", "2"), "mine 2")),
        (
            "note INC-3 it's &lt;bad&gt; &amp; “odd”",
            Command("note", "INC-3", ("it's", "<bad>", "&", '"odd"'), "it's <bad> & “odd”"),
        ),
        ("note 12 hosts were hit", Command("note", "", ("12", "hosts", "were", "hit"), "12 hosts were hit")),
        ("sev INC-3 2", Command("severity", "INC-3", ("2",), "2")),
        (
            "reclassify 3 informational it's noise",
            Command("classify", "INC-3", ("informational", "it's", "noise"), "informational it's noise"),
        ),
        ("role INC-1 ic <@U0ABC|ben>", Command("role", "INC-1", ("ic",), "ic <@U0ABC|ben>", "U0ABC")),
        ("contain INC-1 'aws.x y'", Command("contain", "INC-1", ("aws.x y",), "'aws.x y'")),
        ("contian INC-1", Command("contian", guess="contain")),
        ("xyzzy", Command("xyzzy")),
    ],
)
def test_a_command_is_read(text: str, asked: Command) -> None:
    read = parse(text)
    if asked.verb == "note" and "odd" in asked.rest:
        assert (read.verb, read.incident, read.rest) == (asked.verb, asked.incident, asked.rest)
    else:
        assert read == asked


def test_in_a_thread_a_bare_number_is_not_an_incident() -> None:
    assert parse("<@UBOT> cancel 5", "UBOT", in_thread=True).incident == ""
    assert parse("<@UBOT> ack INC-5", "UBOT", in_thread=True).incident == "INC-5"


def test_every_alias_means_a_verb() -> None:
    assert set(ALIASES.values()) <= set(VERBS)


def say(world: Any, text: str, name: str = "ana") -> str:
    """Type a command and return what one is told."""
    before = len(world.slack.ephemerals(world.people[name]))
    delivery = world.people[name].command("/twokey", text, world.channel)
    assert delivery.acked
    return as_text(world.told(name, before + 1)[-1])


def test_the_verbs_work_an_incident(world: Any) -> None:
    world.incident()
    assert "two people before anything" in say(world, "")
    assert "INC-1" in say(world, "list")
    assert "guardduty-finding" in say(world, "show INC-1")
    assert "You are on INC-1 now" in say(world, "ack INC-1")
    assert "before; nothing changed" in say(world, "ack 1")
    say(world, "role INC-1 ic @ben")
    assert world.response.shown("INC-1").commander == "d-ben"
    say(world, "note INC-1 the key was in a public .env")
    assert "public .env" in as_text(
        world.slack.wait_for(lambda: [m for m in world.thread(1) if "public" in m.text])[0]
    )
    say(world, "severity INC-1 1")
    assert world.response.shown("INC-1").severity is Severity.SEV1
    assert "reason" in say(world, "classify INC-1")
    assert "customer-config" in say(world, "classify INC-1 customer-confg it was us")
    assert "Say why" in say(world, "classify INC-1 customer-config")
    say(world, "classify INC-1 customer-config <!here> our *own* setting")
    assert world.response.shown("INC-1").verdict.rule == "human"
    (told,) = world.slack.wait_for(lambda: [m for m in world.thread(1) if "Verdict" in m.text])
    assert "&lt;!here&gt;" in told.text
    assert "<!here>" not in told.text
    say(world, "status INC-1 monitoring")
    say(world, "resolve INC-1 key rotated")
    assert world.response.shown("INC-1").state is State.RESOLVED
    assert "opened" in say(world, "audit INC-1")
    assert "# INC-1 (en, internal)" in say(world, "pm INC-1")
    assert "Ana" in say(world, "whoami")
    assert "Nothing waits" in say(world, "pending")


def test_refusals_name_what_would_be_right(world: Any) -> None:
    world.incident()
    assert "Did you mean `/twokey contain`" in say(world, "contian INC-1").replace(
        "\n", " "
    ) or "contain" in say(world, "contian INC-1")
    assert "There is no incident INC-99" in say(world, "show INC-99")
    assert "investigating" in say(world, "status INC-1 nonsense")
    assert "It can go to" in say(world, "status INC-1 postmortem")
    assert "false-positive" in say(world, "cancel INC-1 because")
    assert "SEV1" in say(world, "severity INC-1 9")
    assert "no list" in say(world, "list everything")
    assert "no role" in say(world, "role INC-1 king @ben").lower()


def test_a_verb_without_an_incident_offers_the_latest_five(world: Any) -> None:
    for number in range(1, 8):
        world.incident(number)
    assert "Which incident" in say(world, "ack")
    offered = world.slack.ephemerals(world.people["ana"])[-1]
    buttons = [block for block in offered.blocks if "accessory" in block]
    assert [block["accessory"]["value"] for block in buttons] == ["INC-7", "INC-6", "INC-5", "INC-4", "INC-3"]
    world.people["ana"].click(offered, "pick_ack", "INC-5")
    world.slack.wait_for(lambda: world.response.shown("INC-5").times.acked)


def test_lists_are_turned_page_by_page_in_their_place(world: Any) -> None:
    for number in range(1, 24):
        world.incident(number)
    assert "Page 1 of 3" in say(world, "list")
    page = world.slack.ephemerals(world.people["ana"])[-1]
    world.people["ana"].click(page, "list_next")
    world.slack.wait_for(lambda: "Page 2 of 3" in as_text(page))


def test_a_mention_in_the_thread_knows_its_incident(world: Any) -> None:
    world.incident()
    card = world.said()[0]
    world.people["ana"].mention(world.security, "ack", thread_ts=card.ts)
    world.slack.wait_for(lambda: world.response.shown("INC-1").times.acked)
    world.people["ben"].mention(world.security, "note 12 hosts <b>", thread_ts=card.ts)
    world.slack.wait_for(lambda: [m for m in world.thread(1) if "12 hosts" in m.text])
    world.people["ben"].mention(world.security, "contain", thread_ts=card.ts)
    button = next(m for m in world.told("ben", 2) if m.blocks[-1]["type"] == "actions")
    world.people["ben"].click(button, "incident_contain")
    world.modal("ben", "contain_choose")


def test_a_mention_elsewhere_asks_for_the_incident(world: Any) -> None:
    world.incident()
    world.people["ana"].mention(world.channel, "ack")
    assert "Which incident" in as_text(world.told("ana")[0])


def test_the_menu_behind_the_dots_opens_forms(world: Any) -> None:
    world.incident()
    card = world.said()[0]
    ana = world.people["ana"]
    ana.click(card, "incident_more", "note INC-1")
    ana.submit(world.modal("ana", "incident_note"), {"text": "seen it"})
    world.slack.wait_for(lambda: [m for m in world.thread(1) if "seen it" in m.text])
    ana.click(card, "incident_more", "status INC-1")
    refused = ana.submit(world.modal("ana", "incident_status"), {"state": "cancelled"})
    assert "false-positive" in refused.errors["cancel"]
    ana.submit(world.modal("ana", "incident_status"), {"state": "cancelled", "cancel": "benign"})
    world.slack.wait_for(lambda: world.response.shown("INC-1").state is State.CANCELLED)
    world.slack.wait_for(lambda: "Acknowledge" not in as_text(card))


def test_taking_command_shows_on_the_card(world: Any) -> None:
    world.incident()
    card = world.said()[0]
    world.people["ben"].click(card, "incident_command")
    world.slack.wait_for(lambda: "Ben" in as_text(card))
    assert "Take command" not in as_text(card)


def test_an_old_button_on_a_finished_incident_tells_why_and_draws_the_card_anew(world: Any) -> None:
    world.incident()
    card = world.said()[0]
    old = list(card.blocks)
    say(world, "cancel INC-1 duplicate")
    world.slack.wait_for(lambda: "Cancelled" in as_text(card))
    world.people["ben"].click(card, "incident_acknowledge", blocks=old)
    assert "INC-1 is over" in as_text(world.told("ben")[0])


def test_an_unknown_button_says_that_nothing_was_done(world: Any) -> None:
    world.incident()
    card = world.said()[0]
    old = [
        {
            "type": "actions",
            "block_id": "x",
            "elements": [
                {
                    "type": "button",
                    "action_id": "approve_v0",
                    "value": "1",
                    "text": {"type": "plain_text", "text": "Approve"},
                }
            ],
        }
    ]
    world.people["ana"].click(card, "approve_v0", blocks=old)
    assert "another version of the bot" in as_text(world.told("ana")[0])


def test_each_reads_their_own_language(make_world: Any) -> None:
    world = make_world(language="ja").start()
    world.send()
    world.join("yui", locale="ja-JP")
    world.incident()
    assert "自社側: セキュリティ" in as_text(world.said()[0])
    assert "Open incidents" in say(world, "list")
    assert "対応中のインシデント" in say(world, "list", "yui")
    world.rosters.change("d-ana", language="ja")
    assert "対応中のインシデント" in say(world, "list")


# Who may: S2, S3


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"is_bot": True}, "is a bot"),
        ({"is_restricted": True}, "guest"),
        ({"is_ultra_restricted": True}, "guest"),
        ({"deleted": True}, "deactivated"),
        ({"team_id": "T0OTHER01"}, "another workspace"),
    ],
)
def test_s3_accounts_that_may_not_act_are_told_why(world: Any, flags: dict[str, Any], reason: str) -> None:
    world.incident()
    world.join("mal", **flags)
    assert reason in say(world, "ack INC-1", "mal")
    assert reason in say(world, "show INC-1", "mal")
    assert world.response.shown("INC-1").times.acked is None


def test_s3_an_empty_roster_is_nobody(world: Any) -> None:
    world.incident()
    for name in ("ana", "ben", "cho"):
        world.rosters.without(f"d-{name}")
    assert "names nobody" in say(world, "ack INC-1")


def test_s3_slack_not_answering_is_nobody_and_says_so(world: Any) -> None:
    world.incident()
    world.slack.faults.server_error("users.info", times=None)
    told = say(world, "ack INC-1").replace("\n", " ")
    assert "belongs to nobody" in told
    assert "did not tell us who you are" in " ".join(told.replace("│", " ").split())
    assert world.response.shown("INC-1").times.acked is None


def test_s3_a_shared_channel_is_refused(world: Any) -> None:
    world.incident()
    world.channel.is_ext_shared = True
    assert "shared with another organisation" in " ".join(say(world, "ack INC-1").replace("│", " ").split())


def test_s3_a_key_is_never_turned_on_what_was_remembered(world: Any) -> None:
    """Ben is deactivated between opening the modal and sending it."""
    world.incident()
    plan = world.plan()
    world.wake()
    say(world, "pending", "ben")
    mine = world.slack.ephemerals(world.people["ben"])[-1]
    world.people["ben"].click(mine, "plan_review", plan.id)
    modal = world.modal("ben", "plan_approve")
    world.people["ben"].member.deleted = True
    sent = world.people["ben"].submit(modal, {"typed": "MPLE", "code": "123457"})
    assert "deactivated" in sent.errors["typed"]
    assert world.containment.approval_status(plan.id).people == ("d-ana",)


def test_s2_two_accounts_of_one_person_are_one_key(world: Any) -> None:
    world.incident()
    second = world.slack.add_user("ana-phone")
    roster = world.rosters.roster
    ana = roster.person("d-ana")
    world.rosters.change(
        "d-ana", accounts=(*ana.accounts, type(ana.accounts[0])(world.slack.team_id, second.id))
    )
    world.people["ana-phone"] = second
    plan = world.plan()
    world.people["ana-phone"].command("/twokey", "pending", world.channel)
    assert "Nothing waits" in as_text(world.told("ana-phone")[0])
    world.wake()
    card = world.slack.wait_for(
        lambda: [m for m in world.thread(1) if m.blocks and m.blocks[0]["type"] == "header"]
    )[0]
    second.click(card, "plan_review")
    sent = second.submit(world.modal("ana-phone", "plan_approve"), {"typed": "MPLE", "code": "123457"})
    assert "your own plan" in sent.errors["typed"]
    assert world.containment.approval_status(plan.id).people == ("d-ana",)


def test_s5_a_digest_from_another_plan_is_refused(world: Any) -> None:
    world.incident()
    plan = world.plan()
    world.wake()
    card = world.slack.wait_for(
        lambda: [m for m in world.thread(1) if m.blocks and m.blocks[0]["type"] == "header"]
    )[0]
    world.people["ben"].click(card, "plan_review")
    modal = world.modal("ben", "plan_approve")
    modal.body["private_metadata"] = modal.body["private_metadata"].replace(plan.digest, "0" * 64)
    sent = world.people["ben"].submit(modal, {"typed": "MPLE", "code": "123457"})
    assert "is not the one you were shown" in sent.errors["typed"]


def test_acknowledgements_are_quick_while_the_cloud_is_slow(world: Any) -> None:
    world.incident()
    world.join("dia", Role.RESPONDER)
    world.cloud.slow_on("preview aws.iam.update_access_key", 1.5, time.sleep)
    card = world.said()[0]
    ana = world.people["ana"]
    ana.click(card, "incident_contain")
    ana.submit(world.modal("ana", "contain_choose"), {"runbook": "aws.disable-leaked-access-key"})
    delivery = world.people["ben"].click(card, "incident_acknowledge")
    assert delivery.ack_ms < 500
