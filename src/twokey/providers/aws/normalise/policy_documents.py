"""What a policy in a request would allow: everything, everybody, or somebody of another account."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from twokey.core.errors import Json
from twokey.providers.reading import Obj, embedded, texts

_MOST = 200  # statements, and principals of one; IAM's own limits are far below
_EVERYTHING = frozenset(("*", "*:*", "iam:*"))  # who may do all of IAM may do all of the rest
_ACCOUNT = re.compile(r"(?:arn:[a-z-]+:(?:iam|sts)::)?([0-9]{12})(?::.*)?", re.DOTALL)


def statements(document: Json) -> Iterator[Obj]:
    """Yield the Allow statements of a policy, given as an object, as JSON text, or as escaped JSON text."""
    if isinstance(document, str):
        document = embedded(unquote(document) if document[:3].lower() == "%7b" else document)
    found = document.get("Statement") if isinstance(document, dict) else None
    for item in (found if isinstance(found, list) else [found])[:_MOST]:
        if isinstance(item, dict) and item.get("Effect") == "Allow":
            yield item


def allows_everything(document: Json) -> bool:
    """Say whether a policy makes an administrator."""
    return any(
        _EVERYTHING.intersection(action.lower() for action in texts(item, "Action"))
        and "*" in texts(item, "Resource")
        and not item.get("Condition")
        for item in statements(document)
    )


def allows_everybody(document: Json) -> bool:
    """Say whether a policy lets in anybody at all; a condition may close it again, so it is not called open."""
    return any("*" in _principals(item) and not item.get("Condition") for item in statements(document))


def outsiders(document: Json, account: str) -> list[str]:
    """Return the accounts other than this one that a policy lets in."""
    named = [who for item in statements(document) for who in _principals(item)]
    return others(named, account)


def others(named: list[str], account: str) -> list[str]:
    """Return the accounts among some names and ARNs that are not this one."""
    found = [match[1] for name in named if (match := _ACCOUNT.fullmatch(name))]
    return list(dict.fromkeys(other for other in found if other != account))


def _principals(item: Obj) -> list[str]:
    principal = item.get("Principal")
    if isinstance(principal, str):
        return [principal]
    return texts(principal, "AWS")[:_MOST] if isinstance(principal, dict) else []
