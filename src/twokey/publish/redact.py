"""What must not leave: secrets from every page, and names and addresses from the pages for outsiders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from twokey.core.texts import REMOVED, SECRET, without_secrets
from twokey.ports import PublicNames

__all__ = ["REMOVED", "Disclosure", "without_secrets"]

_Shapes = tuple[tuple[str, re.Pattern[str]], ...]

# Shapes that identify somebody or something, with the name of the shape for people who must mend a text.
_ADDRESSES: _Shapes = (
    ("e-mail", re.compile(r"[^\s@`|<>]+@[^\s@`|<>]+\.[A-Za-z]{2,}")),
    ("mention", re.compile(r"[<]?[@!#][A-Z][A-Z0-9]{6,}[>]?|(?<![\w.+-])[@\uff20][A-Za-z][\w.-]+")),
    ("address", re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://[^\s`|]+", re.I)),
    ("ip", re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")),
    # Eight groups, or `::` in a word: a time of day (12:30:05) is neither.
    (
        "ip",
        re.compile(r"(?<![:\w])(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|[0-9a-f:]*::[0-9a-f:]+)(?![:\w])", re.I),
    ),
    ("guid", re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I)),
)
_HASH: _Shapes = (("hash", re.compile(r"\b[0-9a-f]{32,}\b", re.I)),)
_DOMAINS = ("internal", "local")


@dataclass(frozen=True)
class Disclosure:
    """What may be said to outsiders about each cloud, and every shape that they must not read."""

    clouds: Mapping[str, PublicNames] = field(repr=False)

    @cached_property
    def shapes(self) -> _Shapes:
        """Return every shape with its name; a longer one stands before what is a part of it."""
        known = tuple(self.clouds.values())
        domains = [*(re.escape(domain) for names in known for domain in names.domains), *_DOMAINS]
        host = re.compile(rf"\b(?:[a-z0-9-]+\.)+(?:{'|'.join(domains)})\b", re.I)
        return (
            *(shape for names in known for shape in names.wholes),
            *_ADDRESSES,
            *(shape for names in known for shape in names.ids),
            ("host", host),
            *_HASH,
        )

    def without_names(self, text: str) -> str:
        """Replace secrets and every shape that identifies a person, an account or a resource."""
        text = without_secrets(text)
        for _, shape in self.shapes:
            text = shape.sub(REMOVED, text)
        return text

    def shapes_in(self, text: str) -> tuple[tuple[int, str], ...]:
        """Return (line, shape) of everything in a text that outsiders must not read, secrets included."""
        found = []
        for number, line in enumerate(text.splitlines(), start=1):
            found += [(number, name) for name, shape in self.shapes if shape.search(line)]
            if SECRET.search(line):
                found.append((number, "secret"))
        return tuple(dict.fromkeys(found))
