"""Event patterns: the matching that AWS documents for EventBridge rules, over any JSON document.

Nothing here runs a regular expression or an expression: a pattern only compares. The cost of a match is at
most the size of the pattern times the size of the document, whatever either of them holds.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TypeAlias

from twokey.core.errors import Invalid, Json

Scalar: TypeAlias = "bool | int | float | str | None"
Test: TypeAlias = Callable[[Scalar], bool]
Trail: TypeAlias = "list[tuple[str, Json]]"

MAX_DEPTH = 32
NUMERIC_LIMIT = 5e9  # AWS compares numbers from -5e9 to 5e9 only
MATCHERS = (
    "anything-but",
    "cidr",
    "equals-ignore-case",
    "exists",
    "numeric",
    "prefix",
    "suffix",
    "wildcard",
)
_OPERATORS = ("=", "<", "<=", ">", ">=")


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
class _Leaf:
    path: str
    tests: tuple[Test, ...]
    texts: frozenset[str]
    wanted: str
    may_be_missing: bool
    only_texts: bool
    prefixes: frozenset[str] | None  # every alternative is a text or a prefix

    def passes(self, value: Scalar) -> bool:
        if isinstance(value, str) and value in self.texts:
            return True
        return any(test(value) for test in self.tests)

    def match(self, value: object, missing_ok: bool, trail: Trail) -> bool:
        """Test a field's value; any one element of a list is enough, and an object is not a value."""
        if isinstance(value, str):  # nearly always: spare it the detour below
            if value not in self.texts and not any(test(value) for test in self.tests):
                return False
            trail.append((self.path, value))
            return True
        found = False
        for scalar in _scalars(value):
            found = True
            if self.passes(scalar):
                trail.append((self.path, scalar))
                return True
        if found or not missing_ok or not self.may_be_missing:
            return False
        trail.append((self.path, None))
        return True


