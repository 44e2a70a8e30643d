"""Nouns to JSON text and back, without loss: frozen dataclasses, enums, UTC moments, tuples, sets, bytes."""

from __future__ import annotations

import json
import typing
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import UnionType
from typing import Any, TypeVar

from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn, override

from twokey.core.incidents import Incident
from twokey.core.signals import RawNotification, Resource, Signal

T = TypeVar("T")

# Fields that are younger than the records people have. Their defaults are not written, so that what an earlier
# version wrote is written again to the very same bytes. The order counts: what is inside comes first.
YOUNGER: Mapping[type[Any], tuple[str, ...]] = {
    Resource: ("kind", "name", "containable"),
    Signal: (
        *("has_answers", "is_availability", "is_root_cause", "is_account_specific", "is_security_finding"),
        *("speaks_for_provider", "services", "service_keys", "regions", "flap_group"),
    ),
    Incident: ("has_answers", "is_security_finding", "speaks_for_provider", "service_keys"),
}


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
    for noun, names in YOUNGER.items():
        left_out: Any = {name: override(omit_if_default=True) for name in names}
        converter.register_unstructure_hook(noun, make_dict_unstructure_fn(noun, converter, **left_out))
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
