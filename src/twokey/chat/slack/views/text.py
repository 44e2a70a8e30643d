"""Text for Slack: other people's words made harmless, cut to limits, and our own words in two languages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from twokey.core.errors import Message, message
from twokey.core.texts import visible_lines, without_secrets
from twokey.words import say, word, word_or

SECTION = 2900  # Slack takes 3000; the rest is for what stands around it
HEADER = 150
PARAMETER = 600  # one parameter inside a sentence
PLAIN_OPTION = 75
WHOLE = 20_000  # what is shown whole is short (core/showings), and a hidden character is written as eight
_LONGEST = 4000  # characters of a secret that is looked for

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "\u02cb"})
# Slack reads no markup in plain text, but clients differ on entities there: look-alikes are dead in all.
_LOOKALIKES = str.maketrans({"<": "\u2039", ">": "\u203a"})


def escape(text: str) -> str:
    """Make a text harmless inside mrkdwn: no mention, no link, no code fence, nothing hidden."""
    return visible_lines(without_secrets(text)).translate(_ENTITIES)


def shown(text: str, limit: int = PARAMETER, language: str = "en") -> str:
    """Return an escaped text of at most `limit` characters, saying how many are left out."""
    return _cut(text, limit, language, escape)


def plain(text: str, limit: int = HEADER, language: str = "en") -> str:
    """Return one line for a plain_text object, cut to its limit."""
    flat = " ".join(text[: limit * 20].split())
    return _cut(flat, limit, language, _dead, len(text) - len(text[: limit * 20])) or "-"


def code(text: str, limit: int = PARAMETER, language: str = "en") -> str:
    """Return a text as inline code on one line."""
    flat = " ".join(text[: limit * 4].split())
    inner = _cut(flat, limit, language, escape, max(0, len(text) - limit * 4))
    return f"`{inner}`" if inner else "-"


def fenced(text: str, limit: int = SECTION, language: str = "en") -> str:
    """Return a text as a code block."""
    return "```" + _cut(text, limit - 6, language, escape) + "```"


def when(moment: datetime | None, language: str = "en") -> str:
    """Return a moment in the reader's own time zone; where Slack cannot, in UTC."""
    if moment is None:
        return word("chat.not_recorded", language)
    stamp = int(moment.timestamp())
    return f"<!date^{stamp}^{{date_num}} {{time_secs}}|{utc(moment)}>"


def utc(moment: datetime) -> str:
    """Return a moment in UTC for plain text."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


# What names a place where acting is stopped: an account, or `all`.
_OF_STOPS = (
    *("refused.stopped", "refused.breaker_open", "refused.not_stopped", "refused.stop_changed"),
    *("refused.lift_alone", "execution.held_by_stop", "execution.held_by_breaker"),
    *(
        "execution.parked_by_stop",
        "stops.stopped",
        "stops.breaker_opened",
        "stops.lift_asked",
        "stops.lifted",
    ),
    *("chat.stops.done", "chat.stops.unknown", "chat.stops.switch", "chat.stops.breaker"),
    "chat.stops.resume_intro",
)
# Stored values that people read, by message code and parameter.
_VALUES: Mapping[str, Mapping[str, str]] = {
    "response.moved": {"before": "chat.state", "after": "chat.state", "reason": "chat.cancel"},
    "response.assigned": {"role": "chat.role"},
    "intake.reclassified": {"before": "chat.label", "after": "chat.label"},
    "response.classified": {"before": "chat.label", "after": "chat.label"},
    "intake.goes_on": {"state": "chat.state"},
    "refused.provider_side": {"label": "chat.label"},
    "refused.incident_over": {"state": "chat.state"},
    "refused.not_asking": {"state": "chat.plan_state"},
    "containment.skip_asked": {"effect": "chat.effect"},
    "refused.not_undoable": {"state": "chat.plan_state"},
    "chat.card.cancelled_because": {"reason": "chat.cancel"},
    **{said: {"where": "stops.where"} for said in _OF_STOPS},
    "watch.reopened": {"before": "chat.state"},
}
# What str(Message) looks like: the flow keeps a reason inside a reason that way.
_MESSAGE = re.compile(r"([a-z_]+(?:\.[a-z_0-9]+)+)((?: [a-z_]+=(?:'[^']*'|\"[^\"]*\"))*)")
_PARAM = re.compile(r"([a-z_]+)=('[^']*'|\"[^\"]*\")")


@dataclass(frozen=True, slots=True)
class Words:
    """Our own words in one language; parameters are escaped for where they go."""

    language: str = "en"

    def __call__(self, code: str, **params: object) -> str:
        """Return a sentence for mrkdwn."""
        return self.of(message(code, **params))

    def of(self, reason: Message) -> str:
        """Return a message for mrkdwn."""
        return say(self._named(reason), self.language, lambda text: shown(text, PARAMETER, self.language))

    def whole(self, reason: Message) -> str:
        """Return a message for mrkdwn with nothing of its parameters cut off."""
        return say(self._named(reason), self.language, lambda text: shown(text, WHOLE, self.language))

    def plain(self, code: str, limit: int = HEADER, **params: object) -> str:
        """Return a sentence for a plain_text object."""
        return plain(say(message(code, **params), self.language, _dead), limit, self.language)

    def plain_of(self, reason: Message, limit: int = 2000) -> str:
        """Return a message for a plain_text object or a field error."""
        return plain(say(self._named(reason), self.language, _dead), limit, self.language)

    def _named(self, reason: Message) -> Message:
        """Put words in the place of stored values (`triage`) and of reasons that are messages themselves."""
        names = _VALUES.get(reason.code, {})
        params = {name: value or "-" for name, value in reason.params.items()}
        for name in names.keys() & params.keys():
            params[name] = word_or(f"{names[name]}.{params[name]}", self.language, params[name])
        if "why" in params:
            params["why"] = "; ".join(map(self._nested, params["why"].split("; ")))
        return Message(reason.code, params)

    def _nested(self, text: str) -> str:
        """Return the words of a reason that was kept as text inside another."""
        match = _MESSAGE.fullmatch(text)
        if not match or not self.has(match[1]):
            return text
        params = {name: value[1:-1] for name, value in _PARAM.findall(match[2])}
        return say(Message(match[1], params), self.language)

    def has(self, code: str) -> bool:
        """Say whether there are words for a code."""
        return bool(word_or(code, self.language, ""))


def _dead(text: str) -> str:
    return visible_lines(without_secrets(text)).translate(_LOOKALIKES)


def _cut(text: str, limit: int, language: str, harmless: Callable[[str], str], left_out: int = 0) -> str:
    """Cut before escaping, so that no entity is split; secrets go before that, for half of one is one too."""
    text = without_secrets(text[: 2 * limit + _LONGEST]) + text[2 * limit + _LONGEST :]
    head = harmless(text[: limit + 1])
    if left_out == 0 and len(text) <= limit and len(head) <= limit:
        return head
    room = limit - len(_more(len(text) + left_out, language))
    kept: list[str] = []
    used = 0
    for char in text[:limit]:
        piece = harmless(char)
        if used + len(piece) > room:
            break
        kept.append(piece)
        used += len(piece)
    return "".join(kept) + _more(len(text) + left_out - len(kept), language)


def _more(count: int, language: str) -> str:
    return say(message("chat.more_characters", count=count), language)
