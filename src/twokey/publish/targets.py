"""The flow's publisher: renders, looks once more at what outsiders would read, and puts it on every target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from twokey.core.errors import Refused
from twokey.core.postmortems import Postmortem, Record
from twokey.publish.render import PostmortemRenderer


class PublishTarget(Protocol):
    """One place where post-mortems are put."""

    def publish(self, postmortem: Postmortem) -> str:
        """Put it there and return where that is. Twice is once."""
        ...


class PostmortemPublisher:
    """Renders through one renderer and publishes to every target, in order."""

    def __init__(self, renderer: PostmortemRenderer, targets: Sequence[PublishTarget]) -> None:
        self._renderer = renderer
        self._targets = tuple(targets)

    def render(self, record: Record, language: str, audience: str) -> str:
        """Return the Markdown of a post-mortem."""
        return self._renderer.render(record, language, audience)

    def publish(self, postmortem: Postmortem) -> str:
        """Put it on every target, and return where that is.

        A public text that shows a secret, an account or an address is refused, with its lines.
        """
        found = (
            self._renderer.disclosure.shapes_in(postmortem.text) if postmortem.audience == "public" else ()
        )
        if found:
            named = ", ".join(f"{shape} (line {line})" for line, shape in found[:10])
            raise Refused("postmortem.says_shapes", found=named)
        return ", ".join(target.publish(postmortem) for target in self._targets)
