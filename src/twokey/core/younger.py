"""Fields that are younger than the records people have.

A younger field that holds its default is left out of what is written and of what a digest covers. So what an earlier
version wrote is written again to the very same bytes, and a plan that waits keeps the digest it was confirmed by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, field, fields
from typing import Any

_MARK = "twokey.younger"


def younger(
    default: Any = MISSING, *, default_factory: Callable[[], Any] | None = None, hash: bool | None = None
) -> Any:
    """Declare a dataclass field that earlier versions did not have; it needs a default."""
    if default_factory is not None:
        return field(default_factory=default_factory, hash=hash, metadata={_MARK: True})
    return field(default=default, hash=hash, metadata={_MARK: True})


def younger_fields(noun: type[Any]) -> tuple[str, ...]:
    """Return the names of a dataclass's younger fields."""
    return tuple(one.name for one in fields(noun) if one.metadata.get(_MARK))


def written_fields(noun: Any) -> tuple[str, ...]:
    """Return the names of the fields that a noun is written with: a younger one only where it says something."""
    return tuple(
        one.name
        for one in fields(noun)
        if not (one.metadata.get(_MARK) and getattr(noun, one.name) == _default(one))
    )


def _default(one: Field[Any]) -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()
