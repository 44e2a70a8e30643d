"""Stops as people see them: on cards, in their list, and in the form that lets acting go on."""

from __future__ import annotations

from collections.abc import Sequence

from twokey.chat.slack.payloads import private_metadata
from twokey.chat.slack.views.blocks import Block, ask, button, context, fitted, line, modal, section
from twokey.chat.slack.views.cards import Names
from twokey.chat.slack.views.text import Words, when
from twokey.core.people import Person
from twokey.core.runbooks import PlanState
from twokey.core.stops import Stop, StopKind

STOPPABLE = (PlanState.PROPOSED, PlanState.APPROVED, PlanState.RUNNING, PlanState.ASKING)


def below_header(blocks: list[Block], stops: Sequence[Stop], name: Names, words: Words) -> list[Block]:
    """Return a card that says before anything else where acting is stopped."""
    return fitted([*blocks[:1], *(section(_line(stop, name, words)) for stop in stops), *blocks[1:]], words)


def stopped(stop: Stop, is_known: bool, command: str, words: Words) -> list[Block]:
    """Return what the one who stopped is told: what it means, and that the id may be mistyped."""
    blocks = [section(words("chat.stops.done", where=stop.where, command=command, place=stop.where))]
    if not is_known:
        blocks.append(section("\u26a0\ufe0f " + words("chat.stops.unknown", where=stop.where)))
    return blocks


def listed(stops: Sequence[Stop], name: Names, words: Words) -> list[Block]:
    """Return where acting is stopped, by whom and why, each with what lets it go on."""
    if not stops:
        return [section(words("chat.stops.none"))]
    resume = words.plain("chat.button.resume")
    return fitted(
        [
            section(
                _line(stop, name, words) + _asked(stop, name, words),
                accessory=button(resume, "stop_resume", stop.where),
            )
            for stop in stops
        ],
        words,
    )


def resume(stop: Stop, asking: Person | None, name: Names, channel: str, words: Words) -> Block:
    """Return the form in which one person asks for acting to go on, or another says so too."""
    blocks = [
        section(words("chat.stops.resume_intro", where=stop.where)),
        section(_line(stop, name, words) + (_asked(stop, name, words) if asking else "")),
        ask(
            words.plain("chat.modal.code"),
            line("code", most=12),
            "code",
            hint=words.plain("chat.stops.code_hint", 500),
            optional=True,
        ),
        context(words("chat.stops.second" if asking else "chat.stops.first")),
    ]
    return modal(
        words.plain("chat.title.resume", 24),
        blocks,
        callback_id="stop_resume",
        close=words.plain("chat.button.back", 24),
        submit=words.plain("chat.button.lift" if asking else "chat.button.ask_lift", 24),
        metadata=private_metadata(where=stop.where, stop=str(stop.seq), channel=channel),
    )


def _line(stop: Stop, name: Names, words: Words) -> str:
    since = when(stop.at, words.language)
    if stop.kind is StopKind.BREAKER:
        return f"\U0001f6d1 {words('chat.stops.breaker', where=stop.where)} {since}"
    said = words("chat.stops.switch", where=stop.where, person=name(stop.by), reason=stop.reason)
    return f"\U0001f6d1 {said} {since}"


def _asked(stop: Stop, name: Names, words: Words) -> str:
    if not stop.asked_by:
        return ""
    asked = words("chat.stops.asked", person=name(stop.asked_by))
    return f"\n{asked} {when(stop.asked_at, words.language)}"
