"""Policy documents: JSON with `{name}` placeholders, filled in as parsed text, never by pasting text together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

import rfc8785

from twokey.core.errors import Invalid, Json

MAX_BYTES = 256 * 1024

# `${aws:username}` and the like are the cloud's own variables, not ours.
_PLACEHOLDER = re.compile(r"(?<!\$)\{([a-z][a-z0-9_]*)\}")
# In a policy these reach further than the one thing that people were shown.
_REACHING = re.compile(r"[*?$\x00-\x1f\x7f]")


def placeholders(text: str) -> frozenset[str]:
    """Return the names that a document wants values for; Invalid when it is not a document at all."""
    return frozenset(name for string in _strings(_parse(text)) for name in _PLACEHOLDER.findall(string))


def strings(text: str) -> tuple[str, ...]:
    """Return every text in a document, keys included."""
    parsed = _parse(text)
    return (*_keys(parsed), *_strings(parsed))


def render_document(text: str, values: Mapping[str, Json]) -> str:
    """Fill in a document's placeholders and return its canonical JSON (RFC 8785).

    A placeholder that is a whole string may become text, a number, true or false, or a list of texts; one
    inside a string becomes text. Values are put into parsed strings, so a quote in a value stays a character.
    A value that is missing or has no place, or that holds `*`, `?` or `$`, is refused: a wildcard belongs into
    the document, where it is reviewed.
    """
    parsed = _parse(text)
    wanted = frozenset(name for string in _strings(parsed) for name in _PLACEHOLDER.findall(string))
    for name in sorted(wanted - values.keys()):
        raise Invalid("document.value_missing", name=name)
    for name in sorted(values.keys() - wanted):
        raise Invalid("document.value_unused", name=name)
    for name, value in values.items():
        _refuse_reaching(name, value)
    return canonical_text(_fill(parsed, values))


def canonical_text(value: Json) -> str:
    """Return the RFC 8785 canonical JSON of a value as text."""
    try:
        return rfc8785.dumps(value).decode()
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise Invalid("document.not_json", problem=error) from None


def _parse(text: str) -> Json:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Invalid("document.too_large", limit=MAX_BYTES)
    try:
        parsed: Json = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except RecursionError:
        raise Invalid("document.not_json", problem="nested too deeply") from None
    except ValueError as error:
        raise Invalid("document.not_json", problem=error) from None
    if not isinstance(parsed, dict):
        raise Invalid("document.not_json", problem="the top is not an object")
    for key in _keys(parsed):
        if _PLACEHOLDER.search(key):
            raise Invalid("document.placeholder_in_key", name=key[:80])
    return parsed


def _no_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:80]!r} stands there twice")
        found[key] = value
    return found


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _strings(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _strings(item)


def _keys(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(item)


def _refuse_reaching(name: str, value: Json) -> None:
    texts = value if isinstance(value, list) else [value]
    if value is None or not all(isinstance(text, str | int | bool) for text in texts):
        raise Invalid("document.value_not_plain", name=name)
    for text in texts:
        if isinstance(text, str) and (not text or _REACHING.search(text)):
            raise Invalid("document.value_reaches", name=name, value=text[:80])


def _fill(value: Json, values: Mapping[str, Json]) -> Json:
    if isinstance(value, dict):
        return {key: _fill(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, values) for item in value]
    if not isinstance(value, str):
        return value
    whole = _PLACEHOLDER.fullmatch(value)
    if whole:
        return values[whole[1]]

    def put(match: re.Match[str]) -> str:
        found = values[match[1]]
        if isinstance(found, list):
            raise Invalid("document.value_not_plain", name=match[1])
        return str(found).lower() if isinstance(found, bool) else str(found)

    return _PLACEHOLDER.sub(put, value)
