"""A pattern as a tree: how it goes over a document, what it needs, and where a document fails it.

The cost of a match is at most the size of the pattern times the size of the document, whatever either holds;
where lists and long texts make it large, it is counted, and ends with TooMuchWork.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from twokey.core.errors import Json
from twokey.core.patterns.matchers import Scalar, Test
from twokey.core.patterns.work import LONG, Trail


class _Missing:
    """What stands where a document has no such field."""


_MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class Miss:
    """Why a document did not match: the first field that failed, what it held, and what was wanted."""

    path: str
    seen: tuple[Json, ...]
    wanted: str
    together: bool = False  # every field matches somewhere, but not all in one element of a list


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field of a pattern with the values and matchers that it may have."""

    path: str
    tests: tuple[Test, ...]
    texts: frozenset[str]
    wanted: str
    may_be_missing: bool
    only_texts: bool
    prefixes: frozenset[str] | None  # every alternative is a text or a prefix

    def passes(self, value: Scalar) -> bool:
        """Say whether one value is what the pattern wants."""
        if isinstance(value, str) and value in self.texts:
            return True
        for test in self.tests:  # noqa: SIM110 - `any` would make a generator for every field of every event
            if test(value):
                return True
        return False

    def match(self, value: object, missing_ok: bool, trail: Trail) -> bool:
        """Test a field's value; any one element of a list is enough, and an object is not a value."""
        if isinstance(value, str | int | float):  # nearly always: spare it the detour below
            if not isinstance(value, str):
                trail.spend(len(self.tests))
            elif len(value) > LONG:
                trail.spend_on(value, len(self.tests))
            if not self.passes(value):
                return False
            trail.append((self.path, value))
            return True
        found = False
        for scalar in _elements(value, trail):
            if scalar is not None and not isinstance(scalar, str | bool | int | float):
                continue
            found = True
            trail.spend(len(self.tests))
            if isinstance(scalar, str) and len(scalar) > LONG:
                trail.spend_on(scalar, len(self.tests))
            if self.passes(scalar):
                trail.append((self.path, scalar))
                return True
        if found or not missing_ok or not self.may_be_missing:
            return False
        trail.append((self.path, None))
        return True


@dataclass(frozen=True, slots=True)
class Node:
    """An object of a pattern: fields that must all match, and alternatives of which one must."""

    path: str
    fields: tuple[tuple[str, Leaf | Node], ...]
    either: tuple[tuple[Node, ...], ...]  # each $or: one of these must match
    may_be_missing: bool

    def match(self, value: object, missing_ok: bool, trail: Trail) -> bool:
        """Match an object; of a list, all the fields must match in one and the same element."""
        if isinstance(value, dict):
            return self.match_fields(value, missing_ok, trail)
        elements = [element for element in _elements(value, trail) if isinstance(element, dict)]
        may_miss = missing_ok and self.may_be_missing
        mark = len(trail)
        for element in elements:
            trail.spend(len(self.fields))
            # A field that must be absent is not satisfied by one element when another has it.
            if self.match_fields(element, missing_ok and not may_miss, trail):
                return True
            del trail[mark:]
        if not may_miss:
            return False
        for element in elements or [{}]:
            trail.spend(len(self.fields))
            if not self.match_fields(element, True, trail):
                del trail[mark:]
                return False
        return True

    def match_fields(self, found: Mapping[str, Json], missing_ok: bool, trail: Trail) -> bool:
        """Match the fields of one object, and write down which values decided."""
        for name, child in self.fields:
            if not child.match(found.get(name, _MISSING), missing_ok, trail):
                return False
        for branches in self.either:
            mark = len(trail)
            for branch in branches:
                if branch.match_fields(found, missing_ok, trail):
                    break
                del trail[mark:]
            else:
                return False
        return True


def _elements(value: object, trail: Trail) -> Iterator[object]:
    """Yield what is in a list, lists within it opened; a single value is yielded as it is."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list | tuple):
            trail.spend(len(item))  # before it is copied
            stack.extend(reversed(item))
        else:
            yield item


def join(path: str, name: str) -> str:
    """Return the path of a field below a path."""
    return f"{path}.{name}" if path else name


def leaves(node: Node) -> Iterator[Leaf]:
    """Yield every field below an object, alternatives included."""
    for _, child in node.fields:
        if isinstance(child, Leaf):
            yield child
        else:
            yield from leaves(child)
    for branches in node.either:
        for branch in branches:
            yield from leaves(branch)


def names_other_than_text(wanted: str) -> bool:
    """Say whether a number, true, false or null is among the wanted values."""
    return any(value is None or isinstance(value, bool | int | float) for value in json.loads(wanted))


def required(node: Node, path: str, choose: Callable[[Leaf], frozenset[str] | None]) -> frozenset[str] | None:
    """Return the narrowest set of texts that every way to match has in common at a path."""
    found: frozenset[str] | None = None
    for _, child in node.fields:
        if isinstance(child, Leaf):
            narrower = choose(child) if child.path == path else None
        else:
            narrower = required(child, path, choose) if path.startswith(child.path + ".") else None
        found = _narrower(found, narrower)
    for branches in node.either:
        ways = [required(branch, path, choose) for branch in branches]
        if all(way is not None for way in ways):
            found = _narrower(found, frozenset().union(*(way for way in ways if way is not None)))
    return found


def _narrower(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    """Return the smaller of two sets: each of them alone must hold, so either may stand for both."""
    if one is None or other is None:
        return other if one is None else one
    return one if len(one) <= len(other) else other


def missed(node: Node, found: list[dict[str, Json]]) -> Miss:
    """Tell which field failed first, looking into every element of a list at once."""
    for name, child in node.fields:
        values: list[object] = [element.get(name, _MISSING) for element in found]
        if any(child.match(value, True, Trail(1 << 62)) for value in values):
            continue
        below = [item for value in values for item in _elements(value, Trail(1 << 62))]
        if isinstance(child, Leaf):
            seen = [item for item in below if item is None or isinstance(item, str | bool | int | float)]
            return Miss(child.path, tuple(seen[:10]), child.wanted)
        return missed(child, [item for item in below if isinstance(item, dict)] or [{}])
    for branches in node.either:
        if not any(branch.match(element, True, Trail(1 << 62)) for branch in branches for element in found):
            return missed(branches[0], found)
    return Miss(node.path, (), "", together=True)
