"""What must not leave: secrets from every page, and names and addresses from the pages for outsiders."""

from __future__ import annotations

import re

from twokey.core.texts import REMOVED, SECRET, without_secrets

__all__ = ["REMOVED", "shapes_in", "without_names", "without_secrets"]

# Shapes that identify somebody or something, with the name of the shape for people who must mend a text.
_OUTSIDE: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("access-key", re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA|ANPA|ABIA|ACCA|AGPA|AIPA|ANVA|APKA)[A-Z0-9]{8,}\b")),
    ("arn", re.compile(r"\barn:[a-z-]*:[^\s`|]*", re.I)),
    ("azure-resource", re.compile(r"/subscriptions/[^\s`|]*", re.I)),
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
    ("account", re.compile(r"(?<![\d.:-])\d{4}-?\d{4}-?\d{4}(?![\d-])")),
    ("organisation", re.compile(r"\bo-[a-z0-9]{10,32}\b|\bou-[a-z0-9]{4,32}-[a-z0-9]{8,32}\b")),
    ("resource", re.compile(r"\b(?:i|vol|snap|sg|subnet|vpc|eni|ami|rtb|igw|nat)-[0-9a-f]{8,17}\b")),
    (
        "host",
        re.compile(
            r"\b(?:[a-z0-9-]+\.)+(?:amazonaws\.com|azure\.com|windows\.net|azurewebsites\.net|internal|local)\b",
            re.I,
        ),
    ),
    ("hash", re.compile(r"\b[0-9a-f]{32,}\b", re.I)),
)


def without_names(text: str) -> str:
    """Replace secrets and every shape that identifies a person, an account or a resource."""
    text = without_secrets(text)
    for _, shape in _OUTSIDE:
        text = shape.sub(REMOVED, text)
    return text


def shapes_in(text: str) -> tuple[tuple[int, str], ...]:
    """Return (line, shape) of everything in a text that outsiders must not read, secrets included."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        found += [(number, name) for name, shape in _OUTSIDE if shape.search(line)]
        if SECRET.search(line):
            found.append((number, "secret"))
    return tuple(dict.fromkeys(found))
