"""What a match may cost: work is counted, not timed, so that a slow machine and a fast one judge alike.

A pattern's cost is at most its size times the document's. Either may be somebody's who wants us to stand still.
"""

from __future__ import annotations

from twokey.core.errors import Json

RULE = (
    50_000  # steps of one rule on one event; a step is some tenth of a millionth of a second to half of one
)
EVENT = 200_000  # steps of all rules on one event: well under 100 ms
LEAST = 1_000  # what a rule may always spend, whatever those before it spent
ORDINARY = 500  # values in an event; a rule that needs so much for so few is itself at fault
LARGE = 20_000  # values in an event that nobody needs to look through
LONG = 1024  # a shorter text costs one step


class TooMuchWork(Exception):
    """A rule's match costs more than it may."""


class Trail(list[tuple[str, Json]]):
    """The fields that decided, in their order, and how many steps are left."""

    __slots__ = ("left",)

    def __init__(self, left: int = RULE) -> None:
        super().__init__()
        self.left = left

    def spend(self, steps: int) -> None:
        """Take steps from what is left; raise when there are not so many."""
        self.left -= steps
        if self.left < 0:
            raise TooMuchWork

    def spend_on(self, text: str, tests: int) -> None:
        """Take what looking through a long text costs."""
        self.spend((len(text) * tests) >> 6)


def size(value: object, limit: int = LARGE) -> tuple[int, int, int]:
    """Return how many values a document has, its longest list and its longest text; counting ends at the limit."""
    count, longest_list, longest_text = 0, 0, 0
    stack = [value]
    while stack and count <= limit:
        item = stack.pop()
        count += 1
        if isinstance(item, dict):
            longest_list = max(longest_list, len(item))
            stack.extend(list(item.values())[: limit + 1])
        elif isinstance(item, list | tuple):
            longest_list = max(longest_list, len(item))
            stack.extend(item[: limit + 1])
        elif isinstance(item, str):
            longest_text = max(longest_text, len(item))
    return count, longest_list, longest_text
