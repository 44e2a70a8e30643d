"""Read typed values out of a strict YAML document, collecting every fault with its file, line and key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from twokey.catalog.strict_yaml import Data, Document, Path
from twokey.core.errors import Invalid, TwokeyError
from twokey.core.texts import nearest

E = TypeVar("E", bound=StrEnum)

_DURATION = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,14})")


def shown(value: object) -> str:
    """Return a value short enough for a message."""
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."


@dataclass(frozen=True, slots=True)
class Part:
    """One place in a document. A reader that finds a fault notes it and goes on with an empty value."""

    doc: Document
    path: Path
    value: Data
    faults: list[Invalid]

    def fault(self, code: str, **params: object) -> None:
        """Note what is wrong here."""
        self.faults.append(self.doc.fault(code, self.path, **params))

    def at(self, name: str | int, value: Data) -> Part:
        """Return a place below this one."""
        return Part(self.doc, (*self.path, name), value, self.faults)

    def fields(self, required: str = "", optional: str = "") -> dict[str, Part]:
        """Return the parts of a mapping by name; note unknown and missing keys."""
        if not isinstance(self.value, dict):
            self.fault("schema.not_mapping")
            return {}
        must, known = required.split(), {*required.split(), *optional.split()}
        found: dict[str, Part] = {}
        meant = set[str]()
        for name, value in self.value.items():
            if name in known:
                found[name] = self.at(name, value)
            else:
                self.at(name, value).unknown("schema.unknown_key", name, known)
                meant.add(nearest(name, known))
        for name in must:
            if name not in found and name not in meant:  # a misspelt key is one fault, not two
                self.fault("schema.missing_key", missing=name)
        return found

    def unknown(self, code: str, given: str, known: Iterable[str]) -> None:
        """Note a name that is not known here; `<code>_near` also tells the name that was probably meant."""
        names = sorted(known)
        near = nearest(given, names)
        if near:
            self.fault(f"{code}_near", given=shown(given), nearest=near)
        else:
            self.fault(code, given=shown(given), known=", ".join(names) or "-")

    def entries(self) -> list[tuple[str, Part]]:
        """Return the parts of a mapping whose keys people choose."""
        if not isinstance(self.value, dict):
            self.fault("schema.not_mapping")
            return []
        return [(name, self.at(name, value)) for name, value in self.value.items()]

    def items(self) -> list[Part]:
        """Return the parts of a list."""
        if not isinstance(self.value, list):
            self.fault("schema.not_list")
            return []
        return [self.at(index, value) for index, value in enumerate(self.value)]

    def text(self, matching: str = "") -> str:
        """Return text, which must not be empty and, where a regular expression is given, match it whole."""
        if not isinstance(self.value, str):
            self.fault("schema.not_text")
            return ""
        if not self.value.strip():
            self.fault("schema.empty")
            return ""
        if matching and not re.fullmatch(matching, self.value):
            self.fault("schema.not_matching", value=shown(self.value), pattern=matching)
            return ""
        return self.value

    def texts(self) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(item.text() for item in self.items())

    def boolean(self) -> bool:
        """Return true or false, which are the only two spellings."""
        if self.value not in ("true", "false"):
            self.fault("schema.not_boolean", value=shown(self.value))
        return self.value == "true"

    def integer(self, least: int, most: int) -> int:
        """Return a whole number between two bounds."""
        if not isinstance(self.value, str) or not _INTEGER.fullmatch(self.value):
            self.fault("schema.not_integer", value=shown(self.value))
            return least
        number = int(self.value)
        if not least <= number <= most:
            self.fault("schema.out_of_range", value=number, least=least, most=most)
            return least
        return number

    def duration(self, most_s: float = 365 * 86400.0) -> float:
        """Return seconds of a duration such as 30s, 10m, 24h or 90d."""
        match = _DURATION.fullmatch(self.value) if isinstance(self.value, str) else None
        if not match:
            self.fault("schema.not_duration", value=shown(self.value))
            return 0.0
        seconds = int(match[1]) * _SECONDS[match[2]]
        if seconds > most_s:
            self.fault("schema.too_long", value=shown(self.value), most=f"{int(most_s)}s")
        return seconds

    def one_of(self, kind: type[E]) -> E:
        """Return a member of an enumeration; the first one stands in after a fault."""
        members = {member.value: member for member in kind}
        if isinstance(self.value, str) and self.value in members:
            return members[self.value]
        self.unknown("schema.not_one_of", shown(self.value), members)
        return next(iter(kind))

    def choice(self, *known: str) -> str:
        """Return one of a few words."""
        if isinstance(self.value, str) and self.value in known:
            return self.value
        self.unknown("schema.not_one_of", shown(self.value), known)
        return known[0]


def top(doc: Document, faults: list[Invalid]) -> Part:
    """Return the whole of a document."""
    return Part(doc, (), doc.data, faults)


def where(fault: TwokeyError) -> str:
    """Return file, line and key of a fault, as compilers do: runbooks/aws.x.yaml:12: spec.risk."""
    params = fault.message.params
    if "file" not in params:
        return ""
    place = f"{params['file']}:{params.get('line', '1')}"
    return f"{place}: {params['key']}" if params.get("key") else place
