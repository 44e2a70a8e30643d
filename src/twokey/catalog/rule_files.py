"""Rule files: what a rule is, and reading them; each fault names file, line and key."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from twokey.catalog.strict_yaml import Document, load
from twokey.core import patterns, texts
from twokey.core.errors import Invalid, Json, Message, message
from twokey.core.patterns import Pattern, TooMuchWork, Trail
from twokey.core.patterns.work import LARGE, size
from twokey.core.responsibility import USUAL, ActionOwner, Confidence, Label, Origin, Planned
from twokey.service_names import without_maker

API_VERSION = "twokey.dev/v1"
_ID = re.compile(r"[a-z0-9][a-z0-9.\-]{0,79}")
_KEYS = (
    "id",
    "order",
    "label",
    "origin",
    "plan",
    "action_owner",
    "confidence",
    "reason",
    "opens",
    "match",
    "when",
    "fields",
    "examples",
)
_EXAMPLE_KEYS = ("given", "matches")
_MODELS = ("IaaS", "PaaS", "SaaS")
_USUAL_ORDER = 500
_MOST_TEXT = 2_000  # characters of `when`
_LOOP = re.compile(r"\.(?:all|exists|exists_one|filter|map|sortBy|transformList|transformMap)\s*\(")
_MOST_LOOPS = 2
_MOST_STEPS = 200_000  # of the loops of one `when`: it cannot be stopped once it runs, so this is foreseen
# Text by contract: a number there never matches, and an account id without quotes is a number.
_TEXT_FIELDS = tuple(
    f"signal.{name}"
    for name in ("id", "provider", "family", "type", "service", "region", "account", "tenant", "tracking_id")
)

E = TypeVar("E", bound=StrEnum)
When = Callable[[Mapping[str, Json]], "Message | None"]


@dataclass(frozen=True, slots=True)
class Example:
    """A document that a rule must match, or must not."""

    given: Mapping[str, Json]
    matches: bool
    line: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, as its file says."""

    id: str
    order: int
    label: Label
    origin: Origin
    plan: Planned
    action_owner: ActionOwner
    confidence: Confidence
    reason: str
    opens: bool
    pattern: Pattern
    fields: tuple[str, ...]
    examples: tuple[Example, ...]
    when: str
    file: str
    line: int
    when_refuses: When = field(default=lambda _document: None, repr=False)

    def matched(self, document: Mapping[str, Json], trail: Trail | None = None) -> Mapping[str, Json] | None:
        """Return the deciding fields when the rule matches, else None; TooMuchWork where a trail's steps end."""
        fields = self.pattern.matched(document, trail)
        return fields if fields is not None and self.when_refuses(document) is None else None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a set of rule files says."""

    rules: tuple[Rule, ...]
    service_models: Mapping[tuple[str, str], str]  # (provider, folded service) -> IaaS, PaaS or SaaS


def read(paths: Iterable[Path]) -> Contents:
    """Read rule files and folders of them; rules come by `order`, then by file name and place."""
    rules: list[Rule] = []
    models: dict[tuple[str, str], str] = {}
    for path in _files(paths):
        document = load(path.read_bytes(), path.name)
        if _kind(document) == "Rules":
            listed, compile_when = document.get(("rules",)), _When()
            assert isinstance(listed, list)
            rules.extend(_Reader(document, index).rule(compile_when) for index in range(len(listed)))
        else:
            models.update(_models(document))
    first: dict[str, Rule] = {}
    for rule in rules:
        earlier = first.setdefault(rule.id, rule)
        if earlier is not rule:
            place = f"{earlier.file}:{earlier.line}"
            where = {"file": rule.file, "line": rule.line, "key": "id"}
            raise Invalid("rules.duplicate_id", **where, rule=rule.id, first=place)
    return Contents(tuple(sorted(rules, key=lambda rule: rule.order)), models)


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        listed = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else [path]
        if not listed or not listed[0].is_file():
            raise Invalid("rules.no_files", path=path)
        found.extend(listed)
    return found


def _kind(document: Document) -> str:
    """Return what a file holds, Rules or ServiceModels; refuse one whose outermost keys are not those of its kind."""
    data = document.data
    if not isinstance(data, dict) or data.get("apiVersion") != API_VERSION:
        raise document.fault("rules.version", ("apiVersion",), version=API_VERSION)
    kind = data.get("kind")
    if kind not in ("Rules", "ServiceModels"):
        raise document.fault("rules.kind", ("kind",))
    listed = "rules" if kind == "Rules" else "models"
    for key in data:
        if key not in ("apiVersion", "kind", listed):
            raise document.fault("rules.unknown_key", (key,), nearest=listed)
    if not isinstance(data.get(listed), list if kind == "Rules" else dict):
        raise document.fault("rules.missing", (listed,), name=listed)
    return str(kind)


class _Reader:
    """Reads one rule."""

    def __init__(self, document: Document, index: int) -> None:
        self.document = document
        self.path = ("rules", index)
        data = document.json(self.path)
        if not isinstance(data, dict):
            raise document.fault("rules.not_mapping", self.path)
        self.data = data
        for key in data:
            if key not in _KEYS:
                raise self.fault("rules.unknown_key", key, nearest=texts.nearest(key, _KEYS, alike=0.0))
        for key in ("id", "label", "reason", "match"):
            if key not in data:
                raise self.fault("rules.missing", name=key)

    def fault(self, code: str, *keys: str | int, **params: object) -> Invalid:
        return self.document.fault(code, (*self.path, *keys), **params)

    def rule(self, compile_when: _When) -> Rule:
        rule_id = self.text("id")
        if not _ID.fullmatch(rule_id):
            raise self.fault("rules.id", "id", rule=rule_id)
        label = self.word("label", Label, None)
        origin, plan, owner, opens = USUAL[label]
        when = self.text("when") if "when" in self.data else ""
        return Rule(
            id=rule_id,
            order=self.order(),
            label=label,
            origin=self.word("origin", Origin, origin),
            plan=self.word("plan", Planned, plan),
            action_owner=self.word("action_owner", ActionOwner, owner),
            confidence=self.word("confidence", Confidence, Confidence.HIGH),
            reason=self.text("reason"),
            opens=self.flag("opens", opens),
            pattern=self.pattern(),
            fields=self.fields(),
            examples=self.examples(),
            when=when,
            file=self.document.name,
            line=self.document.line(self.path),
            when_refuses=compile_when(when, self) if when else lambda _document: None,
        )

    def text(self, key: str) -> str:
        value = self.data.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.fault("rules.text_wanted", key)
        return " ".join(value.split())

    def word(self, key: str, words: type[E], usual: E | None) -> E:
        if key not in self.data and usual is not None:
            return usual
        value = self.data.get(key)
        if value not in list(words):
            known = [word.value for word in words]
            raise self.fault("rules.word", key, value=value, known=", ".join(known))
        return words(value)

    def flag(self, key: str, usual: bool) -> bool:
        value = self.data.get(key, usual)
        if not isinstance(value, bool):
            raise self.fault("rules.flag", key)
        return value

    def order(self) -> int:
        value = self.data.get("order", _USUAL_ORDER)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.fault("rules.order", "order")
        return value

    def pattern(self) -> Pattern:
        match = self.data["match"]
        names = set(match) - {"signal", "raw", "$or"} if isinstance(match, dict) else set()
        if names:
            name = sorted(names)[0]
            raise self.fault("rules.match_root", "match", name, name=name)
        try:
            pattern = patterns.compile(match)
        except Invalid as fault:
            code, params = fault.message.code, dict(fault.message.params)
            raise self.fault(code, "match", *_keys(params.get("where", "")), **params) from None
        for path in pattern.paths():
            if path in _TEXT_FIELDS and pattern.has_other_than_text(path):
                raise self.fault("rules.text_field", "match", *path.split("."), field=path)
        return pattern

    def fields(self) -> tuple[str, ...]:
        value = self.data.get("fields", [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fault("rules.fields", "fields")
        paths = tuple(str(item) for item in value)
        if any(path.partition(".")[0] not in ("signal", "raw") for path in paths):
            raise self.fault("rules.fields", "fields")
        return paths

    def examples(self) -> tuple[Example, ...]:
        value = self.data.get("examples", [])
        if not isinstance(value, list):
            raise self.fault("rules.examples", "examples")
        return tuple(self.example(item, index) for index, item in enumerate(value))

    def example(self, item: Json, index: int) -> Example:
        given = item.get("given") if isinstance(item, dict) else None
        matches = item.get("matches", True) if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(given, dict) or not isinstance(matches, bool):
            raise self.fault("rules.examples", "examples", index)
        for key in item:
            if key not in _EXAMPLE_KEYS:
                raise self.fault(
                    "rules.unknown_key",
                    "examples",
                    index,
                    key,
                    nearest=texts.nearest(key, _EXAMPLE_KEYS, alike=0.0),
                )
        return Example(given, matches, self.document.line((*self.path, "examples", index)))


def _keys(where: str) -> tuple[str | int, ...]:
    """Turn a pattern's `$.signal.type[0].prefix` into keys; `document.line` forgives what is not there."""
    found: list[str | int] = []
    for part in where.removeprefix("$").lstrip(".").split("."):
        name, *indexes = part.split("[")
        found += [name] if name else []
        found += [int(index.rstrip("]")) for index in indexes if index.rstrip("]").isdigit()]
    return tuple(found)


