"""Containments in force: the list that one person sees, and what can be done about one that people are told of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from twokey.chat.slack.views.blocks import Block, actions, button, context, fitted, section
from twokey.chat.slack.views.cards import IN_FORCE_MARKS, Names
from twokey.chat.slack.views.text import Words, code, shown, when
from twokey.core.containments import InForce
from twokey.core.notices import Notice

PAGE = 10


def in_force(rows: Sequence[InForce], name: Names, words: Words, command: str) -> list[Block]:
    """Return what is contained, a paragraph for each plan with its undo."""
    if not rows:
        return [section(words("chat.inforce.none"))]
    plans = [list(group) for _, group in groupby(rows, key=lambda row: row.plan_id)]
    blocks = [section(f"*{words('chat.inforce.title', count=len(plans))}*")]
    for group in plans[-PAGE:]:
        undo = button(words.plain("chat.button.undo"), "plan_undo", group[0].plan_id)
        blocks.append(section(_paragraph(group, name, words), accessory=undo))
    if len(plans) > PAGE:
        blocks.append(context(words("chat.more_lines", count=len(plans) - PAGE)))
    blocks.append(context(words("chat.inforce.usage", command=command)))
    return fitted(blocks, words)


def next_buttons(notice: Notice, words: Words) -> list[Block]:
    """Return what one does about news of a containment: contain it anew, or look at its undo."""
    codes = {message.code for message in notice.messages}
    if codes & {"watch.drifted", "watch.gone_before"}:
        text = words.plain("chat.button.contain")
        return actions(button(text, "incident_contain", notice.incident_id, style="danger"))
    if "watch.review_due" in codes:
        return actions(button(words.plain("chat.button.undo"), "plan_undo", notice.plan_id))
    return []


def _paragraph(rows: Sequence[InForce], name: Names, words: Words) -> str:
    first = rows[0]
    keys = ", ".join(name(person) for person in first.people)
    lines = [
        f"*{shown(first.title, 120)}* · {first.incident_id} · {code(first.account, 60)} · {code(first.short)}",
        " · ".join(
            (
                words("chat.inforce.since") + " " + when(first.since, words.language),
                words("chat.inforce.keys", people=keys or "-"),
                words("chat.inforce.owner", person=name(first.owner)),
                words("chat.inforce.review") + " " + when(first.review_at, words.language),
            )
        ),
    ]
    for row in rows[:PAGE]:
        seen = words("chat.inforce.seen") + " " + when(row.last_seen, words.language)
        state = f"{IN_FORCE_MARKS[row.state]} {words(f'chat.inforce.state.{row.state.value}')}"
        lines.append(f"{state}: {shown(row.what, 160, words.language)} · {seen}")
    if len(rows) > PAGE:
        lines.append(words("chat.more_lines", count=len(rows) - PAGE))
    return "\n".join(lines)[:2900]
