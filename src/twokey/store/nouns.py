"""Nouns to JSON text and back, without loss: frozen dataclasses, enums, UTC moments, tuples, sets, bytes."""

from __future__ import annotations

import json
import typing
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from datetime import UTC, datetime
from types import UnionType
from typing import Any, TypeVar

from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn, override

from twokey.core.signals import RawNotification
from twokey.core.younger import younger_fields

T = TypeVar("T")


def _is_json(kind: Any) -> bool:
    """Recognise `Json`, which refers to itself and so reaches us as a union that is never fully resolved."""
    if _origin(kind) not in (UnionType, typing.Union):
        return False
    members = typing.get_args(kind)
    return float in members and any(_origin(member) is dict for member in members)


def _origin(kind: Any) -> Any:
    return typing.get_origin(kind)


def _moment(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError("a moment without a time zone is not a moment")
    return value.astimezone(UTC).isoformat()


def _converter() -> Converter:
    converter = Converter(detailed_validation=False)
    converter.register_unstructure_hook(datetime, _moment)
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    converter.register_unstructure_hook(bytes, lambda value: b64encode(value).decode())
    converter.register_structure_hook(bytes, lambda value, _: b64decode(value, validate=True))
    converter.register_unstructure_hook_func(_is_json, lambda value: value)
    converter.register_structure_hook_func(_is_json, lambda value, _: value)
    converter.register_unstructure_hook_func(
        lambda kind: _origin(kind) is frozenset, lambda value: sorted(map(str, value))
    )

    def without_defaults(noun: type[Any]) -> Any:
        left_out: Any = {name: override(omit_if_default=True) for name in younger_fields(noun)}
        return make_dict_unstructure_fn(noun, converter, **left_out)

    converter.register_unstructure_hook_factory(
        lambda kind: isinstance(kind, type) and is_dataclass(kind) and bool(younger_fields(kind)),
        without_defaults,
    )
    return converter


CONVERTER = _converter()


def to_text(noun: object) -> str:
    """Return a noun as one line of JSON; ASCII only, so that any database keeps any text."""
    return json.dumps(CONVERTER.unstructure(noun), separators=(",", ":"))


def from_text(kind: type[T], text: str) -> T:
    """Return the noun that a line of JSON holds; what is missing in an older one takes its default."""
    return CONVERTER.structure(json.loads(text), kind)


def raw_to_text(raw: RawNotification) -> str:
    """Return a notification as JSON without its bytes: those have their own column."""
    fields = CONVERTER.unstructure(replace(raw, body=b""))
    del fields["body"]
    return json.dumps(fields, separators=(",", ":"))


def raw_from_text(text: str, content: bytes) -> RawNotification:
    """Return the notification from its JSON and its bytes."""
    fields: Mapping[str, Any] = json.loads(text)
    return replace(CONVERTER.structure({**fields, "body": ""}, RawNotification), body=content)
