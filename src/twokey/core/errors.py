"""What can be expected to go wrong, as codes with parameters; `twokey.words` puts them into a language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence for people, not yet in any language: a catalogue code and its parameters.

    Parameters may hold an attacker's text: whoever renders a message escapes them for its surface.
    A parameter that is itself a message (the reason behind a reason) stands in `nested` too, to be said in words.
    """

    code: str
    params: Mapping[str, str] = field(default_factory=dict)
    nested: Mapping[str, Message] = field(default_factory=dict)

    def __str__(self) -> str:
        shown = " ".join(f"{name}={value!r}" for name, value in sorted(self.params.items()))
        return f"{self.code} {shown}".rstrip()


def message(code: str, **params: object) -> Message:
    """Make a message; every parameter is kept as text, and one that is a message also as that."""
    said = {
        name: value.message if isinstance(value, TwokeyError) else value for name, value in params.items()
    }
    nested = {name: value for name, value in said.items() if isinstance(value, Message)}
    return Message(code, {name: str(value) for name, value in said.items()}, nested)


class TwokeyError(Exception):
    """Something that was expected to go wrong sometimes: people are told in one sentence what to do."""

    def __init__(self, code: str, **params: object) -> None:
        self.message = message(code, **params)
        super().__init__(str(self.message))


class Refused(TwokeyError):
    """A rule said no: nothing was changed, and the reason names what would make it a yes."""


class Invalid(TwokeyError):
    """Input could not be understood: the parameters say what and where (file, line, key)."""


class NotFound(TwokeyError):
    """The thing that was named does not exist here."""


class Conflict(TwokeyError):
    """A row with this identity exists: the same thing was said before."""


class Unavailable(TwokeyError):
    """Something outside did not answer or would not: worth another try."""


class RetryAfter(TwokeyError):
    """Not yet: run the same job again after `seconds`."""

    def __init__(self, seconds: float, code: str = "later", **params: object) -> None:
        self.seconds = seconds
        super().__init__(code, seconds=round(seconds, 1), **params)


class LostLease(TwokeyError):
    """Another worker has taken this run over: this one must not write any more."""


class Tampered(TwokeyError):
    """The record does not prove itself: the parameters name the first entry that is wrong."""