class _When:
    """Compiles `when` expressions: CEL, through an optional package that only such a rule needs."""

    def __init__(self) -> None:
        self._env: Any = None

    def __call__(self, expression: str, reader: _Reader) -> When:
        loops = len(_LOOP.findall(expression))
        if len(expression) > _MOST_TEXT or loops > _MOST_LOOPS:
            raise reader.fault("rules.when_too_big", "when", characters=_MOST_TEXT, loops=_MOST_LOOPS)
        if self._env is None:
            try:
                cel = importlib.import_module("cel_expr_python.cel")
            except ImportError:
                raise reader.fault("rules.cel_missing", "when") from None
            self._env = cel.NewEnv(variables={"signal": cel.Type.DYN, "raw": cel.Type.DYN})
        try:
            program = self._env.compile(expression)
        except RuntimeError as fault:
            problem = str(fault).partition("\n")[0].partition("ERROR: ")[2]
            raise reader.fault("rules.cel", "when", problem=problem[:200]) from None

        def refuses(document: Mapping[str, Json]) -> Message | None:
            data = {"signal": document.get("signal"), "raw": document.get("raw")}
            # The most that loops in loops over the longest list can be: what would take too long is not begun.
            values, longest, text = size(data)
            if values > LARGE or longest**loops * max(1, text // 1000) > _MOST_STEPS:
                raise TooMuchWork
            try:
                result = program.eval(data=data)
                answer, kind = result.value(), result.type()
            except (RuntimeError, TypeError, ValueError) as fault:
                return message("rules.when_failed", problem=str(fault)[:200])
            if answer is True:
                return None
            if answer is False:
                return message("rules.when_false", expression=expression)
            return message("rules.when_failed", problem=f"{kind}: {str(answer)[:200]}")

        return refuses


def _models(document: Document) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    data = document.data
    models = data.get("models") if isinstance(data, dict) else None
    assert isinstance(models, dict)
    for provider, by_model in models.items():
        if not isinstance(by_model, dict):
            raise document.fault("rules.not_mapping", ("models", provider))
        for model, services in by_model.items():
            if model not in _MODELS or not isinstance(services, list):
                raise document.fault("rules.service_model", ("models", provider, model))
            for index, service in enumerate(services):
                if not isinstance(service, str):
                    raise document.fault("rules.service_model", ("models", provider, model, index))
                earlier = found.setdefault((provider, service_key(service)), model)
                if earlier != model:
                    raise document.fault(
                        "rules.service_twice", ("models", provider, model, index), name=service
                    )
    return found


@lru_cache(maxsize=4096)  # asked of every notification, and services are few
def service_key(name: str) -> str:
    """Fold a service's name: senders differ in case, spaces, punctuation and the maker's name before it."""
    return without_maker("".join(filter(str.isalnum, name.casefold())))
