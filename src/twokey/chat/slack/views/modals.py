"""Modals: choosing a runbook, previewing, approving and rejecting a plan, and small forms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from twokey.chat.slack.payloads import private_metadata
from twokey.chat.slack.views.blocks import (
    VIEW_BLOCKS,
    VIEW_TEXT,
    Block,
    actions,
    ask,
    button,
    context,
    is_fitting,
    line,
    modal,
    section,
    select,
    text_length,
)
from twokey.chat.slack.views.cards import Names
from twokey.chat.slack.views.details import details
from twokey.chat.slack.views.review import overview, page_buttons
from twokey.chat.slack.views.text import Words, code, plain, shown
from twokey.core.approvals import ApprovalStatus, needs_signature, needs_typed_target, proposer_needs_code
from twokey.core.errors import Message, Refused
from twokey.core.incidents import CANCEL_REASONS, Incident, Severity, State, require_legal_move
from twokey.core.runbooks import Param, Plan, Risk, Runbook

_PARAM = re.compile(r"params\.(\w+)")


def loading(words: Words, sentence: str = "chat.modal.loading") -> Block:
    """Return what is shown while clouds are read."""
    return _modal(words, "contain", [section("\u23f3 " + words(sentence))], callback_id="wait")


def alert(words: Words, message: Message, title: str = "contain") -> Block:
    """Return a modal that says one thing."""
    return _modal(words, title, [section(words.of(message))], callback_id="told")


def choose_runbook(incident: Incident, books: Sequence[Runbook], channel: str, words: Words) -> Block:
    """Return the menu of approved runbooks that fit, the best one first."""
    intro = section(words("chat.modal.choose_intro", incident=incident.id, account=incident.account))
    if not books:
        return _modal(words, "contain", [intro, section(words("chat.modal.no_runbook"))], callback_id="told")
    choices, lines = [], []
    for book in books:
        choice = f"{words.plain(f'chat.risk.{book.risk.value}')} · {book.title}"
        choices.append((plain(choice, 75, words.language), book.id))
    for book in books[:8]:
        risk = f"{words('chat.plan.risk')}: {words(f'chat.risk.{book.risk.value}')}"
        undo = f"{words('chat.plan.undo')}: {words(f'chat.reversible.{book.reversible}')}"
        name = code(f"{book.id}@{book.version}", 100)
        lines.append(f"• {name} {shown(book.title, 120)} ({risk}, {undo})")
    menu = select("runbook", choices, words.plain("chat.modal.choose"))
    return _modal(
        words,
        "contain",
        [
            intro,
            ask(words.plain("chat.modal.runbook"), menu, "runbook"),
            context("\n".join(lines)[:2900]),
        ],
        callback_id="contain_choose",
        submit="chat.button.preview",
        metadata=private_metadata(incident=incident.id, channel=channel),
    )


def parameters(
    incident_id: str,
    book: Runbook,
    wanted: Sequence[Param],
    words: Words,
    *,
    channel: str,
    problem: Message | None,
) -> Block:
    """Return the form for what a runbook needs and nothing else knows."""
    blocks = [section(words("chat.modal.params_intro", runbook=book.id, incident=incident_id))]
    if problem:
        blocks.append(section("\u26a0\ufe0f " + words.of(problem)))
    for param in wanted[:20]:
        hint = plain(param.type, 100)
        blocks.append(ask(plain(param.name, 100), line("value", most=1000), f"param:{param.name}", hint=hint))
    return _modal(
        words,
        "contain",
        blocks,
        callback_id="contain_params",
        submit="chat.button.preview",
        metadata=private_metadata(incident=incident_id, runbook=book.id, channel=channel),
    )


def preview(
    plan: Plan,
    status: ApprovalStatus,
    name: Names,
    ids: Mapping[str, str],
    words: Words,
    *,
    warning: Message | None = None,
    page: int = 1,
) -> Block:
    """Return what a proposer confirms: what to know first, exact targets, reach; and why it is wanted."""
    blocks = [section("\u26a0\ufe0f " + words.of(warning))] if warning else []
    blocks += overview(plan, status, name, words, kind="preview", page=page)
    blocks.append(context(words("chat.modal.preview_intro", digest=plan.short)))
    blocks.append(
        ask(words.plain("chat.modal.why"), line("reason", long=True, most=1000), "reason", optional=True)
    )
    if proposer_needs_code(plan) and not needs_signature(plan):
        blocks.append(_code(words, "chat.modal.own_code_hint", optional=True))
    blocks.append(_checked(words))
    if plan.break_glass_allowed and plan.risk is not Risk.CRITICAL:
        blocks += actions(
            button(
                words.plain("chat.button.break_glass"), "glass_open", ids.get("draft", "-"), style="danger"
            ),
            block_id="glass",
        )
    return _whole(
        words,
        "undo" if plan.undo_of else "contain",
        blocks,
        callback_id="contain_propose",
        submit="chat.button.propose",
        metadata=private_metadata(**ids),
    )


def approve(
    plan: Plan,
    status: ApprovalStatus,
    name: Names,
    words: Words,
    *,
    viewer: str,
    channel: str,
    link: str = "",
    no_link: Message | None = None,
    page: int = 1,
) -> Block:
    """Return the form of an approval: the plan again, and what its profile asks for.

    `link` is where this person can sign instead; a plan that takes signatures only has that and no form.
    """
    blocks = []
    if viewer and viewer == plan.requester:
        blocks.append(section("\u26a0\ufe0f " + words("chat.modal.your_own")))
    elif viewer and viewer in status.people:
        blocks.append(section("\u26a0\ufe0f " + words("chat.modal.your_key_turned")))
    blocks += overview(plan, status, name, words, kind="plan", page=page)
    blocks.append(
        context(words("chat.modal.approve_intro", requester=name(plan.requester), digest=plan.short))
    )
    if no_link:
        blocks.append(section("\u26a0\ufe0f " + words.of(no_link)))
    if link:
        blocks += passkey_link("sign", link, words)
    if needs_signature(plan):
        return _modal(
            words,
            "approve",
            blocks,
            callback_id="told",
            metadata=private_metadata(plan=plan.id, digest=plan.digest, channel=channel),
        )
    if needs_typed_target(plan):
        blocks.append(_typed(plan, words))
    if plan.approval.step_up == "totp":
        blocks.append(_code(words))
    if not needs_typed_target(plan):
        blocks.append(_checked(words))
    return _whole(
        words,
        "approve",
        blocks,
        callback_id="plan_approve",
        submit="chat.button.turn_key",
        metadata=private_metadata(plan=plan.id, digest=plan.digest, channel=channel),
    )


def details_of(plan: Plan, words: Words, ids: Mapping[str, str], *, page: int = 1) -> Block:
    """Return one page of all steps and documents; it is only read."""
    every = details(plan, words)
    page = min(max(page, 1), len(every))
    blocks = list(every[page - 1])
    if len(every) > 1:
        blocks.append(context(words("chat.plan.details_page", page=page, pages=len(every))))
        blocks += actions(*page_buttons("details_page", page, len(every), words), block_id="pages")
    return _modal(words, "details", blocks, callback_id="told", metadata=private_metadata(**ids))


def passkey_link(what: str, link: str, words: Words) -> list[Block]:
    """Return the button that opens a page on which one signs, or makes a passkey; `what` is sign or add."""
    open_page = button(words.plain(f"chat.button.passkey_{what}"), "passkey_open", what, url=link)
    return [section(words(f"chat.passkey.{what}")), *actions(open_page)]


def reject(plan: Plan, channel: str, words: Words) -> Block:
    """Return the question for a reason: one rejection ends the plan."""
    return _modal(
        words,
        "reject",
        [
            section(words("chat.modal.reject_intro", title=plan.title, digest=plan.short)),
            ask(words.plain("chat.modal.reason"), line("reason", long=True, most=1000), "reason"),
        ],
        callback_id="plan_reject",
        submit="chat.button.reject",
        metadata=private_metadata(plan=plan.id, channel=channel),
    )


def break_glass(
    plan: Plan,
    ids: Mapping[str, str],
    words: Words,
    *,
    name: Names = str,
    told: Sequence[str] = (),
    page: int = 1,
) -> Block:
    """Return the break-glass form: what it does, who is told, and what one person alone has to give."""
    said = (
        words("chat.modal.glass_told", people=", ".join(told)[:500])
        if told
        else words("chat.modal.glass_told_nobody")
    )
    blocks = [
        *overview(plan, ApprovalStatus((), 1), name, words, kind="glass", page=page),
        section("\U0001f6a8 " + words("chat.modal.glass_intro")),
        section(said),
        _typed(plan, words),
        _code(words),
        ask(words.plain("chat.modal.glass_reason"), line("reason", long=True, most=1000), "reason"),
    ]
    return _whole(
        words,
        "glass",
        blocks,
        callback_id="glass_break",
        submit="chat.button.break_glass",
        metadata=private_metadata(**ids),
    )


def note(incident_id: str, channel: str, words: Words) -> Block:
    """Return the form for a line of the timeline."""
    return _modal(
        words,
        "note",
        [
            ask(
                words.plain("chat.modal.note", incident=incident_id),
                line("text", long=True, most=2000),
                "text",
            )
        ],
        callback_id="incident_note",
        submit="chat.button.save",
        metadata=private_metadata(incident=incident_id, channel=channel),
    )


def change_state(incident: Incident, channel: str, words: Words) -> Block:
    """Return the form for moving an incident on: only the legal moves are offered."""
    moves = [
        (words.plain(f"chat.state.{state.value}", 75), state.value)
        for state in State
        if _legal(incident, state)
    ]
    if not moves:
        return _modal(words, "status", [section(words("chat.modal.no_moves"))], callback_id="told")
    blocks = [ask(words.plain("chat.modal.state", incident=incident.id), select("state", moves), "state")]
    if _legal(incident, State.CANCELLED):
        reasons = [(words.plain(f"chat.cancel.{reason}", 75), reason) for reason in CANCEL_REASONS]
        blocks.append(
            ask(words.plain("chat.modal.cancel_reason"), select("cancel", reasons), "cancel", optional=True)
        )
    return _modal(
        words,
        "status",
        blocks,
        callback_id="incident_status",
        submit="chat.button.save",
        metadata=private_metadata(incident=incident.id, channel=channel),
    )


def change_severity(incident: Incident, channel: str, words: Words) -> Block:
    """Return the form for grading an incident anew."""
    choices = [(words.plain(f"chat.severity.{severity.value}", 75), severity.value) for severity in Severity]
    label = words.plain("chat.modal.severity", incident=incident.id, severity=incident.severity.value)
    return _modal(
        words,
        "severity",
        [ask(label, select("severity", choices), "severity")],
        callback_id="incident_severity",
        submit="chat.button.save",
        metadata=private_metadata(incident=incident.id, channel=channel),
    )


def give_role(incident_id: str, channel: str, words: Words) -> Block:
    """Return the form for giving somebody a role."""
    roles = [(words.plain(f"chat.role.{role}", 75), role) for role in ("ic", "scribe", "comms")]
    return _modal(
        words,
        "role",
        [
            ask(words.plain("chat.modal.role"), select("role", roles), "role"),
            ask(words.plain("chat.modal.who"), {"type": "users_select", "action_id": "person"}, "person"),
        ],
        callback_id="incident_role",
        submit="chat.button.save",
        metadata=private_metadata(incident=incident_id, channel=channel),
    )


def _modal(
    words: Words, title: str, blocks: list[Block], *, callback_id: str, submit: str = "", metadata: str = ""
) -> Block:
    return modal(
        words.plain(f"chat.title.{title}", 24),
        blocks,
        callback_id=callback_id,
        close=words.plain("chat.button.close" if not submit else "chat.button.back", 24),
        submit=words.plain(submit, 24) if submit else "",
        metadata=metadata,
    )


def _typed(plan: Plan, words: Words) -> Block:
    is_named = bool(_PARAM.search(plan.approval.typed_confirmation))
    hint = "" if is_named else words.plain("chat.modal.typed_hint", 500)
    return ask(_what_to_type(plan, words), line("typed", most=200), "typed", hint=hint)


def _what_to_type(plan: Plan, words: Words) -> str:
    """Say what the runbook wants typed: the target itself, or the last four characters of it."""
    template = plan.approval.typed_confirmation
    named = _PARAM.search(template)
    if named is None:
        return words.plain("chat.modal.typed_account" if not template else "chat.modal.typed", 150)
    label = f"chat.param.{named[1].replace('_', '-')}"
    what = words.plain(label) if words.has(label) else named[1]
    kind = "typed_last4" if template.startswith("last4:") else "typed_whole"
    return words.plain(f"chat.modal.{kind}", 150, what=what)


def _code(words: Words, hint: str = "chat.modal.code_hint", *, optional: bool = False) -> Block:
    return ask(
        words.plain("chat.modal.code"),
        line("code", most=12),
        "code",
        hint=words.plain(hint, 500),
        optional=optional,
    )


def _checked(words: Words) -> Block:
    # An own act, and the place where a refusal can be shown when nothing has to be typed.
    box: Block = {
        "type": "checkboxes",
        "action_id": "checked",
        "options": [
            {"text": {"type": "plain_text", "text": words.plain("chat.modal.checked", 75)}, "value": "yes"}
        ],
    }
    return ask(words.plain("chat.modal.checked_label"), box, "checked")


def _whole(
    words: Words, title: str, blocks: list[Block], *, callback_id: str, submit: str, metadata: str
) -> Block:
    """Return a form around what has to be seen; what does not fit has no fields and cannot be sent."""
    if is_fitting(blocks):
        return _modal(words, title, blocks, callback_id=callback_id, submit=submit, metadata=metadata)
    kept, room = list[Block](), VIEW_TEXT
    for block in (one for one in blocks if one["type"] not in ("input", "actions")):
        room -= text_length(block)
        if room < 0 or len(kept) >= VIEW_BLOCKS - 1:
            break
        kept.append(block)
    left_out = section("\u26a0\ufe0f " + words("chat.modal.not_all_shown", count=len(blocks) - len(kept)))
    return _modal(words, title, [left_out, *kept], callback_id="told", metadata=metadata)


def _legal(incident: Incident, state: State) -> bool:
    try:
        require_legal_move(incident, state, CANCEL_REASONS[0])
    except Refused:
        return False
    return True
