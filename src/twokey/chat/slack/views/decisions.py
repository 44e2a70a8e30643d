"""Decisions as people see them: what a run that asks may be answered, and what goes undone with a skipped step."""

from __future__ import annotations

from collections.abc import Sequence

from twokey.chat.slack.payloads import private_metadata
from twokey.chat.slack.views.blocks import Block, actions, ask, button, context, line, modal, section
from twokey.chat.slack.views.cards import Names
from twokey.chat.slack.views.plans import ask_buttons
from twokey.chat.slack.views.text import Words, code, shown
from twokey.core.executions import Decision
from twokey.core.runbooks import Plan, Step


def answers(plan: Plan, asked: Sequence[Decision], words: Words) -> Sequence[Block]:
    """Return what may be answered: where a skip waits for its second person, that takes the place of asking for it."""
    retry, skip, stop = ask_buttons(plan, words)
    return (*(_confirm(one, words) for one in asked[:1]), retry, stop) if asked else (retry, skip, stop)


def waiting(plan: Plan, asked: Sequence[Decision], name: Names, words: Words) -> list[Block]:
    """Return what a plan's card says of a skip that waits for its second person."""
    found: list[Block] = []
    for one in asked[:1]:
        (action,) = [step.action for step in plan.steps if step.id == one.step_id]
        said = words("chat.plan.skip_asked", person=name(one.person_id), step=one.step_id, action=action)
        found += [section(said), *actions(_confirm(one, words), block_id=f"asked:{plan.id}")]
    return found


def skip(plan: Plan, step: Step, channel: str, words: Words) -> Block:
    """Return the form of a person who has a step passed over; for a write, who asks for it."""
    is_write = step.effect.is_write
    blocks = [*_lost(plan, step, words), section(words(f"chat.modal.skip_{'two' if is_write else 'read'}"))]
    if is_write and plan.approval.step_up:
        blocks.append(_code(words))
    return _form(
        words,
        [*blocks, _checked(words)],
        "run_skip",
        "chat.button.ask_skip" if is_write else "chat.button.skip",
        private_metadata(plan=plan.id, channel=channel),
    )


def confirm_skip(plan: Plan, step: Step, asked: Decision, name: Names, channel: str, words: Words) -> Block:
    """Return the form of the second person, with the same in view."""
    said = words("chat.modal.skip_asked_by", person=name(asked.person_id))
    blocks = [section(said), *_lost(plan, step, words)]
    if plan.approval.step_up:
        blocks.append(_code(words))
    return _form(
        words,
        [*blocks, _checked(words)],
        "decision_confirm",
        "chat.button.confirm",
        private_metadata(decision=asked.id, channel=channel),
    )


def _lost(plan: Plan, step: Step, words: Words) -> list[Block]:
    effect = words(f"chat.effect.{step.effect.value}")
    what = f"{code(step.id, 80)} · {code(step.action, 120)} ({effect}) · {code(plan.target.account)}"
    check = step.verify.check if step.verify else "-"
    return [
        section(words("chat.modal.skip_intro", digest=plan.short)),
        section(f"{shown(plan.title, 150)}\n{what}"),
        context(words("chat.modal.skip_lost", check=check)),
    ]


def _confirm(asked: Decision, words: Words) -> Block:
    return button(words.plain("chat.button.confirm_skip"), "decision_confirm", asked.id, style="danger")


def _code(words: Words) -> Block:
    hint = words.plain("chat.modal.code_hint", 500)
    return ask(words.plain("chat.modal.code"), line("code", most=12), "code", hint=hint)


def _checked(words: Words) -> Block:
    text = {"type": "plain_text", "text": words.plain("chat.modal.checked", 75)}
    box: Block = {
        "type": "checkboxes",
        "action_id": "checked",
        "options": [{"text": text, "value": "yes"}],
    }
    return ask(words.plain("chat.modal.checked_label"), box, "checked")


def _form(words: Words, blocks: list[Block], callback_id: str, submit: str, metadata: str) -> Block:
    return modal(
        words.plain("chat.title.skip", 24),
        blocks,
        callback_id=callback_id,
        close=words.plain("chat.button.back", 24),
        submit=words.plain(submit, 24),
        metadata=metadata,
    )
