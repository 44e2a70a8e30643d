"""Plans as people see them: the approval card, and the full preview that an approval stands for.

Everything here comes from the plan, never from a finding's text: what people read is what will be touched."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from twokey.chat.slack.views.blocks import (
    Block,
    actions,
    button,
    context,
    divider,
    fields,
    fitted,
    header,
    paragraphs,
    section,
)
from twokey.chat.slack.views.cards import Names
from twokey.chat.slack.views.text import Words, code, plain, shown, when
from twokey.core.approvals import ApprovalStatus, expires_after_s
from twokey.core.errors import Json
from twokey.core.runbooks import ActionCall, Plan, PlanState, Provenance, Step

SHOWN_TARGETS = 8
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
RISKS = {"low": "\U0001f7e2", "medium": "\U0001f7e1", "high": "\U0001f7e0", "critical": "\U0001f534"}
DOCUMENT_SECTIONS = 12

_FROM_STEP = re.compile(
    r"\$\{\{\s*steps\.(?P<step>[\w\[\]-]+)\.(?:outputs|prior|inputs)\.(?P<name>\w+)\s*\}\}"
)


def plan_text(plan: Plan, words: Words) -> str:
    """Return the line that notifications and screen readers get."""
    state = words(f"chat.plan_state.{plan.state.value}")
    return f"{state} · {shown(plan.title, 150)} · {code(plan.target.account)} · {code(plan.short)}"


def plan_card(plan: Plan, status: ApprovalStatus, name: Names, words: Words) -> list[Block]:
    """Return a plan's card: who asks for what on which targets, its reach, and which approvals are missing."""
    state = words.plain(f"chat.plan_state.{plan.state.value}")
    blocks = [header(plain(f"{MARKS[plan.state]} {state} · {plan.title}", 150, words.language))]
    if plan.undo_of:
        blocks.append(context(words("chat.plan.is_undo")))
    if plan.break_glass_by:
        blocks += _glass(plan, name, words)
    blocks += fields(summary(plan, status, name, words))
    blocks.append(section(f"*{words('chat.plan.targets')}*\n{targets(plan, words)}"))
    if plan.state is PlanState.PROPOSED and status.missing:
        blocks.append(context(*(words.of(missing) for missing in status.missing[:5])))
    if plan.reason and plan.state is not PlanState.PROPOSED:
        blocks.append(section(words.of(plan.reason)))
    blocks += _buttons(plan, words)
    return fitted(blocks, words)


