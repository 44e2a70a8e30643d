"""Which scopes each source is authorized for, as the settings list it: `<source>=<scope>+<scope>`.

Each cloud says what a scope is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from twokey.core.errors import Invalid
from twokey.core.signals import RawNotification

S = TypeVar("S")

ANY = "*"
_OPERATOR = "file:"  # whoever feeds a file in at the shell answers for it


@dataclass(frozen=True)
class Listed(Generic[S]):
    """The scopes of each source. Without any entry every source is authorized for all.

    As soon as one source is listed, one that is not is authorized for none.
    """

    by_source: Mapping[str, tuple[S, ...]] = field(default_factory=dict)

    def of(self, raw: RawNotification) -> tuple[S, ...] | None:
        """Return the scopes that a notification's source is authorized for; None where nothing limits it."""
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
