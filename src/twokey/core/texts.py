"""Text that somebody else wrote, made fit for people: what hides is shown, what was nearly right is named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

# Control, format (bidi, zero width, tags), separators, surrogates, private use, and letters that show as
# nothing (a test compares with Unicode's own tables).
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\uf8ff\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)


LANGUAGES = ("en", "ja")
"""What twokey speaks: every code has words in each of them."""

REMOVED = "\u2039removed\u203a"

# Every alternative drops the secret itself and keeps the word that names it.
_MIXED = r"(?=[A-Za-z0-9/+]*[A-Z])(?=[A-Za-z0-9/+]*[a-z])(?=[A-Za-z0-9/+]*[0-9])"
SECRET = re.compile(
    r"-----BEGIN [A-Z ]{0,40}-----.*?(?:-----END [A-Z ]{0,40}-----|\Z)"
    r"|\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?"
    r"|\bxox[a-z]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|(?<=://)[^\s/@:]{1,200}:[^\s/@]{1,200}(?=@)"
    r"|(?i:(?<=\bbearer )[A-Za-z0-9._~+/-]{12,}=*)"
    r"|(?i:(?:(?<=password)|(?<=passwd)|(?<=secret)|(?<=token)|(?<=apikey)|(?<=api_key)|(?<=accountkey)"
    r"|(?<=access_key)|(?<=accesskey)|(?<=private_key)|(?<=[?&;]sig)|(?<=[?&;]code)|(?<=signature))"
    r"[\"']?\s?[:=]\s?[\"']?[^\s\"'&;,]{4,})"
    # An AWS secret key is 40 characters of base64, a session token many more; hashes have one case only.
    rf"|(?<![A-Za-z0-9/+=]){_MIXED}(?:[A-Za-z0-9/+]{{40}}|[A-Za-z0-9/+]{{80,}}={{0,2}})(?![A-Za-z0-9/+=])",
    re.S,
)
# Cheap look first: text without any of these, in lower case, and without a long run has none of the above.
_WORDS = (
    *("-----begin", "eyj", "xox", "xapp", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat", "glpat"),
    *("://", "bearer ", "passw", "secret", "token", "key", "sig", "code"),
)
_LONG = re.compile(r"[A-Za-z0-9/+]{40}")


def visible(text: str) -> str:
    """Show every control, bidi and other character that hides as its code point: `⟨U+202E⟩`."""
    return _HIDDEN.sub(lambda found: f"\u27e8U+{ord(found[0]):04X}\u27e9", text)


def visible_lines(text: str) -> str:
    """Do the same, but keep line breaks, and let a tab be a space."""
    lines = text.replace("\r\n", "\n").replace("\t", " ").split("\n")
    return "\n".join(map(visible, lines))


def without_secrets(text: str) -> str:
    """Replace everything that looks like a secret, keeping the words around it."""
    return SECRET.sub(REMOVED, text) if _may_hold_one(text) else text


def _may_hold_one(text: str) -> bool:
    lower = _folded(text)
    if any(map(lower.__contains__, _WORDS)):
        return True
    return lower != text and _LONG.search(text) is not None


def _folded(text: str) -> str:
    """Return text in lower case, as a pattern that ignores case sees it: it takes a long s for an s."""
    lower = text.lower()
    return lower if text.isascii() else lower.replace("\u017f", "s").replace("\u0131", "i")


def without_secrets_in(value: Any) -> Any:
    """Do the same for every text in a JSON value."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {name: without_secrets_in(item) for name, item in value.items()}
    return [without_secrets_in(item) for item in value] if isinstance(value, list | tuple) else value


def printable(text: str) -> str:
    """Make a text fit for a terminal: no secret, and nothing that hides."""
    return visible(without_secrets(text))


def nearest(given: str, known: Iterable[str], *, alike: float = 0.6) -> str:
    """Return the known name that was probably meant; "" when none is like it."""
    import difflib  # slow to load, and commands that start quickly need only the rest of this page

    return next(iter(difflib.get_close_matches(given[:64], sorted(known), n=1, cutoff=alike)), "")
