"""Reading what clouds send: bytes into JSON, and fields that may be missing, null, or of another type.

A notification's text may be an attacker's: nothing here evaluates it or takes more than linear time.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz
from itertools import islice
from typing import TypeAlias, TypeVar

import orjson

from twokey.core.errors import Invalid, Json
from twokey.core.signals import NOT_TAKEN, Signal
from twokey.service_names import without_maker

Obj: TypeAlias = "dict[str, Json]"
U = TypeVar("U")

TITLE = 300
DESCRIPTION = 4000
MAX_TEXT = 1024
MAX_SIGNALS = 1000  # in one notification; clouds send at most a hundred findings at once
MAX_RESOURCES = 2000  # of one notification; a page of AWS Health holds some hundred

_PUNCTUATION = re.compile(r"[^a-z0-9]")


def parsed(body: bytes) -> Json:
    """Return the JSON in a body, which storage queues also send in base64; Invalid when there is none."""
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        raise unreadable("it is empty")
    if text.startswith(NOT_TAKEN.encode()):
        raise unreadable(text[:200].decode("utf-8", "replace"))
    try:
        return _loads(text)
    except ValueError as fault:
        decoded = _from_base64(text)
        if decoded is None:
            first_line = str(fault).partition("\n")[0][:120]
            raise unreadable(f"it is not JSON ({first_line})") from None
    try:
        return _loads(decoded)
    except ValueError:
        raise unreadable("it is neither JSON nor JSON in base64") from None


def unreadable(reason: str, where: str = "$") -> Invalid:
    """Make the error that says what in a notification could not be understood, and where."""
    return Invalid("signal.unreadable", reason=reason, where=where)


def each(
    listed: list[Json],
    where: str,
    read: Callable[[Json, int], Iterator[U]],
    broken: Callable[[int, str], U],
) -> Iterator[U]:
    """Read every item; one that cannot be read does not hide the others, and is not lost either."""
    faults: list[tuple[int, Invalid]] = []
    found = False
    for index, item in enumerate(listed):
        try:
            for unit in read(item, index):
                found = True
                yield unit
        except Invalid as fault:
            faults.append((index, fault))
    if faults and not found:
        raise faults[0][1]
    for index, missed in faults:
        yield broken(index, missed.message.params.get("where", where))


def bounded(signals: Iterable[Signal]) -> tuple[Signal, ...]:
    """Return what one notification holds; nothing is Invalid, and so are so many that they are meant to drown us."""
    found = tuple(islice(signals, MAX_SIGNALS + 1))
    if not found:
        raise unreadable("it holds no event")
    if len(found) > MAX_SIGNALS:
        raise unreadable(f"it holds more than {MAX_SIGNALS} events")
    return found


def _loads(text: bytes) -> Json:
    try:
        return orjson.loads(text)  # type: ignore[no-any-return]
    except orjson.JSONDecodeError as fault:
        if "surrogate" not in str(fault):
            raise
    # Half of a character pair is legal JSON text, so a hostile name may not make a finding unreadable.
    try:
        whole = json.loads(text.decode("utf-8"), parse_constant=_no_constant)
        return orjson.loads(json.dumps(whole, ensure_ascii=False).encode("utf-8", "replace"))  # type: ignore[no-any-return]
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _from_base64(text: bytes) -> bytes | None:
    if text[:1] in b'{["' or len(text) < 8:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def embedded(value: object) -> Json:
    """Return the JSON inside a JSON string, or None when it is no such string."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return _loads(value.encode("utf-8", "replace"))
    except ValueError:
        return None


def obj(value: object, *path: str) -> Obj:
    """Return the object at a path, an empty one when there is none."""
    for name in path:
        if not isinstance(value, dict):
            return {}
        value = value.get(name)
    return value if isinstance(value, dict) else {}


def items(value: object, *path: str) -> list[Json]:
    """Return the list at a path, an empty one when there is none."""
    *above, name = path
    found = obj(value, *above).get(name)
    return found if isinstance(found, list) else []


def objects(value: object, *path: str) -> list[Obj]:
    """Return the objects in the list at a path, not more than anybody would look at."""
    return [item for item in items(value, *path)[:MAX_RESOURCES] if isinstance(item, dict)]


def text(value: object, *names: str, limit: int = MAX_TEXT) -> str:
    """Return the first of these fields that holds text (or a whole number), shortened; "" when none does."""
    if isinstance(value, dict):
        for name in names:
            found = value.get(name)
            if found is None:  # most of what may stand in a notification does not
                continue
            if isinstance(found, str):
                if found:
                    return found if len(found) <= limit else found[:limit]
            elif isinstance(found, int) and not isinstance(found, bool):
                return str(found)
    return ""


