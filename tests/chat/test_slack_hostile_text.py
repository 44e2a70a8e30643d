"""S7: an attacker's text on every surface: no live mention or link, nothing hidden, within Slack's limits."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from twokey.chat.slack.views import lists, modals
from twokey.chat.slack.views.cards import incident_card, incident_text, thread_message
from twokey.chat.slack.views.details import details
from twokey.chat.slack.views.inforce import in_force
from twokey.chat.slack.views.plans import plan_card, plan_text
from twokey.chat.slack.views.review import overview
from twokey.chat.slack.views.text import Words, code, escape, fenced, plain, shown
from twokey.core.approvals import ApprovalStatus
from twokey.core.containments import InForce, InForceState
from twokey.core.errors import message
from twokey.core.runbooks import PlanState, Touch
from twokey.core.signals import Principal, Resource
from twokey.demo.slack import live_mentions
from twokey.demo.slack.limits import check_message, check_view
from twokey.testing import builders, runbooks

HOSTILE = {
    "channel": "<!channel> wake up",
    "here": "<!here|everybody>",
    "user": "<@U0APPROVER>",
    "group": "<!subteam^S0TEAM|@security>",
    "link": "<https://evil.example|Approve>",
    "bare link": "see https://evil.example/approve and mailto:x@evil.example",
    "channel link": "<#C0FFEE|general>",
    "date link": "<!date^1392734382^{date}^https://evil.example|click>",
    "code": "`code` ```fence``` *bold* _it_ ~no~",
    "fence end": "```\n<!channel>\n```",
    "quote": "> quoted\n>>> all",
    "entity": "&lt;!channel&gt; &amp;lt;",
    "rtl": "safe\u202egpj.exe\u2066\u2069 \u200f\u061c",
    "zero width": "ap\u200bprove\u200d\ufeff\u2060\u00ad",
    "control": "a\x00b\x07\x1b[31mred\x1b[0m\r\n\x7f\x85\u2028\u2029",
    "surrogate": "half \ud83d pair",
    "blank letters": "\u3164\u115f\u2800",
    "template": "{{ 7*7 }} ${{ incident.id }} {plan} %s {0.__class__}",
    "newlines": "\n" * 50 + "end",
    "long": "A" * 5000,
    "long entities": "<&>" * 2000,
    "long wide": "障害" * 4000,
    "megabyte": "<!channel> " * 100_000,
    "empty": "",
}
HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def name(_: str) -> str:
    return "Aoi"


def hostile_incident(text: str) -> Any:
    return builders.an_incident(
        "INC-1",
        title=text,
        account=text,
        region=text,
        service=text,
        tracking_id=text,
        provider=text,
        family=text,
        cancel_reason=text,
        principal=Principal(text, text, text, text),
        resources=(Resource(text, text, text),) * 8,
        verdict=builders.a_verdict(reason=text, rule=text),
    )


def hostile_plan(text: str) -> Any:
    plan = builders.a_plan(digest="d" * 64)
    step = replace(
        plan.steps[1],
        inputs={"name": text, "document": {"Statement": [{"Resource": text}] * 3}, text[:20]: text},
        irreversible=text,
        undo=None,
    )
    return replace(
        plan,
        title=text,
        touches=(Touch("bucket", text, text),) * 30,
        steps=(plan.steps[0], step),
        observed={step.id: {"policy": text}},
        blast={text[:30]: 3},
        reason=message("refused.guard", guard=text, why=text),
        notes=(message("refused.guard", guard=text, why=text),),
        warnings=(message("refused.guard", guard=text, why=text),) * 12,
        why=text,
        break_glass_by="d-aoi",
        break_glass_reason=text,
        state=PlanState.PROPOSED,
    )


def hostile_containment(text: str) -> InForce:
    return InForce(
        *("plan-1/step", "plan-1", "INC-1", InForceState.DRIFTED, text, builders.at(0)),
        step_id=text,
        action=text,
        title=text,
        digest="d" * 64,
        touches=(Touch("bucket", text, text),) * 3,
        people=(text,) * 3,
        owner=text,
    )


STANDING = ApprovalStatus(("d-aoi",), 2, (message("standing.lost_role", person="<!channel>"),))


def messages_of(text: str, words: Words) -> dict[str, Any]:
    """Every message that can hold an attacker's text."""
    incident, plan = hostile_incident(text), hostile_plan(text)
    entries = [replace(e, data={"text": text, "code": text[:50]}) for e in builders.the_story()]
    hostile_name: Callable[[str], str] = lambda _: text  # noqa: E731
    return {
        "card": incident_card(incident, hostile_name, words),
        "thread": thread_message(
            [message("response.noted", person=text, text=text)] * 3,
            {"audit_seq": "1", "audit_hash": text},
            words,
            "",
        )[1],
        "unreadable": thread_message(
            [message("intake.unreadable", source=text, reason=text, raw=text)], {}, words
        )[1],
        "approval": plan_card(plan, STANDING, hostile_name, words),
        "list": lists.incidents([incident] * 10, 95, hostile_name, words, which="open", page=2),
        "pick": lists.pick_incident([incident] * 5, "ack", text, words),
        "pending": lists.pending([plan] * 10, hostile_name, words),
        "runs": lists.runs("INC-1", [replace(plan, state=PlanState.DONE)] * 10, words),
        "timeline": lists.timeline(incident, entries * 10, hostile_name, words),
        "postmortem": lists.postmortem("INC-1", text, "/twokey", words),
        "in force": in_force([hostile_containment(text)] * 30, hostile_name, words, "/twokey"),
        "card in force": incident_card(incident, name, words, [hostile_containment(text)] * 30),
        "drifted": thread_message(
            [message("watch.step_reason", step=text, what=text, why=message("watch.not_found", action=text))],
            {},
            words,
        )[1],
        "whoami": lists.whoami(builders.a_person(name=text, scopes=(text,)), words),
    }


