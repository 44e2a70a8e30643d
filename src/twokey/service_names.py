"""Names of services, as clouds, rules and people write them: most put the maker's name before the service's."""

from __future__ import annotations

_MAKERS = ("amazon", "aws", "microsoft", "azure")


def without_maker(folded: str) -> str:
    """Return a service's name, in small letters and without spaces, without its maker's; a maker alone stays."""
    for maker in _MAKERS:
        folded = folded.removeprefix(maker) or folded
    return folded
