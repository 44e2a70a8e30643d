"""Words for people: messages in English or Japanese, from gettext catalogues."""

from __future__ import annotations

import gettext
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from twokey.core.errors import Message
from twokey.core.responsibility import Verdict
from twokey.core.texts import LANGUAGES

_LOCALE = Path(__file__).parent / "locale"


def say(message: Message, language: str = "en", escape: Callable[[str], str] = str) -> str:
    """Return a message in a language, its parameters escaped for where it will be shown.

    A code that no catalogue has is shown as it is with its parameters: in an incident that beats a crash
    (a test proves that every code in the source has words in both languages).
    """
    template = _catalogue(language).gettext(message.code)
    if template == message.code:
        return escape(str(message))
    shown = _Shown({name: escape(value) for name, value in message.params.items()})
    shown |= {name: say(reason, language, escape) for name, reason in message.nested.items()}
    return template.format_map(shown)


def word(code: str, language: str = "en") -> str:
    """Return a fixed word or label."""
    return _catalogue(language).gettext(code)


def word_or(code: str, language: str, otherwise: str) -> str:
    """Return a fixed word or label, or something else where no catalogue has one."""
    known = word(code, language)
    return otherwise if known == code else known


def reason_of(verdict: Verdict, language: str) -> str:
    """Return why a rule decided, in the reader's language; a rule of somebody's own says it in its own words."""
    code = f"rule.{verdict.rule}"
    return word_or(code, language, verdict.reason) if word(code) == verdict.reason else verdict.reason


def sides_of(service_model: str, language: str) -> str:
    """Return what the provider and what we answer for with IaaS, PaaS or SaaS; "" for a model that is not known."""
    provider = word_or(f"model.{service_model}.provider", language, "")
    customer = word_or(f"model.{service_model}.customer", language, "")
    if not provider or not customer:
        return ""
    return word("model.line", language).format(model=service_model, provider=provider, customer=customer)


class _Shown(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "{" + name + "}"


@lru_cache(maxsize=len(LANGUAGES) + 1)
def _catalogue(language: str) -> gettext.NullTranslations:
    known = language if language in LANGUAGES else "en"
    return gettext.translation("twokey", _LOCALE, languages=[known])
