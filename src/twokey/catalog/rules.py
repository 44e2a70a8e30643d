"""Classification rules: YAML that people own, loaded, indexed, and asked for one verdict."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

import twokey
from twokey.catalog import rule_files
from twokey.catalog.rule_files import Example, Rule
from twokey.catalog.rule_index import RuleIndex
from twokey.core.errors import Json, Message, message
from twokey.core.patterns import Miss, TooMuchWork, Trail
from twokey.core.patterns.work import EVENT, LEAST, ORDINARY, RULE, size
from twokey.core.responsibility import ActionOwner, Confidence, Label, Origin, Planned, Verdict
from twokey.core.signals import RawNotification, Signal, SignalStatus

__all__ = ["Example", "Rule", "Rules", "Tried", "default_rules", "load_rules", "signal_view"]

log = logging.getLogger("twokey.rules")

Payload = Callable[[Signal, RawNotification], Json]
NO_RULE = "none"
_TEXT = 200  # of one deciding value: whoever wrote it may be an attacker
_LIST = 10


def default_rules() -> Path:
    """Return the folder of the rules that come with twokey: in the wheel, else in the source tree."""
    package = Path(twokey.__file__).parent
    packed = package / "_data" / "rules"
    return packed if packed.is_dir() else package.parents[1] / "rules"


def load_rules(paths: Path | Iterable[Path] | None = None, *, payload: Payload | None = None) -> Rules:
    """Read rule files, or every YAML file of a folder; None means the default rules.

    `payload` finds in a notification the document that a signal was read from; without it, that is the body.
    """
    chosen = [paths or default_rules()] if paths is None or isinstance(paths, Path) else list(paths)
    contents = rule_files.read(chosen)
    return Rules(contents.rules, contents.service_models, payload or _body)


@dataclass(frozen=True, slots=True)
class Tried:
    """One rule that was asked, in its turn, and why it did or did not match."""

    rule: Rule
    matched: bool
    fields: Mapping[str, Json] = field(default_factory=dict)
    miss: Miss | None = None
    reason: Message | None = None  # why `when` does not hold


class Rules:
    """The rules in force: the first that matches decides, and no match means that a person has to look."""

    def __init__(
        self, rules: Iterable[Rule], service_models: Mapping[tuple[str, str], str], payload: Payload
    ) -> None:
        self.rules = tuple(rules)
        self.service_models = service_models
        self.disabled: dict[str, Message] = {}  # rules that were too much work, with why
        self._payload = payload
        self._index = RuleIndex(self.rules)

    def verdict(self, signal: Signal, raw: RawNotification | Json = None) -> Verdict:
        """Say whose side a signal is on; `raw` is its notification, or the payload it was read from."""
        document = self._document(signal, raw)
        aside: list[str] = []
        left = EVENT
        for rule in self._index.candidates(signal, document):
            if rule.id in self.disabled:
                aside.append(rule.id)
                continue
            trail = Trail(given := RULE if left >= RULE else max(left, LEAST))
            try:
                fields = rule.matched(document, trail)
            except TooMuchWork:
                aside.append(rule.id)
                self._set_aside(rule, document, spent=trail.left < 0)
                fields = None
            left -= given - trail.left
            if fields is not None:
                return _without(self._verdict_by(signal, rule, fields, document), aside)
        decided = _shown({"signal.family": signal.family, "signal.type": signal.type})
        unknown = Verdict(
            label=Label.UNKNOWN,
            origin=Origin.UNDETERMINED,
            plan=Planned.NOT_APPLICABLE,
            action_owner=ActionOwner.BOTH,
            confidence=Confidence.LOW,
            rule=NO_RULE,
            reason="No rule knows this: a person has to look.",
            service_model=self._service_model(signal),
            fields=decided,
            opens_incident=self._may_open(signal, decided),
        )
        return _without(unknown, aside)

    def _set_aside(self, rule: Rule, document: Mapping[str, Json], *, spent: bool) -> None:
        """Disable a rule whose pattern is too much work on an ordinary event; else it only sits this event out.

        A monstrous event is its sender's fault: nobody can send one that turns a rule off for the next.
        """
        at_fault = spent and size(document)[0] <= ORDINARY
        code = "rules.disabled" if at_fault else "rules.set_aside"
        reason = message(code, rule=rule.id, place=f"{rule.file}:{rule.line}")
        log.warning("%s", reason)
        if at_fault:
            self.disabled[rule.id] = reason

    def explain(self, signal: Signal, raw: RawNotification | Json = None) -> list[Tried]:
        """Return every rule in its turn up to the one that matched, with why it did or did not."""
        document = self._document(signal, raw)
        tried: list[Tried] = []
        for rule in self.rules:
            try:
                fields = rule.pattern.matched(document, Trail(RULE))
                refused = rule.when_refuses(document) if fields is not None else None
            except TooMuchWork:
                place = f"{rule.file}:{rule.line}"
                tried.append(Tried(rule, False, reason=message("rules.set_aside", rule=rule.id, place=place)))
                continue
            if fields is not None and refused is None:
                tried.append(Tried(rule, True, _shown(fields)))
                break
            tried.append(Tried(rule, False, miss=rule.pattern.why_not(document), reason=refused))
        return tried

    def check(self) -> list[Message]:
        """Run every rule's examples; return what is wrong, with file, line and rule."""
        faults: list[Message] = []
        every = ((rule, *numbered) for rule in self.rules for numbered in enumerate(rule.examples, 1))
        for rule, number, example in every:
            place = {"file": rule.file, "line": example.line, "rule": rule.id, "example": number}
            matched = rule.matched(example.given) is not None
            if matched is not example.matches:
                miss = rule.pattern.why_not(example.given)
                code = "rules.example_missed" if example.matches else "rules.example_matched"
                faults.append(message(code, **place, path=miss.path if miss else ""))
            elif matched:
                first = next(other for other in self.rules if other.matched(example.given) is not None)
                if first.id != rule.id:
                    faults.append(message("rules.example_shadowed", **place, by=first.id))
        return faults

    def _document(self, signal: Signal, raw: RawNotification | Json) -> _Document:
        if isinstance(raw, RawNotification):
            notification = raw
            return _Document(signal, lambda: self._payload(signal, notification))
        payload = raw
        return _Document(signal, lambda: payload)

    def _verdict_by(
        self, signal: Signal, rule: Rule, fields: Mapping[str, Json], document: Mapping[str, Json]
    ) -> Verdict:
        found = dict(fields)
        for path in rule.fields:
            value = found.get(path) or _value_at(document, path)
            if value is not None:
                found[path] = value
        decided = _shown(found)
        opens = rule.opens and self._may_open(signal, decided)
        return Verdict(
            label=rule.label,
            origin=rule.origin,
            plan=rule.plan,
            action_owner=rule.action_owner,
            confidence=rule.confidence,
            rule=rule.id,
            reason=rule.reason,
            service_model=self._service_model(signal),
            fields=decided,
            opens_incident=opens,
        )

    @staticmethod
    def _may_open(signal: Signal, decided: dict[str, Json]) -> bool:
        """Samples, muted findings and what is over keep their class but open nothing; the fields say why."""
        if signal.is_test:
            decided["is_test"] = True
        if signal.is_muted:
            decided["is_muted"] = True
        if signal.status is SignalStatus.RESOLVED:
            decided["status"] = signal.status.value
        return not (signal.is_test or signal.is_muted or signal.status is SignalStatus.RESOLVED)

    def _service_model(self, signal: Signal) -> str:
        """Look a service up by its name, then by what stands before a division or a remark: `Sql/servers`."""
        name = signal.service[:_TEXT]
        found = self.service_models.get((signal.provider, rule_files.service_key(name)), "")
        if found or not self.service_models:
            return found
        parts = (name.partition(mark)[0] for mark in ("\\", "(", "/", "|", ",") if mark in name)
        known = (self.service_models.get((signal.provider, rule_files.service_key(part))) for part in parts)
        return next((model for model in known if model), "")


