"""Text as data in a Markdown page: nothing an attacker wrote is a link, a mention, markup or invisible."""

from __future__ import annotations

import json
import re
from functools import lru_cache

from markupsafe import Markup

from twokey.core import texts
from twokey.publish.redact import without_secrets

LIMIT = 1000  # characters of one text; a finding's title may be a megabyte

_LINE_END = re.compile(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
# Some readers turn such a word into a link or a mention by themselves: @name, #12, an address, a host name.
# Escapes do not help there (they look at the finished text), a code span does. Kana and kanji end a word.
_WORD = re.compile(r"[^\s|<>`{}\u3000-\u30ff\u4e00-\u9fff\uff00-\uff1f\uff21-\uff65]+")
_LIVE = re.compile(r"[@\uff20].|://|www\.|mailto:|#[0-9]|[A-Za-z0-9-]\.[A-Za-z]{2}", re.I)
_MARKUP = re.compile(r"[\\`*_{}\[\]<>|~#&!$^]")
# Braces too: some site generators look for `{{` and `{%` before they read Markdown.
_ENTITY = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "&#96;", "{": "&#123;", "}": "&#125;"}
_START = re.compile(r"^(?:[-+=:](?=[\s=:-]|$)|[0-9]{1,9}(?=[.)]))")
_PLAIN = re.compile(r"[A-Za-z0-9 ,()'\"/\u3001\u3002\u3041-\u30ff\u4e00-\u9fff-]*", re.ASCII)
# Short plain words, far from any secret, list mark or link: most texts, and this look is all they need.
# Possessive, so that a text that does not fit is known not to fit after one pass.
_EASY = re.compile(
    r"(?![-0-9])(?:[A-Za-z0-9,()'\"-]{1,11}+(?:[ \u3001\u3002\u3041-\u30ff\u4e00-\u9fff]++|$)"
    r"|[\u3001\u3002\u3041-\u30ff\u4e00-\u9fff][ \u3001\u3002\u3041-\u30ff\u4e00-\u9fff]*+)*+",
    re.ASCII,
)
_CODE_ONLY = re.compile(r"(?:(?!\{[{%]|[}%]\})[A-Za-z0-9_./:=@+,#()\[\]{}\"*'!?;$%^~ -])*", re.ASCII)


def ready(text: object) -> Markup:
    """Mark text as fit to print: it is ours (a word, a number, a time), or it was escaped just now."""
    return str.__new__(Markup, text)  # the one place where text is declared harmless


def visible(text: str) -> str:
    """Make line ends, control and format characters visible instead of effective."""
    return texts.visible(_LINE_END.sub(" \u23ce ", text).replace("\t", " "))


def plain(text: str, limit: int = LIMIT) -> str:
    """Return text without secrets, made visible and cut to a limit that says how much is gone."""
    if len(text) <= limit:
        return visible(without_secrets(text)).strip()
    head = without_secrets(text[: 2 * limit])  # cut later than looked at: half a secret is one too
    gone = len(text) - limit
    return visible(f"{head[:limit]} \u2026 (+{gone})").strip()


@lru_cache(maxsize=4096)
def md(text: str, limit: int = LIMIT) -> Markup:
    """Return text for Markdown, table cells included: it reads as it was written and does nothing."""
    if len(text) <= limit and _EASY.fullmatch(text):
        return ready(text.strip())
    shown = plain(text, limit)
    if _PLAIN.fullmatch(shown):
        return ready(_start(shown))
    parts, end = [], 0
    for word in _WORD.finditer(shown):
        if _LIVE.search(word[0]):
            parts += [_escaped(shown[end : word.start()]), f"`{word[0]}`"]
            end = word.end()
    parts.append(_escaped(shown[end:]))
    return ready(_start("".join(parts)))


@lru_cache(maxsize=4096)
def code(text: str, limit: int = 300) -> Markup:
    """Return an identifier as a code span; what cannot stand in one is escaped as text."""
    shown = plain(text, limit)
    if shown and _CODE_ONLY.fullmatch(shown):
        return ready(f"`{shown}`")
    return md(text, limit)


def yaml_text(text: str, limit: int = LIMIT) -> Markup:
    """Return text as a YAML double-quoted scalar for the front matter."""
    quoted = json.dumps(plain(text, limit), ensure_ascii=False)
    return ready(quoted.replace("<", "\\u003c").replace(">", "\\u003e").replace("{", "\\u007b"))


def _escaped(text: str) -> str:
    return _MARKUP.sub(lambda found: _ENTITY.get(found[0]) or "\\" + found[0], text)


def _start(text: str) -> str:
    # `- `, `+ `, `===` and `12.` would open a list or a heading at the start of a line.
    return _START.sub(lambda mark: mark[0] + "\\" if mark[0].isdecimal() else "\\" + mark[0], text)
