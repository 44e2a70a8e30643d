"""Secrets of endpoints: what is no secret stops the start, and none is shown in a log."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Iterable, Sequence

from twokey.core.errors import Invalid

MIN_SECRET = 32
_SECRET = re.compile(r"[A-Za-z0-9_-]{32,256}")  # nothing that a URL would spell in two ways
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

Hide = Callable[[str], str]


def require_name(name: str) -> None:
    """Refuse a name that could not stand in a notification's source."""
    if not _NAME.fullmatch(name):
        raise Invalid("web.door_name", door=name)


def require_secret(name: str, secret: str) -> None:
    """Refuse a secret that could be guessed."""
    if len(secret) < MIN_SECRET:
        raise Invalid("web.secret_short", door=name, least=MIN_SECRET)
    if not _SECRET.fullmatch(secret) or len(set(secret)) < 10:
        raise Invalid("web.secret_weak", door=name)


def require_distinct(secrets: Sequence[tuple[str, str]]) -> None:
    """Refuse names and secrets of which one is there twice."""
    for unique in ({name for name, _ in secrets}, {secret for _, secret in secrets}):
        if len(unique) < len(secrets):
            raise Invalid("web.door_twice")


def is_same(given: str, wanted: str) -> bool:
    """Say whether a secret is the wanted one, in a time that tells nothing."""
    # Hashed first, so that lengths are equal.
    one, other = (
        hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest() for text in (given, wanted)
    )
    return hmac.compare_digest(one, other)


def hiding(prefixes: Iterable[str]) -> Hide:
    """Return what replaces everything behind these prefixes: `/x/` up to the path's end, `?x=` up to the value's."""
    known = tuple(prefixes)
    paths = "|".join(re.escape(prefix) for prefix in known if prefix.startswith("/"))
    queries = "|".join(re.escape(prefix) for prefix in known if not prefix.startswith("/"))
    in_path = re.compile(rf"({paths})[^\s\"'?#]+") if paths else None
    in_query = re.compile(rf"({queries})[^\s\"'&#]+") if queries else None

    def hide(text: str) -> str:
        for pattern in (in_path, in_query):
            text = pattern.sub(r"\1***", text) if pattern else text
        return text

    return hide


class HideSecrets(logging.Filter):
    """Replace endpoints' addresses in log records, whoever logs them."""

    def __init__(self, hide: Hide) -> None:
        super().__init__()
        self._hide = hide

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; it is always kept."""
        record.msg, record.args = self._hide(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self._hide(record.exc_text)
        return True
