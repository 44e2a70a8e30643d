"""For whom sources may speak, as people list it: `<source>=<scope>+<scope>`; each cloud says what a scope is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from twokey.core.errors import Invalid
from twokey.core.signals import RawNotification

S = TypeVar("S")

ANY = "*"
_OPERATOR = "file:"  # what somebody feeds in at the shell is vouched for by them


@dataclass(frozen=True)
class Listed(Generic[S]):
    """The scopes of each source. Without any entry every source may speak for everybody.

    As soon as one source is listed, one that is not may speak for nobody.
    """

    by_source: Mapping[str, tuple[S, ...]] = field(default_factory=dict)

    def of(self, raw: RawNotification) -> tuple[S, ...] | None:
        """Return for whom a notification's source may speak; None where nothing limits it."""
        source = source_of(raw)
        if not self.by_source or source.startswith(_OPERATOR):
            return None
        return self.by_source.get(source, ())


def source_of(raw: RawNotification) -> str:
    """Return a notification's source as the entries name it: without the cloud."""
    return raw.source.removeprefix(f"{raw.provider}.")


def listed(
    entries: Iterable[str],
    known: re.Pattern[str],
    read: Callable[[str], S | None],
    wrong: Callable[[str], Invalid],
    fold: Callable[[str], str] = str,
) -> Listed[S]:
    """Read entries; raise what `wrong` makes of one that is not understood, or that names a source again.

    `known` matches the sources there can be; `read` returns a scope, or None of text that is none; `fold`
    brings a source into the spelling that notifications have.
    """
    found: dict[str, tuple[S, ...]] = {}
    for entry in entries:
        name, _, rest = entry.partition("=")
        source = fold(name)
        scopes = [read(one) for one in rest.split("+")]
        right = tuple(scope for scope in scopes if scope is not None)
        if not known.fullmatch(source) or len(right) < len(scopes) or source in found:
            raise wrong(entry[:300])
        found[source] = right
    return Listed(found)
