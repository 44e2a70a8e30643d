"""Column types: moments in UTC, and text that any database can keep and index, whoever wrote it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

LONGEST = 400
_KEPT = 300


def storable(text: str) -> str:
    """Return text with what a database cannot keep (NUL, lone surrogates) made visible."""
    if text.isascii() and "\0" not in text:
        return str.__str__(text)
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def key_text(text: str) -> str:
    """Return the text of an indexed column: storable, and never longer than an index can take.

    The noun's JSON keeps the whole text. A long one is cut and told apart by its hash, so that an
    attacker's megabyte of subject neither fails the insert nor meets another one.
    """
    kept = storable(text)
    if len(kept) <= LONGEST:
        return kept
    return f"{kept[:_KEPT]}#{hashlib.sha256(kept.encode()).hexdigest()}"


class KeyText(TypeDecorator[str]):
    """Text to look things up by; cut the same way when it is written and when it is asked for."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Make the text fit."""
        return None if value is None else key_text(value)


class UTCDateTime(TypeDecorator[datetime]):
    """A moment in UTC: naive ones are refused, and SQLite's naive answer is made aware again."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware moment into what the database keeps."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone is not a moment")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Turn what the database gives back into an aware moment."""
        if value is None:
            return None
        assert isinstance(value, datetime)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
