"""What stands for a value in an event pattern: the matchers that AWS documents, as tests of one value."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import TypeAlias

from twokey.core.errors import Invalid
from twokey.core.texts import nearest

Scalar: TypeAlias = "bool | int | float | str | None"
Test: TypeAlias = Callable[[Scalar], bool]

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
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matcher(spec: Mapping[str, object], where: str) -> Test:
    """Read one matcher; Invalid names its place, and the nearest matcher for one that does not exist."""
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
        raise Invalid(
            "pattern.unknown_matcher",
            where=where,
            name=name,
            nearest=nearest(str(name).lower(), MATCHERS, alike=0.0),
        )
    return readers[name](value, f"{where}.{name}")


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise Invalid("pattern.text_wanted", where=where)
    return value


def equals(wanted: Scalar) -> Test:
    """Return the test for exactly this value; text, numbers, true, false and null are never each other."""
    if isinstance(wanted, str):
        return lambda value: value == wanted
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
        excluded = [equals(value) for value in values]
    return lambda value: not any(test(value) for test in excluded)


def _excluded(spec: Mapping[str, object], where: str) -> list[Test]:
    """Read the matcher within an anything-but: fewer are allowed there, and each takes a text or several."""
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
            "pattern.unknown_matcher",
            where=where,
            name=name,
            nearest=nearest(str(name).lower(), readers, alike=0.0),
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
    for comparison, number in zip(spec[::2], spec[1::2], strict=True):
        if comparison not in _COMPARE or isinstance(number, bool) or not isinstance(number, int | float):
            raise Invalid("pattern.numeric", where=where)
        if not -NUMERIC_LIMIT <= number <= NUMERIC_LIMIT:
            raise Invalid("pattern.numeric_limit", where=where, number=number)
        bounds.append((comparison, number))
    if len(bounds) == 2:
        (low, bottom), (high, top) = bounds
        if low not in (">", ">=") or high not in ("<", "<=") or bottom >= top:
            raise Invalid("pattern.numeric", where=where)
    (first, bound), (second, other) = bounds[0], bounds[-1]
    holds, holds_too = _COMPARE[first], _COMPARE[second]

    def test(value: Scalar) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not -NUMERIC_LIMIT <= value <= NUMERIC_LIMIT:
            return False
        return bool(holds(value, bound) and holds_too(value, other))

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
