"""Nouns as the version before typed answers wrote them: the same words, and no answers."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar, cast

from twokey.core.sightings import Sighting
from twokey.core.signals import Resource
from twokey.core.younger import younger_fields

N = TypeVar("N")


def as_before(noun: N) -> N:
    """Return a signal, a sighting or an incident without what its reader answered."""
    changed: Any = noun
    if isinstance(changed, Sighting):
        return cast(N, replace(changed, signal=as_before(changed.signal)))
    defaults = {
        field.name: field.default for field in fields(changed) if field.name in younger_fields(type(changed))
    }
    bare = tuple(Resource(found.id, found.type, found.region) for found in changed.resources)
    return cast(N, replace(changed, resources=bare, **defaults))
