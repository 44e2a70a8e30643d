"""What must be seen of a plan before a key is turned on it: what to read first, and every target, page by page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeVar

from twokey.core.errors import Message, Refused
from twokey.core.runbooks import Plan, Touch, canonical, confirmed_content

PER_PAGE = 10
MOST_PAGES = 20  # nobody reads more with a key in the hand
MOST_CHARACTERS = 2_000  # of one target, or of what one warning names: a chat's paragraph takes 3,000
MOST_BYTES = 1_000_000  # of everything that is confirmed, as its canonical JSON
_LIKES = 100

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Warned:
    """One warning, and what else the same sentence holds for."""

    message: Message
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a plan that people see at once."""

    warnings: tuple[Warned, ...]
    touches: tuple[Touch, ...]


def pages(plan: Plan) -> tuple[Page, ...]:
    """Return all that must be seen of a plan: warnings from the first page on, and ten targets to each."""
    warned, touched = parts(alike(plan.warnings), PER_PAGE), parts(plan.touches, PER_PAGE)
    whole = zip_longest(warned, touched, fillvalue=())
    return tuple(Page(tuple(warnings), tuple(touches)) for warnings, touches in whole) or (Page((), ()),)


def alike(messages: Iterable[Message]) -> tuple[Warned, ...]:
    """Gather the messages that differ in one thing they name; nothing is dropped."""
    by_code: dict[str, list[Message]] = {}
    for one in messages:
        by_code.setdefault(one.code, []).append(one)
    return tuple(
        Warned(some[0], tuple(other.params[name] for other in some[1:]))
        for same in by_code.values()
        for name, group in _gathered(same)
        for some in parts(group, 1 + _LIKES)
    )


def parts(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Cut a sequence into parts of at most this size."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def _gathered(same: Sequence[Message]) -> list[tuple[str, list[Message]]]:
    """Return the fewest groups of messages of one code, each with the parameter in which its members differ."""
    choices = []
    for name in sorted({name for one in same for name in one.params}):
        groups: dict[tuple[tuple[str, str], ...], list[Message]] = {}
        for one in same:
            rest = tuple(sorted((key, value) for key, value in one.params.items() if key != name))
            # one that does not name it at all has nothing to be listed by
            groups.setdefault((*rest, ("", "" if name in one.params else str(one))), []).append(one)
        choices.append([(name, group) for group in groups.values()])
    return min(choices, key=len, default=[("", [one]) for one in same])


def require_showable(plan: Plan) -> None:
    """Refuse a plan that nobody could be shown whole: it has to become several smaller ones."""
    count = len(pages(plan))
    if count > MOST_PAGES:
        raise Refused("refused.too_many_pages", pages=count, limit=MOST_PAGES)
    longest = max(
        [sum(map(len, one.params.values())) for one in plan.warnings]
        + [len(touch.id) + len(touch.name) for touch in plan.touches],
        default=0,
    )
    if longest > MOST_CHARACTERS:
        raise Refused("refused.too_long_to_show", characters=longest, limit=MOST_CHARACTERS)
    size = len(canonical(confirmed_content(plan)))
    if size > MOST_BYTES:
        raise Refused("refused.too_large_to_show", bytes=size, limit=MOST_BYTES)
