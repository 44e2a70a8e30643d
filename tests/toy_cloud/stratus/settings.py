"""Stratus' section of the settings: `TWOKEY_STRATUS_*`."""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "TWOKEY_STRATUS_"


@dataclass(frozen=True)
class StratusSettings:
    """What an installation decides about Stratus."""

    feed: str = ""  # the name of the feed that is read

    def faults(self) -> list[str]:
        """Name what is wrong."""
        return [] if self.feed == self.feed.strip() else [f"{PREFIX}FEED: a name without spaces is wanted"]
