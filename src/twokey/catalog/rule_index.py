"""An index over rules, so that five thousand of them cost what ten cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import TypeAlias

from twokey.catalog.rule_files import Rule
from twokey.core.errors import Json
from twokey.core.patterns import Pattern
from twokey.core.signals import Signal

Key: TypeAlias = "tuple[str | None, str | None, str | None]"

_SIGNAL = ("signal.family", "signal.type", "signal.account")
_RAW = ("raw.source", "raw.detail.type", "raw.account")  # what AWS's own patterns are written against
_MOST_KEYS = 512
_LENGTHS = (64, 32, 16, 8, 4, 2, 1)  # prefixes are indexed by as much of them as one of these


class RuleIndex:
    """Finds the rules that could match, in their order, without asking the others."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._by_signal = _Table(_SIGNAL)
        self._by_raw = _Table(_RAW)
        for position, rule in enumerate(rules):
            if not self._by_signal.add(rule.pattern, position) and self._by_raw.add(rule.pattern, position):
                continue
            if not self._by_signal.has(rule.pattern):
                self._by_signal.add_anyway(position)

    def candidates(self, signal: Signal, document: Mapping[str, Json]) -> Iterator[Rule]:
        """Yield the rules that could match, in their order."""
        found = self._by_signal.positions(signal.family, signal.type, signal.account)
        if self._by_raw:
            raw = document.get("raw")
            values = [_text_at(raw, path) for path in _RAW]
            if None in values:  # a list or a number stands there: the index cannot tell, so all are asked
                found = sorted({*found, *self._by_raw.all()})
            else:
                found = sorted({*found, *self._by_raw.positions(*(value or "" for value in values))})
        return (self._rules[position] for position in found)


class _Table:
    """Rules by the three values that they ask for; None in a key stands for any value."""

    def __init__(self, paths: tuple[str, str, str]) -> None:
        self._paths = paths
        self._exact: dict[Key, list[int]] = {}
        self._begins: dict[int, dict[Key, list[int]]] = {}

    def __bool__(self) -> bool:
        return bool(self._exact or self._begins)

    def has(self, pattern: Pattern) -> bool:
        """Say whether a pattern asks for any of the three values."""
        first, second, third = self._paths
        return (
            pattern.required_values(first) is not None
            or pattern.required_prefixes(second) is not None
            or pattern.required_values(third) is not None
        )

    def add(self, pattern: Pattern, position: int) -> bool:
        """Put a rule under its values; say whether it asks for any."""
        if not self.has(pattern):
            return False
        first, second, third = self._paths
        families: Iterable[str | None] = pattern.required_values(first) or (None,)
        kinds: Iterable[str | None] = pattern.required_values(second) or (None,)
        accounts: Iterable[str | None] = pattern.required_values(third) or (None,)
        begins = pattern.required_prefixes(second) if kinds == (None,) else None
        sides: list[list[str | None]] = [
            list(families),
            list(begins) if begins else list(kinds),
            list(accounts),
        ]
        while len(sides[0]) * len(sides[1]) * len(sides[2]) > _MOST_KEYS:
            widest = max(range(3), key=lambda side: len(sides[side]))
            sides[widest] = [None]
            begins = None if widest == 1 else begins
        for family, kind, account in product(*sides):
            if begins and kind:
                length = next(length for length in _LENGTHS if length <= len(kind)) if kind else 0
                key = (family, kind[:length], account)
                _append(self._begins.setdefault(length, {}).setdefault(key, []), position)
            else:
                _append(self._exact.setdefault((family, kind, account), []), position)
        return True

    def add_anyway(self, position: int) -> None:
        """Put a rule where every signal finds it."""
        _append(self._exact.setdefault((None, None, None), []), position)

    def positions(self, first: str, second: str, third: str) -> list[int]:
        """Return the positions of the rules that these values do not rule out, in order."""
        found: list[list[int]] = []
        for family in (first, None):
            for account in (third, None):
                for kind in (second, None):
                    if listed := self._exact.get((family, kind, account)):
                        found.append(listed)
                for length, table in self._begins.items():
                    if listed := table.get((family, second[:length], account)):
                        found.append(listed)
        if len(found) < 2:
            return found[0] if found else []
        return sorted({position for listed in found for position in listed})

    def all(self) -> set[int]:
        """Return every position in the table."""
        tables = [self._exact, *self._begins.values()]
        return {position for table in tables for listed in table.values() for position in listed}


def _append(listed: list[int], position: int) -> None:
    if not listed or listed[-1] != position:
        listed.append(position)


def _text_at(raw: Json, path: str) -> str | None:
    """Return the text at a path under raw, "" where nothing stands, None where something else stands."""
    found: Json = raw
    for name in path.split(".")[1:]:
        if isinstance(found, list):
            return None
        found = found.get(name) if isinstance(found, dict) else ""
        if found is None:
            return ""
    return found if isinstance(found, str) else None