def summary(plan: Plan, status: ApprovalStatus, name: Names, words: Words) -> list[tuple[str, str]]:
    """Return what every surface of a plan shows."""
    people = ", ".join(shown(name(person), 60) for person in status.people)
    pairs = [
        (words("chat.plan.requester"), shown(name(plan.requester), 80)),
        (words("chat.plan.runbook"), code(f"{plan.runbook_id}@{plan.runbook_version}", 120)),
        (words("chat.plan.account"), account_of(plan)),
        (words("chat.plan.risk"), f"{RISKS[plan.risk.value]} {words(f'chat.risk.{plan.risk.value}')}"),
        (words("chat.plan.reaches"), blast(plan.blast, words)),
        (words("chat.plan.undo"), words(f"chat.reversible.{plan.reversible}")),
        (
            words("chat.plan.keys"),
            f"*{len(status.people)}/{status.needed}*" + (f"  {people}" if people else ""),
        ),
        (words("chat.plan.digest"), code(plan.short)),
    ]
    if plan.state is PlanState.PROPOSED and plan.expires_at:
        pairs.append((words("chat.plan.expires"), when(plan.expires_at, words.language)))
    elif plan.requested_at is None:
        minutes = int(expires_after_s(plan) // 60)
        pairs.append((words("chat.plan.expires"), words("chat.plan.waits", minutes=minutes)))
    return pairs


def account_of(plan: Plan) -> str:
    """Return the account with its name where the plan read one, and the region."""
    names = [touch.name for touch in plan.touches if touch.id == plan.target.account and touch.name]
    names += [
        str(seen["account_name"])
        for seen in plan.shown.values()
        if isinstance(seen, dict) and "account_name" in seen
    ]
    named = next(iter(names), "")
    parts = [code(plan.target.account, 80), shown(named, 80), shown(plan.target.region, 40)]
    return " ".join(part for part in parts if part)


def targets(plan: Plan, words: Words, most: int = SHOWN_TARGETS) -> str:
    """Return the exact ids that would be touched, as the cloud itself gave them."""
    lines = []
    for touch in plan.touches[:most]:
        named = f" ({shown(touch.name, 80)})" if touch.name and touch.name != touch.id else ""
        lines.append(f"• {_named(touch.kind, words)} {code(touch.id, 200, words.language)}{named}")
    left = len(plan.touches) - most
    if left > 0:
        lines.append(words("chat.more_lines", count=left))
    return "\n".join(lines) or words("chat.plan.no_targets")


def blast(counts: Mapping[str, int], words: Words) -> str:
    """Return the counted blast radius."""
    named = sorted((_named(scope, words), count) for scope, count in counts.items())
    return ", ".join(f"{scope}: *{count}*" for scope, count in named) or "-"


def full_preview(plan: Plan, status: ApprovalStatus, name: Names, words: Words) -> list[Block]:
    """Return everything that the digest covers, in the order of the run."""
    blocks = [header(plain(plan.title, 150, words.language))]
    blocks += fields(summary(plan, status, name, words))
    blocks.append(section(f"*{words('chat.plan.targets')}*\n{targets(plan, words, 20)}"))
    blocks += _params(plan, name, words)
    for note in plan.notes[:5]:
        blocks.append(context(words.of(note)))
    blocks.append(divider())
    blocks.append(section(f"*{words('chat.plan.calls')}*"))
    for number, step in enumerate(plan.steps, start=1):
        blocks += _step(number, step, plan.observed.get(step.id), plan.shown.get(step.id), words)
    blocks += _guards(plan, words)
    blocks.append(context(words("chat.plan.full_digest", digest=plan.digest)))
    return blocks


def _params(plan: Plan, name: Names, words: Words) -> list[Block]:
    """Return every parameter with who gave it: the incident, the settings, the runbook, or a person."""
    lines = []
    for param, source in plan.provenance.items():
        who = words(f"chat.plan.from.{source}", person=name(plan.requester))
        value = plan.params.get(param)
        is_list = isinstance(value, list)
        text = ", ".join(map(str, value)) if isinstance(value, list) else _text(value)
        mark = "\u26a0\ufe0f " if source == Provenance.PERSON else ""
        lines.append(f"• {mark}{shown(param, 60)}: {code(text, 600 if is_list else 200)} · {who}")
    return [section(f"*{words('chat.plan.params')}*\n" + "\n".join(lines)[:2800])] if lines else []


def _step(number: int, step: Step, observed: Json, beside: Json, words: Words) -> list[Block]:
    effect = words(f"chat.effect.{step.effect.value}")
    documents = {
        name: value
        for name, value in step.inputs.items()
        if isinstance(_parsed(value), dict | list) or len(_text(value)) > 300
    }
    inputs = {name: value for name, value in step.inputs.items() if name not in documents}
    lines = [f"*{number}.* {code(step.action, 80)}  {effect}  · {shown(step.id, 60)}"]
    lines += [
        f"    {shown(key, 60)}: {code(_resolved(_text(value), words), 300, words.language)}"
        for key, value in inputs.items()
    ]
    if step.effect.is_write:
        way_back = (
            words("chat.plan.undo_by", action=step.undo.action)
            if isinstance(step.undo, ActionCall)
            else words("chat.plan.no_way_back", reason=step.irreversible or "-")
        )
        lines.append("    " + way_back)
    blocks = [section("\n".join(lines)[:2900])]
    for key, value in documents.items():
        blocks.append(context(words("chat.plan.document", name=key)))
        blocks += paragraphs(
            _text(_parsed(value), indent=1), words.language, most=DOCUMENT_SECTIONS, fence=True
        )
    if observed:
        blocks.append(
            context(words("chat.plan.observed") + " " + code(_text(observed), 1500, words.language))
        )
    if beside:
        blocks.append(context(words("chat.plan.shown") + " " + code(_text(beside), 1500, words.language)))
    return blocks


def _named(kind: str, words: Words) -> str:
    known = f"chat.touch.{kind.replace('_', '-').removesuffix('s')}"
    return words(known) if words.has(known) else shown(kind, 40)


def _resolved(value: str, words: Words) -> str:
    """Put words in the place of what only an earlier step finds: `user_name, as step resolve finds it`."""
    return _FROM_STEP.sub(
        lambda found: words.plain("chat.plan.from_step", 200, name=found["name"], step=found["step"]), value
    )


def _guards(plan: Plan, words: Words) -> list[Block]:
    if not plan.guards:
        return []
    lines = []
    for guard in plan.guards:
        seen = plan.observed.get(f"guard:{guard.id or guard.check}")
        lines.append(f"• {code(guard.check, 80)} {code(_text(seen), 300) if seen else ''}".rstrip())
    return [section(f"*{words('chat.plan.guards')}*\n" + "\n".join(lines)[:2800])]


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
    return actions(
        *row,
        _sure(plan, words, "confirm", "plan_confirm", "primary") if owed else None,
        block_id=f"approval:{plan.id}",
    )


def ask_buttons(plan: Plan, words: Words) -> Sequence[Block]:
    """Return what a person may answer when a run has stopped to ask."""
    return (
        _sure(plan, words, "retry", "run_retry", "primary"),
        _sure(plan, words, "skip", "run_skip"),
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


def _parsed(value: Json) -> Json:
    """Read a document that is kept as JSON text, so that it is shown with its lines."""
    if not isinstance(value, str) or not value.startswith(("{", "[")):
        return value
    try:
        document: Json = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return document


def _text(value: Json, indent: int | None = None) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=indent)
