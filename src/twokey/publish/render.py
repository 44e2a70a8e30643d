"""Render a record as Markdown: one template for each language and audience, in the sandbox and its limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from twokey.core.errors import Invalid, NotFound
from twokey.core.postmortems import AUDIENCES, LANGUAGES, Record
from twokey.publish.facts import internal_facts
from twokey.publish.filling import Filler
from twokey.publish.public import public_facts
from twokey.publish.redact import Disclosure
from twokey.publish.words import Facts, Words


class Renderer:
    """Turns records into Markdown."""

    def __init__(
        self,
        templates: Path,
        disclosure: Disclosure,
        *,
        zone: str = "UTC",
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self.disclosure = disclosure
        try:
            self._zone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise Invalid("postmortem.zone_unknown", zone=zone) from None
        self._filler = Filler(templates, tick=tick)

    def render(self, record: Record, language: str, audience: str) -> str:
        """Return a post-mortem as Markdown; the public one is made from the sanitised record alone."""
        if language not in LANGUAGES or audience not in AUDIENCES:
            raise NotFound("postmortem.no_such_version", language=language, audience=audience)
        words = Words(language, self._zone, record.names)
        facts_for = public_facts if audience == "public" else internal_facts
        facts = facts_for(record, words, self.disclosure)
        return self.fill(f"postmortem.{language}.{audience}.md.j2", facts, words.not_recorded)

    def fill(self, name: str, facts: Facts, not_recorded: str) -> str:
        """Fill one template with plain data, or say which line of it is wrong and why."""
        return self._filler.fill(name, facts, not_recorded)
