"""The flow's publisher: rendering, a last look at what outsiders would read, and where it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from twokey.core.errors import Refused
from twokey.core.postmortems import Postmortem, Record
from twokey.publish.render import Renderer


class Place(Protocol):
    """One place where post-mortems are put."""

    def publish(self, postmortem: Postmortem) -> str:
        """Put it there and return where that is. Twice is once."""
        ...


class Publishers:
    """Renders through one renderer and publishes to every place, in order."""

    def __init__(self, renderer: Renderer, places: Sequence[Place]) -> None:
        self._renderer = renderer
        self._places = tuple(places)

    def render(self, record: Record, language: str, audience: str) -> str:
        """Return the Markdown of a post-mortem."""
        return self._renderer.render(record, language, audience)

    def publish(self, postmortem: Postmortem) -> str:
        """Put it everywhere, and return where; a public text that shows names or secrets is refused."""
        if postmortem.audience == "public":
            found = self._renderer.disclosure.shapes_in(postmortem.text)
            if found:
                named = ", ".join(f"{shape} (line {line})" for line, shape in found[:10])
                raise Refused("postmortem.says_shapes", found=named)
        return ", ".join(place.publish(postmortem) for place in self._places)
