"""Render templates from plain data, in the sandbox and its limits; and a record as a post-mortem in Markdown."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError
from markupsafe import Markup

from twokey.core.errors import Invalid, NotFound
from twokey.core.postmortems import AUDIENCES, Record
from twokey.core.texts import LANGUAGES
from twokey.publish.facts import internal_facts
from twokey.publish.markdown import md
from twokey.publish.public import public_facts
from twokey.publish.redact import Disclosure
from twokey.publish.sandbox import MAX_BYTES, MAX_SECONDS, Budget, Sandbox
from twokey.publish.words import Facts, PageWords


class TemplateRenderer:
    """Renders the templates of one folder. One page at a time: the sandbox holds one budget."""

    def __init__(
        self,
        templates: Path,
        *,
        escaped: Callable[[str], Markup] = md,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        if not templates.is_dir():
            raise NotFound("postmortem.no_templates", folder=templates)
        self._tick = tick
        self._lock = threading.Lock()
        self._not_recorded = ""
        self._sandbox = Sandbox(templates, lambda: self._not_recorded, escaped)

    def render(self, name: str, facts: Facts, not_recorded: str) -> str:
        """Return the page, or say which line of the template is wrong and why.

        `not_recorded` stands where a value is unknown.
        """
        with self._lock:
            self._not_recorded = not_recorded
            self._sandbox.budget = Budget(MAX_SECONDS, self._tick)
            try:
                chunks, size = [], 0
                for chunk in self._sandbox.get_template(name).generate({**facts, "not_recorded": None}):
                    size += len(chunk) if chunk.isascii() else len(chunk.encode())
                    if size > MAX_BYTES:
                        raise TemplateError(f"the page is larger than {MAX_BYTES} bytes")
                    chunks.append(chunk)
                self._sandbox.budget.look()
                return "".join(chunks)
            except TemplateNotFound as fault:
                if fault.name == name:
                    raise NotFound("postmortem.template_missing", template=name) from None
                problem = f"{str(fault)[:200]}: not a template of this folder"
                raise _template_fault(*_line_of(fault, name), problem) from None
            except TemplateSyntaxError as fault:
                raise _template_fault(fault.name or name, fault.lineno, fault.message or "") from None
            except Exception as fault:
                # Nothing but the template runs here, and its text becomes Python: thirty loops in each other are
                # a SyntaxError, 1e999 a NameError. Whatever comes out of it is its author's to mend.
                problem = str(fault) or type(fault).__name__
                raise _template_fault(*_line_of(fault, name), problem) from None


def _template_fault(template: str, line: int, problem: str) -> Invalid:
    return Invalid("postmortem.template_fault", template=template, line=line, problem=problem[:300])


def _line_of(fault: BaseException, name: str) -> tuple[str, int]:
    """Return the template and line that raised: Jinja puts them into the traceback. The whole file is its line 1."""
    frames = [frame for frame in traceback.extract_tb(fault.__traceback__) if frame.filename.endswith(".j2")]
    return (frames[-1].filename, frames[-1].lineno or 1) if frames else (name, 1)


class PostmortemRenderer:
    """Renders records: one template for each language and audience."""

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
        self._templates = TemplateRenderer(templates, tick=tick)

    def render(self, record: Record, language: str, audience: str) -> str:
        """Return a post-mortem as Markdown; the public one is made from the sanitised record alone."""
        if language not in LANGUAGES or audience not in AUDIENCES:
            raise NotFound("postmortem.no_such_version", language=language, audience=audience)
        words = PageWords(language, self._zone, record.names)
        facts_for = public_facts if audience == "public" else internal_facts
        facts = facts_for(record, words, self.disclosure)
        return self._templates.render(f"postmortem.{language}.{audience}.md.j2", facts, words.not_recorded)