def fields(value: object, *names: str) -> list[str]:
    """Return what `text` says of each of these fields, in one go: a finding has dozens of them."""
    if not isinstance(value, dict):
        return [""] * len(names)
    found = []
    for name in names:
        one = value.get(name)
        if one is None:
            found.append("")
        elif isinstance(one, str):
            found.append(one if len(one) <= MAX_TEXT else one[:MAX_TEXT])
        else:
            found.append(str(one) if isinstance(one, int) and not isinstance(one, bool) else "")
    return found


def texts(value: object, *path: str) -> list[str]:
    """Return the texts in the list at a path, or the one text that stands there instead."""
    *above, name = path
    found = obj(value, *above).get(name)
    listed = found if isinstance(found, list) else [found]
    return [item[:MAX_TEXT] for item in listed[:MAX_RESOURCES] if isinstance(item, str) and item]


def number(value: object) -> float | None:
    """Return a number, also one that was written as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and 0 < len(value) <= 32:
        try:
            found = float(value)
        except ValueError:
            return None
        return found if abs(found) < 1e18 else None
    return None


def is_true(value: object) -> bool:
    """Say whether a flag is set; clouds write it as true and as "true" and "True"."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def moment(*values: object) -> datetime | None:
    """Return the first of these that is a time: ISO 8601, RFC 1123, or seconds or milliseconds since 1970."""
    for value in values:
        found = _moment(value)
        if found is not None:
            return found
    return None


def instant(value: str) -> str:
    """Return a time in one spelling, to the millisecond: a push and a list write the same one differently."""
    found = _moment(value)
    return found.isoformat(timespec="milliseconds") if found else value


def _moment(value: object) -> datetime | None:
    try:
        if isinstance(value, str):
            if not 8 <= len(value) <= 40:
                return None
            if not value[0].isdigit():
                return _rfc1123(value)
            found = datetime.fromisoformat(value)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None  # a time that cannot be read is a time we do not have
    return None


def _rfc1123(value: str) -> datetime | None:
    try:
        parts = parsedate_tz(value)
    except (IndexError, TypeError):  # the standard library's parser trips over some texts
        return None
    if parts is None:
        return None
    return datetime(*parts[:6], tzinfo=UTC) - timedelta(seconds=parts[9] or 0)


def shortened(value: str, limit: int = DESCRIPTION) -> str:
    """Cut a text to a length, and show that it was cut."""
    return value if len(value) <= limit else value[: limit - 1] + "…"


def plain(value: str, limit: int = DESCRIPTION) -> str:
    """Return the words of an HTML text, without its tags."""
    if "<" not in value:
        return shortened(" ".join(html.unescape(value[: limit * 4]).split()), limit)
    head, *rest = value[: limit * 8].split("<")
    words = [head, *(part.partition(">")[2] for part in rest)]
    return shortened(" ".join(html.unescape(" ".join(words)).split()), limit)


def digest(value: Json, otherwise: str) -> str:
    """Name a piece of JSON by its content, whatever the order of its keys."""
    try:
        content = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # nested more deeply than is ever written
        content = otherwise.encode()
    return hashlib.sha256(content).hexdigest()[:32]


def identity(*parts: str) -> str:
    """Make an id of what identifies a thing; upper and lower case are the same, and length has an end."""
    name = "|".join(parts).casefold()
    if len(name) <= 400:
        return name
    return name[:340] + "|" + hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:32]


def known(**facts: Json) -> Obj:
    """Keep the facts that there are."""
    return {name: value for name, value in facts.items() if value or value not in (None, "", [], {})}


def service_key(name: str) -> str:
    """Fold a service's name: without what stands before a slash, remarks in brackets, and its maker."""
    rest, kept = name.lower().rpartition("/")[2], ""
    while "(" in rest and ")" in rest[rest.index("(") :]:
        before, _, remark = rest.partition("(")
        kept, rest = kept + before, remark.partition(")")[2]
    return without_maker(_PUNCTUATION.sub("", kept + rest))


def once(values: Iterable[str]) -> tuple[str, ...]:
    """Return each text once, in the order they came."""
    return tuple(dict.fromkeys(value for value in values if value))


def unique(values: Iterable[str]) -> list[Json]:
    """Return the same as JSON has it, for a fact."""
    return [*once(values)]
