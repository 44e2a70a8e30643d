"""What a person typed after the command or the mention: a verb, an incident, and the rest."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from twokey.core.texts import nearest

VERBS = {
    "list": "list [open|mine|stale|all] [page]",
    "show": "show INC-12",
    "ack": "ack INC-12",
    "role": "role INC-12 <ic|scribe|comms> @user",
    "note": "note INC-12 <text>",
    "status": "status INC-12 <state>",
    "resolve": "resolve INC-12",
    "cancel": "cancel INC-12 <reason>",
    "severity": "severity INC-12 <SEV1..SEV4>",
    "classify": "classify INC-12 <label> <reason>",
    "contain": "contain INC-12 [runbook] [name=value]",
    "pending": "pending",
    "undo": "undo INC-12 [run]",
    "audit": "audit INC-12",
    "postmortem": "postmortem INC-12 [preview|draft|publish] [public]",
    "whoami": "whoami",
    "help": "help",
}
ALIASES = {
    "info": "show",
    "acknowledge": "ack",
    "roles": "role",
    "timeline": "note",
    "state": "status",
    "sev": "severity",
    "reclassify": "classify",
    "pm": "postmortem",
    "menu": "help",
    "ls": "list",
    "?": "help",
}
WITHOUT_INCIDENT = frozenset({"list", "pending", "whoami", "help"})

# A bare number names an incident only where it cannot be anything else.
_INCIDENT = re.compile(r"(inc-?|#)?0*([1-9][0-9]{0,8})", re.IGNORECASE)
_TAKES_NUMBERS = frozenset({"note", "severity"})
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")
_QUOTES = str.maketrans({"\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One command: `rest` is everything behind verb and incident, as it was typed."""

    verb: str
    incident: str = ""
    args: tuple[str, ...] = ()
    rest: str = ""
    user: str = ""  # the first person who was named
    guess: str = ""  # the nearest verb, when `verb` is none


def parse(text: str, bot_user: str = "", *, in_thread: bool = False) -> Asked:
    """Read a command. A quotation mark that is never closed is an ordinary character."""
    text = unescape(text.replace(f"<@{bot_user}>", " ")) if bot_user else unescape(text)
    first, _, rest = text.strip().partition(" ")
    verb = first.casefold()
    verb = ALIASES.get(verb, verb)
    if not verb:
        return Asked("help")
    if verb not in VERBS:
        near = nearest(verb, (*VERBS, *ALIASES), alike=0.5)
        return Asked(verb, guess=ALIASES.get(near, near))
    rest = rest.strip()
    incident = ""
    if verb not in WITHOUT_INCIDENT:
        head, _, tail = rest.partition(" ")
        named = _INCIDENT.fullmatch(head.rstrip(","))
        if named and (named[1] or not (in_thread or verb in _TAKES_NUMBERS)):
            incident, rest = f"INC-{named[2]}", tail.strip()
    mention = _MENTION.search(rest)
    return Asked(verb, incident, _words(_MENTION.sub(" ", rest)), rest, mention[1] if mention else "")


def unescape(text: str) -> str:
    """Undo Slack's escapes; mentions, which Slack itself wrote, keep their form."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _words(text: str) -> tuple[str, ...]:
    text = text.translate(_QUOTES)
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return tuple(text.split())
