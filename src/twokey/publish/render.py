"""Render a record as Markdown: one template for each language and audience, in the sandbox and its limits."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError

from twokey.core.errors import Invalid, NotFound
from twokey.core.postmortems import AUDIENCES, LANGUAGES, Record
from twokey.publish.facts import internal_facts
from twokey.publish.public import public_facts
from twokey.publish.sandbox import MAX_BYTES, MAX_SECONDS, Budget, Sandbox
from twokey.publish.words import Facts, Words

# What a template of somebody's own making can raise besides Jinja's errors.
_FAULTS = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError, MemoryError)


class Renderer:
    """Turns records into Markdown. One rendering at a time: the sandbox holds one budget."""

    def __init__(
        self, templates: Path, *, zone: str = "UTC", tick: Callable[[], float] = time.monotonic
    ) -> None:
        try:
            self._zone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise Invalid("postmortem.zone_unknown", zone=zone) from None
        if not templates.is_dir():
            raise NotFound("postmortem.no_templates", folder=templates)
        self._tick = tick
        self._lock = threading.Lock()
        self._not_recorded = ""
        self._sandbox = Sandbox(templates, lambda: self._not_recorded)

    def render(self, record: Record, language: str, audience: str) -> str:
        """Return a post-mortem as Markdown; the public one is made from the sanitised record alone."""
        if language not in LANGUAGES or audience not in AUDIENCES:
            raise NotFound("postmortem.no_such_version", language=language, audience=audience)
        words = Words(language, self._zone, record.names)
        facts = public_facts(record, words) if audience == "public" else internal_facts(record, words)
        return self.fill(f"postmortem.{language}.{audience}.md.j2", facts, words.not_recorded)

    def fill(self, name: str, facts: Facts, not_recorded: str) -> str:
        """Fill one template with plain data, or say which line of it is wrong and why."""
        with self._lock:
            self._not_recorded = not_recorded
            self._sandbox.budget = Budget(MAX_SECONDS, self._tick)
            try:
                return "".join(
                    self._bounded(self._sandbox.get_template(name).generate({**facts, "not_recorded": None}))
                )
            except TemplateNotFound as fault:
                raise NotFound("postmortem.template_missing", template=fault.name or name) from None
            except TemplateSyntaxError as fault:
                raise _at_fault(fault.name or name, fault.lineno, fault.message or "") from None
            except _FAULTS as fault:
                raise _at_fault(*_place(fault, name), str(fault) or type(fault).__name__) from None

    def _bounded(self, chunks: Iterator[str]) -> Iterator[str]:
        size = 0
        for chunk in chunks:
            size += len(chunk) if chunk.isascii() else len(chunk.encode())
            if size > MAX_BYTES:
                raise TemplateError(f"the page is larger than {MAX_BYTES} bytes")
            yield chunk
        self._sandbox.budget.look()


def _at_fault(template: str, line: int, problem: str) -> Invalid:
    return Invalid("postmortem.template_fault", template=template, line=line or "?", problem=problem[:300])


def _place(fault: BaseException, name: str) -> tuple[str, int]:
    """Return the template and line that raised: Jinja puts them into the traceback."""
    places = [frame for frame in traceback.extract_tb(fault.__traceback__) if frame.filename.endswith(".j2")]
    return (places[-1].filename, places[-1].lineno or 0) if places else (name, 0)