def _without(verdict: Verdict, aside: list[str]) -> Verdict:
    """Say in a verdict which rules could not be asked: one of them might have decided otherwise."""
    if not aside:
        return verdict
    fields: dict[str, Json] = {**verdict.fields, "rules_set_aside": list(aside[:_LIST])}
    return replace(verdict, confidence=Confidence.LOW, fields=fields)


class _Document(dict[str, Json]):
    """What patterns see: the signal at once, the raw payload when a rule first asks for it."""

    def __init__(self, signal: Signal, payload: Callable[[], Json]) -> None:
        super().__init__(signal=signal_view(signal))
        self._read = payload

    def get(self, name: str, otherwise: Any = None) -> Any:
        """Return a part of the document; reading the payload waits until somebody asks for it."""
        if name == "raw" and "raw" not in self:
            self["raw"] = self._read()
        return super().get(name, otherwise)


def _body(_signal: Signal, raw: RawNotification) -> Json:
    try:
        return orjson.loads(raw.body)  # type: ignore[no-any-return]
    except ValueError:
        return None  # the normaliser read it in another way; rules on raw do not match


def signal_view(signal: Signal) -> dict[str, Json]:
    """Return a signal as the JSON that patterns and `when` see under `signal`."""
    who = signal.principal
    return {
        "id": signal.id,
        "subject": signal.subject,
        "kind": signal.kind.value,
        "provider": signal.provider,
        "family": signal.family,
        "type": signal.type,
        "title": signal.title,
        "description": signal.description,
        "service": signal.service,
        "region": signal.region,
        "account": signal.account,
        "tenant": signal.tenant,
        "severity": signal.severity,
        "status": signal.status.value,
        "started_at": signal.started_at.isoformat() if signal.started_at else None,
        "detected_at": signal.detected_at.isoformat() if signal.detected_at else None,
        "updated_at": signal.updated_at.isoformat() if signal.updated_at else None,
        "ended_at": signal.ended_at.isoformat() if signal.ended_at else None,
        "resources": [
            {"id": found.id, "type": found.type, "region": found.region} for found in signal.resources
        ],
        "principal": {
            "name": who.name,
            "type": who.type,
            "access_key_id": who.access_key_id,
            "arn": who.arn,
        },
        "tracking_id": signal.tracking_id,
        "is_test": signal.is_test,
        "is_muted": signal.is_muted,
        "facts": dict(signal.facts),
    }


def _value_at(document: Mapping[str, Json], path: str) -> Json:
    root, *rest = path.split(".")
    found: Json = document.get(root)
    for name in rest:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _shown(fields: Mapping[str, Json]) -> dict[str, Json]:
    """Return deciding fields under the names people know, cut to a length that can be shown."""
    return {
        path.removeprefix("signal.").removeprefix("facts."): _cut(value) for path, value in fields.items()
    }


def _cut(value: Json) -> Json:
    if isinstance(value, str):
        return value if len(value) <= _TEXT else value[: _TEXT - 1] + "…"
    if isinstance(value, list):
        return [_cut(item) for item in value[:_LIST]]
    if isinstance(value, dict):
        return {name[:_TEXT]: _cut(item) for name, item in list(value.items())[:_LIST]}
    return value
