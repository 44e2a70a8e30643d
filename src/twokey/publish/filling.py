"""Fill a template with plain data in the sandbox and its limits, or say which line of it is wrong and why."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError
from markupsafe import Markup

from twokey.core.errors import Invalid, NotFound
from twokey.publish.markdown import md
from twokey.publish.sandbox import MAX_BYTES, MAX_SECONDS, Budget, Sandbox
from twokey.publish.words import Facts


class Filler:
    """Fills the templates of one folder. One page at a time: the sandbox holds one budget."""

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

    def fill(self, name: str, facts: Facts, not_recorded: str) -> str:
        """Return the page; `not_recorded` stands where a value is unknown."""
        with self._lock:
            self._not_recorded = not_recorded
            self._sandbox.budget = Budget(MAX_SECONDS, self._tick)
            try:
                return "".join(
                    self._bounded(self._sandbox.get_template(name).generate({**facts, "not_recorded": None}))
                )
            except TemplateNotFound as fault:
                if fault.name == name:
                    raise NotFound("postmortem.template_missing", template=name) from None
                problem = f"{str(fault)[:200]}: not a template of this folder"
                raise _at_fault(*_place(fault, name), problem) from None
            except TemplateSyntaxError as fault:
                raise _at_fault(fault.name or name, fault.lineno, fault.message or "") from None
            except Exception as fault:
                # Nothing but the template runs here, and its text becomes Python: thirty loops in each other are
                # a SyntaxError, 1e999 a NameError. Whatever comes out of it is its author's to mend.
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
    return Invalid("postmortem.template_fault", template=template, line=line, problem=problem[:300])


def _place(fault: BaseException, name: str) -> tuple[str, int]:
    """Return the template and line that raised: Jinja puts them into the traceback. The whole file is its line 1."""
    places = [frame for frame in traceback.extract_tb(fault.__traceback__) if frame.filename.endswith(".j2")]
    return (places[-1].filename, places[-1].lineno or 1) if places else (name, 1)