@dataclass(frozen=True, slots=True)
class _Node:
    path: str
    fields: tuple[tuple[str, _Leaf | _Node], ...]
    either: tuple[tuple[_Node, ...], ...]  # each $or: one of these must match
    may_be_missing: bool

    def match(self, value: object, missing_ok: bool, trail: Trail) -> bool:
        """Match an object; of a list, all the fields must match in one and the same element."""
        if isinstance(value, dict):
            return self._fields(value, missing_ok, trail)
        elements = [element for element in _elements(value) if isinstance(element, dict)]
        may_miss = missing_ok and self.may_be_missing
        mark = len(trail)
        for element in elements:
            # A field that must be absent is not satisfied by one element when another has it.
            if self._fields(element, missing_ok and not may_miss, trail):
                return True
            del trail[mark:]
        if not may_miss:
            return False
        for element in elements or [{}]:
            if not self._fields(element, True, trail):
                del trail[mark:]
                return False
        return True

    def _fields(self, found: Mapping[str, Json], missing_ok: bool, trail: Trail) -> bool:
        for name, child in self.fields:
            if not child.match(found.get(name, _MISSING), missing_ok, trail):
                return False
        return all(self._one_of(branches, found, missing_ok, trail) for branches in self.either)

    @staticmethod
    def _one_of(
        branches: tuple[_Node, ...], found: Mapping[str, Json], missing_ok: bool, trail: Trail
    ) -> bool:
        mark = len(trail)
        for branch in branches:
            if branch._fields(found, missing_ok, trail):
                return True
            del trail[mark:]
        return False


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled event pattern."""

    _root: _Node = field(repr=False)

    def matches(self, document: Mapping[str, Json]) -> bool:
        """Say whether a document matches."""
        return self._root._fields(document, True, [])

    def matched(self, document: Mapping[str, Json]) -> dict[str, Json] | None:
        """Return the fields that decided, by path, or None when the document does not match.

        A field that had to be absent stands there with None.
        """
        trail: Trail = []
        return dict(trail) if self._root._fields(document, True, trail) else None

    def why_not(self, document: Mapping[str, Json]) -> Miss | None:
        """Return the first field that failed, None when the document matches."""
        return None if self.matches(document) else _miss(self._root, [dict(document)])

    def required_values(self, path: str) -> frozenset[str] | None:
        """Return the texts of which the field at a path must be one, None when it may be something else."""
        return _required(self._root, path, lambda leaf: leaf.texts if leaf.only_texts else None)

    def required_prefixes(self, path: str) -> frozenset[str] | None:
        """Return the texts of which one must begin the field at a path, None when it may begin otherwise."""
        return _required(self._root, path, lambda leaf: leaf.prefixes)

    def paths(self) -> tuple[str, ...]:
        """Return the path of every field that the pattern looks at."""
        return tuple(dict.fromkeys(leaf.path for leaf in _leaves(self._root)))

    def has_other_than_text(self, path: str) -> bool:
        """Say whether the field at a path is compared with a number, true, false or null."""
        return any(leaf.path == path and _names_other_than_text(leaf.wanted) for leaf in _leaves(self._root))


def compile(pattern: object) -> Pattern:  # noqa: A001  # `patterns.compile`, as in `re.compile`
    """Read an event pattern; Invalid names the place, and the nearest matcher for one that does not exist."""
    return Pattern(_node(pattern, "$", "", 0))


# --- reading a pattern


def _node(pattern: object, where: str, path: str, depth: int) -> _Node:
    if not isinstance(pattern, Mapping):
        raise Invalid("pattern.not_object", where=where)
    if not pattern:
        raise Invalid("pattern.empty", where=where)
    if depth >= MAX_DEPTH:
        raise Invalid("pattern.too_deep", where=where, limit=MAX_DEPTH)
    fields: list[tuple[str, _Leaf | _Node]] = []
    either: list[tuple[_Node, ...]] = []
    for name, value in pattern.items():
        here = f"{where}.{name}"
        if name == "$or":
            either.append(_branches(value, here, path, depth))
        elif isinstance(value, Mapping):
            fields.append((name, _node(value, here, _join(path, name), depth + 1)))
        elif isinstance(value, list):
            fields.append((name, _leaf(value, here, _join(path, name))))
        else:
            raise Invalid("pattern.not_list", where=here, value=json.dumps(value, default=str))
    may_be_missing = all(child.may_be_missing for _, child in fields) and all(
        any(branch.may_be_missing for branch in branches) for branches in either
    )
    return _Node(path, tuple(fields), tuple(either), may_be_missing)


def _branches(value: object, where: str, path: str, depth: int) -> tuple[_Node, ...]:
    if not isinstance(value, list) or len(value) < 2:
        raise Invalid("pattern.or", where=where)
    for index, branch in enumerate(value):
        reserved = [name for name in branch if name in MATCHERS] if isinstance(branch, Mapping) else []
        if reserved:
            raise Invalid("pattern.or_reserved", where=f"{where}[{index}]", name=reserved[0])
    return tuple(_node(item, f"{where}[{i}]", path, depth + 1) for i, item in enumerate(value))


def _leaf(values: list[object], where: str, path: str) -> _Leaf:
    if not values:
        raise Invalid("pattern.empty", where=where)
    texts: set[str] = set()
    tests: list[Test] = []
    prefixes: set[str] | None = set()
    for index, value in enumerate(values):
        here = f"{where}[{index}]"
        if isinstance(value, str):
            texts.add(value)
        elif isinstance(value, Mapping):
            tests.append(_matcher(value, here))
        elif value is None or isinstance(value, bool | int | float):
            tests.append(_equals(value))
        else:
            raise Invalid("pattern.value", where=here)
        begins = value.get("prefix") if isinstance(value, Mapping) else value
        if prefixes is not None:
            prefixes = prefixes | {begins} if isinstance(begins, str) else None
    absent = any(isinstance(value, Mapping) and value.get("exists") is False for value in values)
    return _Leaf(
        path,
        tuple(tests),
        frozenset(texts),
        json.dumps(values),
        absent,
        not tests,
        None if prefixes is None else frozenset(prefixes),
    )


def _matcher(spec: Mapping[str, object], where: str) -> Test:
    if len(spec) != 1:
        raise Invalid("pattern.one_matcher", where=where)
    name, value = next(iter(spec.items()))
    readers: dict[str, Callable[[object, str], Test]] = {
        "anything-but": _anything_but,
        "cidr": _cidr,
        "equals-ignore-case": lambda value, where: _ignore_case(_text(value, where)),
        "exists": _exists,
        "numeric": _numeric,
        "prefix": _prefix,
        "suffix": _suffix,
        "wildcard": lambda value, where: _wildcard(_text(value, where), where),
    }
    if name not in readers:
        raise Invalid("pattern.unknown_matcher", where=where, name=name, nearest=_nearest(name, MATCHERS))
    return readers[name](value, f"{where}.{name}")


def _nearest(name: str, known: tuple[str, ...]) -> str:
    return max(known, key=lambda word: difflib.SequenceMatcher(None, str(name)[:64].lower(), word).ratio())


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise Invalid("pattern.text_wanted", where=where)
    return value


# --- the matchers


def _equals(wanted: Scalar) -> Test:
    if wanted is None or isinstance(wanted, bool):
        return lambda value: value is wanted
    return lambda value: not isinstance(value, bool | str) and value == wanted


def _ignore_case(wanted: str) -> Test:
    folded = wanted.lower()
    return lambda value: isinstance(value, str) and value.lower() == folded


def _cased(value: object, where: str) -> tuple[str, bool]:
    """Return the text of a prefix or suffix, and whether case is to be ignored."""
    if isinstance(value, Mapping):
        if set(value) != {"equals-ignore-case"}:
            raise Invalid("pattern.affix", where=where)
        return _text(value["equals-ignore-case"], f"{where}.equals-ignore-case").lower(), True
    return _text(value, where), False


def _prefix(spec: object, where: str) -> Test:
    wanted, folded = _cased(spec, where)
    if folded:
        return lambda value: isinstance(value, str) and value.lower().startswith(wanted)
    return lambda value: isinstance(value, str) and value.startswith(wanted)


def _suffix(spec: object, where: str) -> Test:
    wanted, folded = _cased(spec, where)
    if folded:
        return lambda value: isinstance(value, str) and value.lower().endswith(wanted)
    return lambda value: isinstance(value, str) and value.endswith(wanted)


def _exists(spec: object, where: str) -> Test:
    if not isinstance(spec, bool):
        raise Invalid("pattern.exists", where=where)
    return lambda _value: bool(spec)  # False: passes no value; the leaf itself lets the missing one pass


def _anything_but(spec: object, where: str) -> Test:
    if isinstance(spec, Mapping):
        excluded = _excluded(spec, where)
    else:
        values: list[Scalar] = spec if isinstance(spec, list) else [spec]  # type: ignore[list-item]  # looked at next
        kinds = {str if isinstance(value, str) else float for value in values}
        plain = all(isinstance(value, str | int | float) and not isinstance(value, bool) for value in values)
        if not plain or len(kinds) != 1:
            raise Invalid("pattern.anything_but", where=where)
        excluded = [_equals_scalar(value) for value in values]
    return lambda value: not any(test(value) for test in excluded)


def _equals_scalar(wanted: Scalar) -> Test:
    return (lambda value: value == wanted) if isinstance(wanted, str) else _equals(wanted)


def _excluded(spec: Mapping[str, object], where: str) -> list[Test]:
    if len(spec) != 1:
        raise Invalid("pattern.one_matcher", where=where)
    name, given = next(iter(spec.items()))
    readers: dict[str, Callable[[str, str], Test]] = {
        "prefix": _prefix,
        "suffix": _suffix,
        "equals-ignore-case": lambda text, _where: _ignore_case(text),
        "wildcard": _wildcard,
    }
    if name not in readers:
        raise Invalid(
            "pattern.unknown_matcher", where=where, name=name, nearest=_nearest(name, tuple(readers))
        )
    here = f"{where}.{name}"
    texts = given if isinstance(given, list) else [given]
    if not texts or "" in texts:
        raise Invalid("pattern.empty", where=here)
    return [readers[name](_text(text, here), here) for text in texts]


def _cidr(spec: object, where: str) -> Test:
    text = _text(spec, where)
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise Invalid("pattern.cidr", where=where, value=text) from None
    if "/" not in text:
        raise Invalid("pattern.cidr", where=where, value=text)

    def test(value: Scalar) -> bool:
        if not isinstance(value, str) or not 2 <= len(value) <= 45:
            return False
        try:
            address = ip_address(value)
        except ValueError:
            return False
        return address.version == network.version and address in network

    return test


def _numeric(spec: object, where: str) -> Test:
    if not isinstance(spec, list) or len(spec) not in (2, 4):
        raise Invalid("pattern.numeric", where=where)
    bounds: list[tuple[str, float]] = []
    for operator, number in zip(spec[::2], spec[1::2], strict=True):
        if operator not in _OPERATORS or isinstance(number, bool) or not isinstance(number, int | float):
            raise Invalid("pattern.numeric", where=where)
        if not -NUMERIC_LIMIT <= number <= NUMERIC_LIMIT:
            raise Invalid("pattern.numeric_limit", where=where, number=number)
        bounds.append((operator, number))
    if len(bounds) == 2:
        (low, bottom), (high, top) = bounds
        if low not in (">", ">=") or high not in ("<", "<=") or bottom >= top:
            raise Invalid("pattern.numeric", where=where)
    compare: dict[str, Callable[[float, float], bool]] = {
        "=": lambda seen, bound: seen == bound,
        "<": lambda seen, bound: seen < bound,
        "<=": lambda seen, bound: seen <= bound,
        ">": lambda seen, bound: seen > bound,
        ">=": lambda seen, bound: seen >= bound,
    }

    def test(value: Scalar) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not -NUMERIC_LIMIT <= value <= NUMERIC_LIMIT:
            return False
        return all(compare[operator](value, bound) for operator, bound in bounds)

    return test


def _wildcard(pattern: str, where: str) -> Test:
    first, *rest = _segments(pattern, where)
    if not rest:
        return lambda value: value == first
    *middle, last = rest
    least = len(first) + len(last) + sum(map(len, middle))

    def test(value: Scalar) -> bool:
        if not isinstance(value, str) or len(value) < least:
            return False
        if not (value.startswith(first) and value.endswith(last)):
            return False
        # The leftmost place of each part leaves the most room for the next: no need to ever go back.
        position, end = len(first), len(value) - len(last)
        for part in middle:
            found = value.find(part, position, end)
            if found < 0:
                return False
            position = found + len(part)
        return True

    return test


def _segments(pattern: str, where: str) -> list[str]:
    """Split at the stars that are not escaped; only a star and a backslash may be escaped."""
    parts = [""]
    characters = iter(pattern)
    star_before = False
    for character in characters:
        if character == "*":
            if star_before:
                raise Invalid("pattern.wildcard_stars", where=where)
            parts.append("")
        elif character == "\\":
            escaped = next(characters, "")
            if escaped not in ("*", "\\"):
                raise Invalid("pattern.wildcard_escape", where=where)
            parts[-1] += escaped
        else:
            parts[-1] += character
        star_before = character == "*"
    return parts


# --- looking at documents and patterns


def _elements(value: object) -> Iterator[object]:
    """Yield what is in a list, lists within it opened; a single value is yielded as it is."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list | tuple):
            stack.extend(reversed(item))
        else:
            yield item


