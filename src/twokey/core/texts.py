"""Text that somebody else wrote, made fit for people: what hides is shown, what was nearly right is named."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Control, format (bidi, zero width, tags), separators, surrogates, private use, and letters that show as
# nothing (a test compares with Unicode's own tables).
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\uf8ff\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)


def visible(text: str) -> str:
    """Show every control, bidi and other character that hides as its code point: `⟨U+202E⟩`."""
    return _HIDDEN.sub(lambda found: f"\u27e8U+{ord(found[0]):04X}\u27e9", text)


def visible_lines(text: str) -> str:
    """Do the same, but keep line breaks, and let a tab be a space."""
    lines = text.replace("\r\n", "\n").replace("\t", " ").split("\n")
    return "\n".join(map(visible, lines))


def nearest(given: str, known: Iterable[str], *, alike: float = 0.6) -> str:
    """Return the known name that was probably meant; "" when none is like it."""
    import difflib  # slow to load, and commands that start quickly need only the rest of this page

    return next(iter(difflib.get_close_matches(given[:64], sorted(known), n=1, cutoff=alike)), "")
