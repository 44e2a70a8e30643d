"""Doors: the unguessable addresses that Azure calls, and how they stay out of logs."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from twokey.core.errors import Invalid, Refused

MIN_SECRET = 32
_SECRET = re.compile(r"[A-Za-z0-9_-]{32,256}")  # nothing that a URL would spell in two ways
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_IN_PATH = re.compile(r"(/azure/|/aws/sns/)[^\s\"'?#]+")
_IN_QUERY = re.compile(r"([?&]code=)[^\s\"'&#]+")

D = TypeVar("D", bound="Door")


@dataclass(frozen=True, slots=True)
class Door:
    """One address, `/azure/<secret>`, and what is known of whatever comes through it.

    `may_enter` is asked with the Authorization header, before the body is read, where the caller also has a
    token (Azure's secure webhook); Unavailable from it is answered with 503.
    """

    name: str
    secret: str = field(repr=False)
    account: str = ""
    tenant: str = ""
    may_enter: Callable[[str], bool] | None = field(default=None, repr=False, compare=False)

    @property
    def source(self) -> str:
        """Return what notifications from here say about where they came from."""
        return f"azure.webhook:{self.name}"


def _no_topic(_body: bytes) -> str:
    raise Refused("web.no_topic")


@dataclass(frozen=True, slots=True)
class EventDoor(Door):
    """One address for Event Grid, `/azure/events/<secret>` or `/azure/events?code=<secret>`.

    `handshake` looks at what came: Refused when it is of a topic that may not speak here, the code to answer
    when it is a validation, "" when it is events. `origins` are the senders that CloudEvents deliver for.
    """

    handshake: Callable[[bytes], str] = field(default=_no_topic, repr=False, compare=False)
    origins: tuple[str, ...] = ("eventgrid.azure.net",)

    @property
    def source(self) -> str:
        """Return what notifications from here say about where they came from."""
        return f"azure.eventgrid:{self.name}"


@dataclass(frozen=True, slots=True)
class Doors:
    """All doors. A secret that could be guessed, or is there twice, stops the start."""

    azure: tuple[Door, ...] = ()
    events: tuple[EventDoor, ...] = ()

    def __post_init__(self) -> None:
        every = (*self.azure, *self.events)
        for door in every:
            if not _NAME.fullmatch(door.name):
                raise Invalid("web.door_name", door=door.name)
            if len(door.secret) < MIN_SECRET:
                raise Invalid("web.secret_short", door=door.name, least=MIN_SECRET)
            if not _SECRET.fullmatch(door.secret) or len(set(door.secret)) < 10:
                raise Invalid("web.secret_weak", door=door.name)
        for unique in ({door.name for door in every}, {door.secret for door in every}):
            if len(unique) != len(every):
                raise Invalid("web.door_twice")


def door_behind(doors: Iterable[D], secret: str) -> D | None:
    """Return the door with this secret. Every door is compared, and in the same time."""
    given = _hashed(secret)
    found: D | None = None
    for door in doors:
        if hmac.compare_digest(given, _hashed(door.secret)):
            found = door
    return found


class HideSecrets(logging.Filter):
    """Replace webhook addresses in log records, whoever logs them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; it is always kept."""
        record.msg, record.args = hidden(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = hidden(record.exc_text)
        return True


def hidden(text: str) -> str:
    """Return text in which no webhook address can be read."""
    return _IN_QUERY.sub(r"\1***", _IN_PATH.sub(r"\1***", text))


def _hashed(secret: str) -> bytes:
    # Hashed first, so that lengths are equal and tell nothing.
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
