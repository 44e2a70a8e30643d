"""An expected error as it is told in a terminal: the place that it is about, and one sentence."""

from __future__ import annotations

from twokey.catalog.schema import where
from twokey.core.errors import TwokeyError
from twokey.core.texts import printable
from twokey.words import say


def as_sentence(fault: TwokeyError, language: str = "en") -> str:
    """Return the sentence behind file, line and key, unless it names the file itself; nothing in it hides."""
    words = say(fault.message, language)
    names_file = str(fault.message.params.get("file", "")) in words
    return printable(words if names_file else f"{where(fault)}: {words}")
