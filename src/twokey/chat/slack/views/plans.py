"""Plans as people see them in the thread: the approval card.

Everything here comes from the plan, never from a finding's text: what people read is what will be touched."""

from __future__ import annotations

from collections.abc import Sequence

from twokey.chat.slack.views.blocks import Block, actions, button, context, fitted, header, section, sections
from twokey.chat.slack.views.cards import Names
from twokey.chat.slack.views.review import (
    RISKS,
    account_of,
    approvals_of,
    touch_lines,
    touched,
    warnings,
)
from twokey.chat.slack.views.text import Words, code, plain, shown, when
from twokey.core.approvals import ApprovalStatus
from twokey.core.notices import NoticeState
from twokey.core.runbooks import Plan, PlanState
from twokey.core.showings import pages

SHOWN_TARGETS = 8
SHOWN_WARNINGS = 5
SHOWN_PEOPLE = 8
MARKS = {
    PlanState.PROPOSED: "\U0001f511",
    PlanState.APPROVED: "\u2705",
    PlanState.RUNNING: "\u25b6\ufe0f",
    PlanState.ASKING: "\u270b",
    PlanState.DONE: "\u2705",
    PlanState.FAILED: "\u274c",
    PlanState.REFUSED: "\u26d4",
    PlanState.WITHDRAWN: "\u21a9\ufe0f",
    PlanState.EXPIRED: "\u231b",
    PlanState.VOIDED: "\u26a0\ufe0f",
}
_FILES = {NoticeState.SENT: "file_there", NoticeState.FAILED: "file_missing"}


def plan_text(plan: Plan, words: Words) -> str:
    """Return the line that notifications and screen readers get."""
    state = words(f"chat.plan_state.{plan.state.value}")
    return f"{state} · {shown(plan.title, 150)} · {code(plan.target.account)} · {code(plan.short)}"


def plan_card(
    plan: Plan,
    status: ApprovalStatus,
    name: Names,
    words: Words,
    *,
    next_ones: Sequence[str] = (),
    file: NoticeState | None = None,
) -> list[Block]:
    """Return a plan's card: who asks for what and why, what it stops and touches, and whose yes is missing."""
    state = words.plain(f"chat.plan_state.{plan.state.value}")
    blocks = [header(plain(f"{MARKS[plan.state]} {state} · {plan.title}", 150, words.language))]
    if plan.undo_of:
        blocks.append(context(words("chat.plan.is_undo")))
    if plan.break_glass_by:
        blocks += _glass(plan, name, words)
    else:
        blocks.append(section(_asked(plan, name, words)))
    warned = [one for page in pages(plan) for one in page.warnings]
    blocks += warnings(plan, warned[:SHOWN_WARNINGS], words)
    if len(warned) > SHOWN_WARNINGS:
        blocks.append(context(words("chat.plan.more_warnings", count=len(warned) - SHOWN_WARNINGS)))
    blocks.append(section(_reach(plan, words)))
    blocks += sections(f"*{words('chat.plan.targets')}*\n{targets(plan, words)}")
    if plan.reason and plan.state is not PlanState.PROPOSED:
        blocks.append(section(words.of(plan.reason)))
    blocks.append(context(_standing(plan, status, name, words, next_ones)))
    if plan.state is PlanState.PROPOSED and status.missing:
        blocks.append(context(*(words.of(missing) for missing in status.missing[:5])))
    if file is not None:
        blocks.append(context(words(f"chat.plan.{_FILES.get(file, 'file_on_its_way')}")))
    blocks += _buttons(plan, words)
    return fitted(blocks, words)


def targets(plan: Plan, words: Words, most: int = SHOWN_TARGETS) -> str:
    """Return the exact ids that would be touched, and how many more there are."""
    lines = touch_lines(plan.touches[:most], words)
    left = len(plan.touches) - most
    if left > 0:
        lines.append(words("chat.more_lines", count=left))
    return "\n".join(lines) or words("chat.plan.no_targets")


