"""Event patterns: the matching that AWS documents for EventBridge rules, over any JSON document.

Nothing here runs a regular expression or evaluates anything: a pattern only compares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from twokey.core.errors import Invalid, Json
from twokey.core.patterns.matchers import MATCHERS, NUMERIC_LIMIT, Test, equals, matcher
from twokey.core.patterns.trees import (
    Leaf,
    Miss,
    Node,
    join,
    leaves,
    missed,
    names_other_than_text,
    required,
)
from twokey.core.patterns.work import TooMuchWork, Trail

__all__ = ["MATCHERS", "MAX_DEPTH", "NUMERIC_LIMIT", "Miss", "Pattern", "TooMuchWork", "Trail", "compile"]

MAX_DEPTH = 32
_UNCOUNTED = 1 << 62  # where a person waits for the answer


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled event pattern."""

    _root: Node = field(repr=False)

    def matches(self, document: Mapping[str, Json]) -> bool:
        """Say whether a document matches."""
        return self._root.match_fields(document, True, Trail(_UNCOUNTED))

    def matched(self, document: Mapping[str, Json], trail: Trail | None = None) -> dict[str, Json] | None:
        """Return the fields that decided, by path, or None when the document does not match.

        A field that had to be absent stands there with None. A trail says how much work it may be: TooMuchWork.
        """
        trail = Trail(_UNCOUNTED) if trail is None else trail
        return dict(trail) if self._root.match_fields(document, True, trail) else None

    def why_not(self, document: Mapping[str, Json]) -> Miss | None:
        """Return the first field that failed, None when the document matches."""
        return None if self.matches(document) else missed(self._root, [dict(document)])

    def required_values(self, path: str) -> frozenset[str] | None:
        """Return the texts of which the field at a path must be one, None when it may be something else."""
        return required(self._root, path, lambda leaf: leaf.texts if leaf.only_texts else None)

    def required_prefixes(self, path: str) -> frozenset[str] | None:
        """Return the texts of which one must begin the field at a path, None when it may begin otherwise."""
        return required(self._root, path, lambda leaf: leaf.prefixes)

    def paths(self) -> tuple[str, ...]:
        """Return the path of every field that the pattern looks at."""
        return tuple(dict.fromkeys(leaf.path for leaf in leaves(self._root)))

    def has_other_than_text(self, path: str) -> bool:
        """Say whether the field at a path is compared with a number, true, false or null."""
        return any(leaf.path == path and names_other_than_text(leaf.wanted) for leaf in leaves(self._root))


def compile(pattern: object) -> Pattern:  # noqa: A001  # `patterns.compile`, as in `re.compile`
    """Read an event pattern; Invalid names the place, and the nearest matcher for one that does not exist."""
    return Pattern(_node(pattern, "$", "", 0))


def _node(pattern: object, where: str, path: str, depth: int) -> Node:
    if not isinstance(pattern, Mapping):
        raise Invalid("pattern.not_object", where=where)
    if not pattern:
        raise Invalid("pattern.empty", where=where)
    if depth >= MAX_DEPTH:
        raise Invalid("pattern.too_deep", where=where, limit=MAX_DEPTH)
    fields: list[tuple[str, Leaf | Node]] = []
    either: list[tuple[Node, ...]] = []
    for name, value in pattern.items():
        here = f"{where}.{name}"
        if name == "$or":
            either.append(_branches(value, here, path, depth))
        elif isinstance(value, Mapping):
            fields.append((name, _node(value, here, join(path, name), depth + 1)))
        elif isinstance(value, list):
            fields.append((name, _leaf(value, here, join(path, name))))
        else:
            raise Invalid("pattern.not_list", where=here, value=json.dumps(value, default=str))
    may_be_missing = all(child.may_be_missing for _, child in fields) and all(
        any(branch.may_be_missing for branch in branches) for branches in either
    )
    return Node(path, tuple(fields), tuple(either), may_be_missing)


def _branches(value: object, where: str, path: str, depth: int) -> tuple[Node, ...]:
    if not isinstance(value, list) or len(value) < 2:
        raise Invalid("pattern.or", where=where)
    for index, branch in enumerate(value):
        reserved = [name for name in branch if name in MATCHERS] if isinstance(branch, Mapping) else []
        if reserved:
            raise Invalid("pattern.or_reserved", where=f"{where}[{index}]", name=reserved[0])
    return tuple(_node(item, f"{where}[{i}]", path, depth + 1) for i, item in enumerate(value))


def _leaf(values: list[object], where: str, path: str) -> Leaf:
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
            tests.append(matcher(value, here))
        elif value is None or isinstance(value, bool | int | float):
            tests.append(equals(value))
        else:
            raise Invalid("pattern.value", where=here)
        begins = value.get("prefix") if isinstance(value, Mapping) else value
        if prefixes is not None:
            prefixes = prefixes | {begins} if isinstance(begins, str) else None
    absent = any(isinstance(value, Mapping) and value.get("exists") is False for value in values)
    return Leaf(
        path,
        tuple(tests),
        frozenset(texts),
        json.dumps(values),
        absent,
        not tests,
        None if prefixes is None else frozenset(prefixes),
    )