def _scalars(value: object) -> Iterator[Scalar]:
    for item in _elements(value):
        if item is None or isinstance(item, str | bool | int | float):
            yield item


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _leaves(node: _Node) -> Iterator[_Leaf]:
    for _, child in node.fields:
        if isinstance(child, _Leaf):
            yield child
        else:
            yield from _leaves(child)
    for branches in node.either:
        for branch in branches:
            yield from _leaves(branch)


def _names_other_than_text(wanted: str) -> bool:
    return any(value is None or isinstance(value, bool | int | float) for value in json.loads(wanted))


def _required(
    node: _Node, path: str, choose: Callable[[_Leaf], frozenset[str] | None]
) -> frozenset[str] | None:
    """Return the narrowest set of texts that every way to match has in common at a path."""
    found: frozenset[str] | None = None
    for _, child in node.fields:
        if isinstance(child, _Leaf):
            narrower = choose(child) if child.path == path else None
        else:
            narrower = _required(child, path, choose) if path.startswith(child.path + ".") else None
        found = _narrower(found, narrower)
    for branches in node.either:
        ways = [_required(branch, path, choose) for branch in branches]
        if all(way is not None for way in ways):
            found = _narrower(found, frozenset().union(*(way for way in ways if way is not None)))
    return found


def _narrower(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    """Return the smaller of two sets: each of them alone must hold, so either may stand for both."""
    if one is None or other is None:
        return other if one is None else one
    return one if len(one) <= len(other) else other


def _miss(node: _Node, found: list[dict[str, Json]]) -> Miss:
    """Tell which field failed first, looking into every element of a list at once."""
    for name, child in node.fields:
        values: list[object] = [element.get(name, _MISSING) for element in found]
        if any(child.match(value, True, []) for value in values):
            continue
        below = [item for value in values for item in _elements(value)]
        if isinstance(child, _Leaf):
            seen = [item for item in below if item is None or isinstance(item, str | bool | int | float)]
            return Miss(child.path, tuple(seen[:10]), child.wanted)
        return _miss(child, [item for item in below if isinstance(item, dict)] or [{}])
    for branches in node.either:
        if not any(branch.match(element, True, []) for branch in branches for element in found):
            return _miss(branches[0], found)
    return Miss(node.path, (), "", together=True)
