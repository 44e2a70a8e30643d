"""What can go wrong with a call: turned away, denied, or the process dies."""

from __future__ import annotations

from twokey.core.errors import Refused, Unavailable


class Killed(BaseException):
    """The process died here: nothing after this line happened."""


def throttled() -> None:
    """Turn a call away: try again."""
    raise Unavailable("cloud.throttled")


def denied() -> None:
    """Turn a call away for good."""
    raise Refused("cloud.access_denied")


def die() -> None:
    """End the process."""
    raise Killed
