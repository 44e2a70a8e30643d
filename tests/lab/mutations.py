"""Notifications made wrong on purpose: what senders get wrong by accident, and what attackers do to parsers."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Place = tuple[Any, Any]  # what holds a value, and under which key or index
MEGABYTE = 1_000_000
HUGE = int("9" * 400)

WRONG: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**63,
    HUGE,
    1e308,
    float("nan"),
    float("-inf"),
    "",
    " ",
    "null",
    "NaN",
    "\x00",
    "\ud800",
    "a\udfffb",
    "\u202e<!channel>",
    "2026-02-30T25:61:61Z",
    "9999-12-31T23:59:59.999999-23:59",
    "Fri, 99 Foo 20260 06:02:51 GMT",
    "{",
    '{"a": [',
    "[]",
    '{"sample": 1}',
    '{"Statement": [[], null, 3]}',
    [],
    {},
    [[]],
    [None, {}, 3, "x"],
    {"": None},
    {"\ud800": "\udc00"},
    {"value": {"value": {"value": 1}}},
)


def places(document: Any) -> list[Place]:
    """Return every place of a document at which a value stands."""
    return list(_places(document))


def _places(value: Any) -> Iterator[Place]:
    stack = [value]
    while stack:
        item = stack.pop()
        keys: Any = (
            item.keys() if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
        )
        for key in list(keys):
            yield item, key
            stack.append(item[key])


def _missing(where: Place, _: int) -> None:
    holder, key = where
    del holder[key]


def _wrong(where: Place, number: int) -> None:
    holder, key = where
    holder[key] = copy.deepcopy(WRONG[number % len(WRONG)])


def _as_text(where: Place, _: int) -> None:
    holder, key = where
    value = holder[key]
    holder[key] = json.dumps(value) if isinstance(value, dict | list) else str(value)


def _as_number(where: Place, number: int) -> None:
    holder, key = where
    holder[key] = number * (-1) ** number / 7


def _other_case(where: Place, number: int) -> None:
    holder, key = where
    changes: tuple[Callable[[str], str], ...] = (
        str.upper,
        str.lower,
        str.swapcase,
        lambda name: name[:1].swapcase() + name[1:],
    )
    change = changes[number % len(changes)]
    if isinstance(holder, dict) and isinstance(key, str):
        holder[change(key)] = holder.pop(key)
    if isinstance(holder, list) and isinstance(holder[key], str):
        holder[key] = change(holder[key])


def _nested(where: Place, number: int) -> None:
    holder, key = where
    value = holder[key]
    for _ in range((3, 40, 300)[number % 3]):
        value = [value] if number % 2 else {str(key): value}
    holder[key] = value


def _listed(where: Place, number: int) -> None:
    holder, key = where
    holder[key] = [holder[key]] * (
        (0, 1, 3, 1500)[number % 4] if not isinstance(holder[key], dict | list) else 3
    )


def _long(where: Place, number: int) -> None:
    holder, key = where
    holder[key] = ("ab<\u3042>", "{", "<", "a:")[number % 4] * ((200, 4000)[number % 2])


def _moved(where: Place, number: int) -> None:
    """Put a value under its neighbour's name."""
    holder, key = where
    if isinstance(holder, dict):
        names = sorted(map(str, holder))
        holder[names[number % len(names)]] = holder[key]


MUTATIONS: tuple[Callable[[Place, int], None], ...] = (
    _missing,
    _wrong,
    _wrong,
    _as_text,
    _as_number,
    _other_case,
    _nested,
    _listed,
    _long,
    _moved,
)


@dataclass(frozen=True, slots=True)
class Change:
    """One mutation: which, where and how, as numbers, so that a search for the smallest one can turn them down."""

    kind: int
    where: int
    how: int


def mutated(document: Any, changes: list[Change]) -> Any:
    """Return a changed copy of a document."""
    holder = {"document": copy.deepcopy(document)}
    for change in changes:
        there = places(holder)
        if not there:
            break
        MUTATIONS[change.kind % len(MUTATIONS)](there[change.where % len(there)], change.how)
    return holder.get("document")


def _twice(body: bytes, how: int) -> bytes:
    """Let a key stand twice: JSON allows it, and only one of the two counts."""
    head, colon, tail = body.partition(b'": ')
    for _ in range(how % 40):
        more, again, rest = tail.partition(b'": ')
        if not again:
            break
        head, tail = head + colon + more, rest
    name = head.rpartition(b'"')[2]
    return head + b'": [3], "' + name + colon + tail if colon else body


WRITINGS: tuple[Callable[[bytes, int], bytes], ...] = (
    *([lambda body, _: body] * 12),  # mostly whole: what is cut is unreadable, and shows little
    _twice,
    lambda body, how: body[: how % (len(body) + 1)],
    lambda body, how: (
        body[: how % len(body)] + bytes([how % 256]) + body[how % len(body) :] if body else b"\xff"
    ),
    lambda body, how: body.replace(b"a", b"\xff\xfe", 1 + how % 3),
    lambda body, _: b"\xef\xbb\xbf" + body,
    lambda body, _: body.decode("utf-8", "replace").encode("utf-16"),
    lambda body, _: base64.b64encode(body),
    lambda body, _: base64.b64encode(base64.b64encode(body)),
    lambda body, how: body + (b"\n", b"\x00", b"}", b" {}", b",")[how % 5],
    lambda body, how: b"[" * (how % 2000) + body + b"]" * (how % 2000),
    lambda body, _: json.dumps(body.decode("utf-8", "replace")).encode(),
    lambda body, _: body.replace(b'"', b"'", 4),
)


def written(document: Any, writing: int, how: int) -> bytes:
    """Return a document as bytes, as some sender might write it: whole, cut, doubled, in another encoding."""
    body = json.dumps(document).encode()  # lone surrogates as escapes, NaN as NaN
    return WRITINGS[writing % len(WRITINGS)](body, how)