def views_of(text: str, words: Words) -> dict[str, Any]:
    """Every modal that can hold an attacker's text."""
    incident, plan = hostile_incident(text), hostile_plan(text)
    book = replace(runbooks.disable_leaked_key(), title=text)
    return {
        "choose": modals.choose_runbook(incident, [book] * 12, "C1", words),
        "preview": modals.preview(plan, STANDING, name, {"draft": "x"}, words),
        "approve": modals.approve(plan, STANDING, name, words, viewer="d-aoi", channel="C1"),
        "details": modals.details_of(plan, words, {"draft": "x"}),
        "second page": modals.approve(plan, STANDING, name, words, viewer="d-aoi", channel="C1", page=2),
        "reject": modals.reject(plan, "C1", words),
        "glass": modals.break_glass(plan, {"draft": "x"}, words),
        "told": modals.alert(words, message("refused.guard", guard=text, why=text)),
        "severity": modals.change_severity(incident, "C1", words),
        "status": modals.change_state(replace(incident, id=text[:40] or "x"), "C1", words),
        "params": modals.parameters(
            "INC-1",
            book,
            book.params,
            words,
            channel="C1",
            problem=message("plan.param_type", param=text, type=text, value=text),
        ),
    }


def texts(content: Any) -> list[str]:
    if isinstance(content, dict):
        own = [content["text"]] if isinstance(content.get("text"), str) else []
        return own + [t for value in content.values() for t in texts(value)]
    if isinstance(content, list):
        return [t for item in content for t in texts(item)]
    return []


def hidden(content: Any) -> list[str]:
    return [
        hex(ord(c))
        for text in texts(content)
        for c in text
        if c != "\n" and unicodedata.category(c) in HIDDEN
    ]


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_s7_no_message_is_alive_hides_anything_or_is_too_long(kind: str, language: str) -> None:
    for surface, blocks in messages_of(HOSTILE[kind], Words(language)).items():
        assert live_mentions(blocks, strict=True) == [], surface
        assert hidden(blocks) == [], surface
        check_message(blocks)
        json.dumps(blocks).encode()
        assert sum(map(len, texts(blocks))) <= 12_000, surface


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_s7_no_modal_is_alive_hides_anything_or_is_too_long(kind: str, language: str) -> None:
    for surface, view in views_of(HOSTILE[kind], Words(language)).items():
        assert live_mentions(view["blocks"], strict=True) == [], surface
        assert hidden(view) == [], surface
        check_view(view)
        assert len(json.dumps(view)) < 250_000, surface


@pytest.mark.parametrize("kind", HOSTILE)
def test_s7_the_line_of_a_notification_is_dead_text(kind: str) -> None:
    text = HOSTILE[kind]
    words = Words()
    lines = [
        incident_text(hostile_incident(text), words),
        plan_text(hostile_plan(text), words),
        thread_message([message("response.noted", person=text, text=text)], {}, words)[0],
    ]
    assert [m for m in live_mentions(lines) if m.kind != "link" or "|" in m.label] == []
    assert all(len(line) <= 3000 for line in lines)


def test_s7_approval_surfaces_show_ids_of_the_plan_and_nothing_of_the_finding() -> None:
    plan = builders.a_plan()
    blocks = [
        *plan_card(plan, STANDING, name, Words()),
        *(block for page in details(plan, Words()) for block in page),
    ]
    blocks += overview(plan, STANDING, name, Words(), kind="plan")
    said = " ".join(texts(blocks))
    assert builders.KEY_ID in said
    assert builders.a_signal().title not in said


def test_s7_what_is_left_out_is_counted() -> None:
    assert shown("A" * 700, 600) == "A" * 579 + "\u2026 121 more characters"
    assert len(shown("<" * 700, 600)) <= 600
    assert "&lt" not in shown("<" * 700, 600).replace("&lt;", "")
    assert shown("A" * 600, 600) == "A" * 600


def test_s7_the_small_functions() -> None:
    assert escape("<!channel> & `x`") == "&lt;!channel&gt; &amp; \u02cbx\u02cb"
    assert escape("a\u202eb\x00") == "a\u27e8U+202E\u27e9b\u27e8U+0000\u27e9"
    assert plain("<!here>\n x") == "\u2039!here\u203a x"
    assert code("a\n`b") == "`a \u02cbb`"
    assert fenced("```<") == "```\u02cb\u02cb\u02cb&lt;```"
    assert Words("ja").of(
        message("response.moved", before="triage", after="cancelled", person="Ben", reason="benign")
    ) == ("状態を トリアージ中 から *取り消し* に変更しました（Ben さん）。理由: 無害")


def test_a_reason_inside_a_reason_is_put_into_words() -> None:
    inner = message("check.does_not_hold", check="aws.x")
    assert (
        Words().of(message("refused.guard", guard="g", why=inner))
        == "The guard g does not hold: aws.x says no"
    )
