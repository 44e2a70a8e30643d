"""What a verb is, and what a person typed with one; the table of all verbs is in `commands`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from twokey.chat.slack.inbound.dispatch import Context


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `rest` is everything behind verb and incident, as it was typed."""

    verb: str
    incident: str = ""
    args: tuple[str, ...] = ()
    rest: str = ""
    user: str = ""  # the first person who was named
    guess: str = ""  # the nearest verb, when `verb` is none


@dataclass(frozen=True, slots=True)
class Verb:
    """One row of the table: how a verb is typed, what it needs, who may type it, and what serves it."""

    name: str
    usage: str
    serve: Callable[[Context, Command], Awaitable[None]]
    aliases: tuple[str, ...] = ()
    needs_incident: bool = True
    takes_number: bool = False  # its own words may begin with a number: a bare one names no incident
    is_free: bool = False  # also for people who are not on the roster
    only_looks: bool = False  # changes nothing: what was remembered about the person for seconds counts