def _asked(plan: Plan, name: Names, words: Words) -> str:
    person, incident = name(plan.requester), plan.incident_id
    if not plan.why:
        return words("chat.plan.asks_without", person=person, incident=incident)
    asks = words("chat.plan.asks_for", person=person, incident=incident)
    return f"{asks} {words('chat.plan.quoted', reason=plan.why)}"


def _reach(plan: Plan, words: Words) -> str:
    undo = words(f"chat.reversible.{plan.reversible}")
    return (
        f"*{words('chat.plan.touches')}:* {touched(plan, words)}, {account_of(plan)}   "
        f"*{words('chat.plan.undo')}:* {undo}"
    )


def _standing(plan: Plan, status: ApprovalStatus, name: Names, words: Words, next_ones: Sequence[str]) -> str:
    """Return the small print: risk, who agreed, who may be next, until when, and of what."""
    said = [
        f"{RISKS[plan.risk.value]} {words(f'chat.risk.{plan.risk.value}')}",
        approvals_of(status, name, words),
    ]
    if plan.state is PlanState.PROPOSED:
        people = [name(person)[:60] for person in next_ones[:SHOWN_PEOPLE]]
        more = [f"+{len(next_ones) - SHOWN_PEOPLE}"] if len(next_ones) > SHOWN_PEOPLE else []
        said.append(
            words("chat.plan.may_approve", people=", ".join([*people, *more]))
            if people
            else words("chat.plan.nobody_may_approve")
        )
        if plan.expires_at:
            said.append(f"{words('chat.plan.until')} {when(plan.expires_at, words.language)}")
    said += [code(f"{plan.runbook_id}@{plan.runbook_version}", 120), code(plan.short)]
    return " · ".join(said)


def _glass(plan: Plan, name: Names, words: Words) -> list[Block]:
    lines = [words("chat.plan.glass", person=name(plan.break_glass_by), reason=plan.break_glass_reason)]
    if plan.confirmed_by:
        lines.append(words("chat.plan.glass_confirmed", person=name(plan.confirmed_by)))
    elif plan.confirm_by:
        lines.append(words("chat.plan.glass_owed") + " " + when(plan.confirm_by, words.language))
    return [section("\n".join(lines))]


def _buttons(plan: Plan, words: Words) -> list[Block]:
    def made(name: str, action: str, style: str = "") -> Block:
        return button(words.plain(f"chat.button.{name}"), action, plan.id, style=style)

    row: Sequence[Block | None] = ()
    if plan.state is PlanState.PROPOSED:
        row = (
            made("review", "plan_review", "primary"),
            made("reject", "plan_reject", "danger"),
            _sure(plan, words, "withdraw", "plan_withdraw"),
        )
    elif plan.state is PlanState.APPROVED:
        row = (made("reject", "plan_reject", "danger"),)
    elif plan.state is PlanState.ASKING:
        row = ask_buttons(plan, words)
    elif plan.state in (PlanState.DONE, PlanState.FAILED) and not plan.undo_of and plan.reversible != "none":
        row = (made("undo", "plan_undo"),)
    owed = bool(plan.break_glass_by) and not plan.confirmed_by
    is_known = plan.state not in (PlanState.APPROVED, PlanState.RUNNING)
    return actions(
        *row,
        made("confirm", "plan_confirm", "primary") if owed and is_known else None,
        block_id=f"approval:{plan.id}",
    )


def ask_buttons(plan: Plan, words: Words) -> Sequence[Block]:
    """Return what a person may answer when a run has stopped to ask."""
    return (
        _sure(plan, words, "retry", "run_retry", "primary"),
        button(words.plain("chat.button.skip_write"), "run_skip", plan.id),
        _sure(plan, words, "stop", "run_stop", "danger"),
    )


def _sure(plan: Plan, words: Words, name: str, action: str, style: str = "") -> Block:
    return button(
        words.plain(f"chat.button.{name}"),
        action,
        plan.id,
        style=style,
        confirm=(
            words.plain(f"chat.button.{name}", 100),
            words.plain(f"chat.sure.{name}", 300, plan=plan.short, account=plan.target.account),
            words.plain("chat.button.yes", 30),
            words.plain("chat.button.back", 30),
        ),
    )
