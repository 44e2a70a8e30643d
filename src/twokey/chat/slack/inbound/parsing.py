"""Reads what a person typed after the command or the mention: a verb, an incident, and the rest."""

from __future__ import annotations

import re
import shlex

from twokey.chat.slack.inbound.commands import VERBS
from twokey.chat.slack.inbound.verbs import Command
from twokey.core.texts import nearest

# A bare number names an incident only where it cannot be anything else.
_INCIDENT = re.compile(r"(inc-?|#)?0*([1-9][0-9]{0,8})", re.IGNORECASE)
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")
_QUOTES = str.maketrans({"\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'"})


def parse(text: str, bot_user: str = "", *, in_thread: bool = False) -> Command:
    """Read a command. A quotation mark that is never closed is an ordinary character."""
    names = {word: verb.name for verb in VERBS.values() for word in (verb.name, *verb.aliases)}
    text = unescape(text.replace(f"<@{bot_user}>", " ")) if bot_user else unescape(text)
    first, _, rest = text.strip().partition(" ")
    typed = first.casefold()
    if not typed:
        return Command("help")
    if typed not in names:
        return Command(typed, guess=names.get(nearest(typed, names, alike=0.5), ""))
    verb = VERBS[names[typed]]
    rest = rest.strip()
    incident = ""
    if verb.needs_incident:
        head, _, tail = rest.partition(" ")
        named = _INCIDENT.fullmatch(head.rstrip(","))
        if named and (named[1] or not (in_thread or verb.takes_number)):
            incident, rest = f"INC-{named[2]}", tail.strip()
    mention = _MENTION.search(rest)
    without_mentions = _MENTION.sub(" ", rest).translate(_QUOTES)
    try:
        args = tuple(shlex.split(without_mentions))
    except ValueError:
        args = tuple(without_mentions.split())
    return Command(verb.name, incident, args, rest, mention[1] if mention else "")


def unescape(text: str) -> str:
    """Undo Slack's escapes; mentions, which Slack itself wrote, keep their form."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
