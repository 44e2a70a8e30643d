"""The second person behind a run on one key: what was done, what came of it, and a code."""

from __future__ import annotations

from collections.abc import Iterable

from twokey.chat.slack.payloads import private_metadata
from twokey.chat.slack.views.blocks import Block, ask, line, modal, section
from twokey.chat.slack.views.cards import Names
from twokey.chat.slack.views.plans import targets
from twokey.chat.slack.views.text import Words, code, shown
from twokey.core.executions import StepRecord
from twokey.core.runbooks import Plan

_LONGEST = 2900


def confirm(plan: Plan, journal: Iterable[StepRecord], name: Names, words: Words, *, channel: str) -> Block:
    """Return what a second person looks at before they stand behind a run: who, why, where, every step's outcome."""
    title = f"*{shown(plan.title, 150)}*\n{code(plan.target.account)} · {code(plan.short)}"
    state = f"*{words('chat.confirm.outcome')}* {words(f'chat.plan_state.{plan.state.value}')}"
    who = words("chat.plan.glass", person=name(plan.break_glass_by), reason=plan.break_glass_reason)
    blocks = [
        section(words("chat.confirm.intro")),
        section(title),
        section(who[:_LONGEST]),
        section(f"*{words('chat.plan.targets')}*\n{targets(plan, words)}"[:_LONGEST]),
        *_outcome(state, plan, journal, words),
        ask(
            words.plain("chat.modal.code"),
            line("code", most=12),
            "code",
            hint=words.plain("chat.modal.code_hint", 500),
        ),
    ]
    return modal(
        words.plain("chat.title.confirm", 24),
        blocks,
        callback_id="run_confirm",
        close=words.plain("chat.button.back", 24),
        submit=words.plain("chat.button.confirm", 24),
        metadata=private_metadata(plan=plan.id, channel=channel),
    )


def _outcome(state: str, plan: Plan, journal: Iterable[StepRecord], words: Words) -> list[Block]:
    """Return the state of every step, over as many sections as that takes; a step without a row was not begun."""
    rows = {row.step_id: row for row in journal}
    lines = [state]
    for step in plan.steps:
        row = rows.get(step.id)
        said = words(f"chat.step_state.{row.state.value}" if row else "chat.step_state.none")
        why = f" · {words.of(row.error)}" if row and row.error else ""
        lines.append(f"• {code(step.id, 60)} {code(step.action, 80)}: {said}{why}"[:500])
    sections, text = list[Block](), ""
    for one in lines:
        if len(text) + len(one) >= _LONGEST:
            sections.append(section(text))
            text = ""
        text = f"{text}\n{one}" if text else one
    return [*sections, section(text)]
