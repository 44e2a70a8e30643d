"""Jinja without anything that could reach out, run long or grow: templates are text with holes and loops."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, Template, TemplateNotFound, nodes
from jinja2.environment import TemplateModule
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.filters import FILTERS
from jinja2.runtime import BlockReference, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from twokey.publish.markdown import md, ready

MAX_BYTES = 2_000_000
MAX_SECONDS = 2.0
_MAX_WORK = 4 * MAX_BYTES  # characters made on the way, in macros and captured blocks as well
_MAX_SOURCE = 256 * 1024
_MAX_RANGE = 1000
_MAX_TEXT = 64 * 1024  # of one text that an expression makes
_MAX_NUMBER = 2**53
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,100}\.j2")
_FILTERS = ("count", "default", "d", "first", "last", "length", "list", "lower", "upper", "trim", "reverse")
_TESTS = (
    "defined",
    "undefined",
    "none",
    "number",
    "string",
    "sameas",
    "eq",
    "ne",
    "lt",
    "gt",
    "le",
    "ge",
    "in",
    "true",
    "false",
)
_LOOP = frozenset(
    ["index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "previtem", "nextitem"]
)


class TooMuchError(SecurityError):
    """A template made too much, or took too long."""


class Budget:
    """What one rendering may still use. The clock is looked at often enough for the limit to hold."""

    def __init__(self, seconds: float, tick: Callable[[], float] = time.monotonic) -> None:
        self._tick = tick
        self._until = tick() + seconds
        self._left = _MAX_WORK
        self._calls = 0

    def spend(self, characters: int) -> None:
        """Count what was made; raise when that was too much, or the time is over."""
        self._left -= characters + 1
        self._calls += 1
        if self._left < 0:
            raise TooMuchError(f"more than {_MAX_WORK} characters were made")
        if not self._calls & 63:
            self.look()

    def look(self) -> None:
        """Raise when the time is over."""
        if self._tick() > self._until:
            raise TooMuchError("the time is over")


class TemplateFolder(BaseLoader):
    """Templates of one folder: a plain file name, and the file must really lie in that folder."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self.sizes: dict[str, int] = {}

    def get_source(
        self,
        environment: Environment,
        template: str,
    ) -> tuple[str, str, Callable[[], bool]]:
        """Read a template; anything but a regular file of this folder is not found."""
        path = self._root / template
        if not _NAME.fullmatch(template) or path.resolve().parent != self._root or not path.is_file():
            raise TemplateNotFound(template)
        stat = path.stat()
        if stat.st_size > _MAX_SOURCE:
            raise TemplateSyntaxError(f"larger than {_MAX_SOURCE} bytes", 1, template)

        self.sizes[template] = stat.st_size

        def is_same() -> bool:
            return path.is_file() and path.stat().st_mtime_ns == stat.st_mtime_ns

        content = path.read_bytes()
        try:
            return content.decode("utf-8"), template, is_same
        except UnicodeDecodeError as fault:
            line = content.count(b"\n", 0, fault.start) + 1
            raise TemplateSyntaxError("not UTF-8", line, template) from None


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of the templates.

    Data are dictionaries, lists, texts and numbers; dots and brackets read from those and from `loop` only.
    Every value that is printed passes `_shown`: text is escaped there for the page's format, whatever an author wrote.
    Loops, macros and joins spend from a budget that the caller sets before each rendering.
    """

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self, root: Path, unknown: Callable[[], str], escaped: Callable[[str], Markup] = md) -> None:
        self._folder = TemplateFolder(root)
        super().__init__(
            loader=self._folder,
            undefined=StrictUndefined,
            autoescape=True,  # so that macros return Markup, which is not escaped again
            finalize=self._shown,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            extensions=(),
        )
        self.budget = Budget(MAX_SECONDS)
        self._unknown = unknown
        self._escaped = escaped
        self.filters = {name: FILTERS[name] for name in _FILTERS} | {"join": self._join}
        self.tests = {name: self.tests[name] for name in _TESTS}
        self.globals = {"range": self._range}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Read `obj.attribute`: an item of a dictionary, a macro of a module, or what `loop` tells."""
        if isinstance(obj, dict):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return getattr(obj, attribute)
        if isinstance(obj, TemplateModule):
            value = obj.__dict__.get(attribute)
            return value if isinstance(value, Macro) else self.unsafe_undefined(obj, attribute)
        return self.unsafe_undefined(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Read `obj[argument]`: by name from a dictionary, by position from a list or a text."""
        by_name = isinstance(obj, dict) and isinstance(argument, str)
        if by_name or (isinstance(obj, list | tuple | str) and isinstance(argument, int | slice)):
            try:
                return obj[argument]
            except LookupError:
                return self.undefined(obj=obj, name=str(argument))
        return self.unsafe_undefined(obj, str(argument))

    def is_safe_callable(self, obj: Any) -> bool:
        """Allow macros, blocks, `range` and the calls that the compiler puts in (see `_Counted`)."""
        if isinstance(obj, Macro | BlockReference):
            self.budget.spend(0)
            return True
        return obj in (self._range, self.counted, self.spend, self.joined)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Calculate with small numbers, and put short texts or lists together."""
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "+" and not numbers and type(left) is not type(right):
            raise SecurityError("only two texts, two lists or two numbers can be added")
        if operator == "+" and isinstance(left, str | list | tuple):
            self.budget.spend(len(left) + len(right))
            if len(left) + len(right) > _MAX_TEXT:
                raise TooMuchError(f"a text or list is longer than {_MAX_TEXT}")
            return self.joined(left, right) if isinstance(left, str) else left + right
        if not numbers or operator == "**" or max(abs(left), abs(right)) > _MAX_NUMBER:
            raise SecurityError(f"`{operator}` is not for these values")
        return super().call_binop(context, operator, left, right)

    def spend(self, characters: int) -> str:
        """Count one call of a macro, with the fixed text in it."""
        self.budget.spend(characters)
        return ""

    def counted(self, values: Iterable[Any], characters: int) -> Iterator[Any]:
        """Give a loop its values, counting every round with the fixed text in it."""
        for value in values:
            self.budget.spend(characters)
            yield value

    def joined(self, *parts: Any) -> Markup:
        """Put texts together (`~`), each shown as it would be shown alone."""
        shown = [self._shown(part) for part in parts]
        if sum(map(len, shown)) > _MAX_TEXT:
            raise TooMuchError(f"a text is longer than {_MAX_TEXT}")
        return ready("".join(shown))

    def get_template(self, name: Any, *args: Any, **kwargs: Any) -> Template:
        """Load a template; an include or import counts with the whole file."""
        template = super().get_template(name, *args, **kwargs)
        self.budget.spend(1000 + self._folder.sizes.get(template.name or "", 0))
        self.budget.look()
        return template

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = super()._parse(source, name, filename)
        counted = _Counted().visit(parsed)
        assert isinstance(counted, nodes.Template)
        return counted

    def _shown(self, value: Any) -> Markup:
        if type(value) is Markup:
            shown = value
        elif value is None:
            shown = ready(self._unknown())
        elif isinstance(value, bool):
            raise SecurityError("yes and no are for conditions: write the words")
        elif isinstance(value, int | float):
            shown = ready(value)
        elif isinstance(value, str):
            shown = self._escaped(str(value))
        elif isinstance(value, StrictUndefined):
            shown = ready(str(value))  # raises, and names what is undefined
        else:
            raise SecurityError(f"a {type(value).__name__} cannot be printed")
        self.budget.spend(len(shown))
        return shown

    def _join(self, values: Iterable[Any], between: str = "") -> Markup:
        parts: list[Any] = []
        for value in values:
            parts += [between, value] if parts else [value]
            self.spend(0)
        return self.joined(*parts)

    def _range(self, *bounds: int) -> Iterator[int]:
        rounds = range(*bounds)
        if len(rounds) > _MAX_RANGE:
            raise TooMuchError(f"a range has more than {_MAX_RANGE} rounds")
        return iter(rounds)


class _Counted(NodeTransformer):
    """Put a count into every loop and macro at compile time, so that no template can leave it out."""

    # Jinja's visitor finds these by the names of its nodes.
    # ruff: noqa: N802

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        counted = nodes.EnvironmentAttribute("counted", lineno=node.lineno)
        node.iter = nodes.Call(
            counted, [node.iter, nodes.Const(_length(node.body))], [], None, None, lineno=node.lineno
        )
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, _spend(node.body, node.lineno))
        return node

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, _spend(node.body, node.lineno))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        joined = nodes.EnvironmentAttribute("joined", lineno=node.lineno)
        return nodes.Call(joined, node.nodes, [], None, None, lineno=node.lineno)

    def visit_ScopedEvalContextModifier(self, node: nodes.ScopedEvalContextModifier) -> nodes.Node:
        raise TemplateSyntaxError("escaping cannot be turned off", node.lineno)


def _spend(body: list[nodes.Node], line: int) -> nodes.ExprStmt:
    spend = nodes.EnvironmentAttribute("spend", lineno=line)
    call = nodes.Call(spend, [nodes.Const(_length(body))], [], None, None, lineno=line)
    return nodes.ExprStmt(call, lineno=line)


def _length(body: list[nodes.Node]) -> int:
    return sum(len(text.data) for part in body for text in _fixed(part))


def _fixed(node: nodes.Node) -> Iterator[nodes.TemplateData]:
    if isinstance(node, nodes.TemplateData):
        yield node
    for child in node.iter_child_nodes():
        if not isinstance(child, nodes.For):  # an inner loop counts its own
            yield from _fixed(child)
