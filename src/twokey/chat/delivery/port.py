"""What delivery asks of a chat: prepare a notice as one call, and say how that call ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from twokey.core.notices import Notice


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How a call ended: where the message stands, or what is known about the error."""

    channel: str = ""
    message: str = ""  # the chat's id of the message in its channel; "" when it was not confirmed
    error: str = ""
    retry_after: float = 0.0  # seconds, when the chat named them
    may_be_done: bool = False  # the answer was lost: the message may have been posted all the same
    is_final: bool = False  # another try would end the same
    is_gone: bool = False  # the message under or over which we write has been deleted
    is_channel_closed: bool = False  # another channel may do
    may_move: bool = (
        False  # its channel was closed after its card was posted: both go to the fallback channel
    )
    is_misconfigured: bool = False  # nothing is taken before somebody repairs the installation

    @property
    def is_sent(self) -> bool:
        """Say whether the chat confirmed the message."""
        return bool(self.message)


Call = Callable[[], Awaitable[CallOutcome]]


class Chat(Protocol):
    """One chat; the only part of delivery's world that knows its SDK and its message format."""

    def connection(self) -> AbstractAsyncContextManager[None]:
        """Hold open what calls need, for as long as the sender runs."""
        ...

    def channel_of(self, notice: Notice, card: Notice | None) -> str:
        """Return where a notice goes, for the rate limit; `card` is the card of its incident."""
        ...

    def prepare(self, notice: Notice, card: Notice | None, mark: str) -> Call:
        """Render a notice from the record and return the call, not yet made; `mark` says why it may stand twice."""
        ...


def format_reference(channel: str, message: str) -> str:
    """Format where a message stands; nobody outside the chat reads it."""
    return f"{channel}:{message}"


def parse_reference(reference: str) -> tuple[str, str]:
    """Parse where a message stands: the channel, and the message in it."""
    channel, _, message = reference.partition(":")
    return channel, message
