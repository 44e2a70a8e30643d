"""`twokey classify`: whose side each event in a file is on, and the fields that decided it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from twokey.core.texts import printable, without_secrets_in

if TYPE_CHECKING:
    from twokey.catalog.rules import Rules
    from twokey.core.errors import Invalid, Json
    from twokey.core.responsibility import Verdict
    from twokey.core.signals import RawNotification, Signal
    from twokey.ports import DocumentReader

_FILES = typer.Argument(
    ..., metavar="FILE...", help="One event, an array or JSON lines; - is standard input."
)
_JSON = typer.Option(False, "--json", help="One JSON object an event, one a line.")
_RULES = typer.Option(None, "--rules", help="A rule file or a folder of them, instead of the default rules.")


@dataclass(frozen=True, slots=True)
class EventRead:
    """One event of a file: its signal, or why it cannot be read."""

    file: str
    index: int
    raw: RawNotification | None = None
    signal: Signal | None = None
    fault: Invalid | None = None


@dataclass(frozen=True, slots=True)
class Classified:
    """One event with its verdict."""

    file: str
    index: int
    signal: Signal
    verdict: Verdict

    def row(self) -> dict[str, Json]:
        """Return what `--json` prints: scripts rely on these names."""
        verdict, signal = self.verdict, self.signal
        return {
            "file": self.file,
            "index": self.index,
            "label": verdict.label.value,
            "origin": verdict.origin.value,
            "plan": verdict.plan.value,
            "action_owner": verdict.action_owner.value,
            "service_model": verdict.service_model,
            "confidence": verdict.confidence.value,
            "rule": verdict.rule,
            "reason": verdict.reason,
            "fields": dict(verdict.fields),
            "provider": signal.provider,
            "service": signal.service,
            "region": signal.region,
            "account": signal.account,
            "opens_incident": verdict.opens_incident,
            "dedupe_key": signal.id,
        }

    def text(self) -> str:
        """Return what a person reads."""
        from twokey.words import sides_of

        verdict, signal = self.verdict, self.signal
        place = " ".join(
            part for part in (signal.provider, signal.service, signal.region, signal.account) if part
        )
        fields = ", ".join(f"{name}={json.dumps(value)}" for name, value in verdict.fields.items())
        model = f", {verdict.service_model}" if verdict.service_model else ""
        lines = [
            f"{verdict.label.value}  {place}  ({self.file}#{self.index})",
            f"  {signal.title}",
            f"  because: {verdict.reason}",
            f"  rule {verdict.rule}, confidence {verdict.confidence.value}: {fields}",
            f"  origin {verdict.origin.value}, {verdict.plan.value}, to act: {verdict.action_owner.value}{model},"
            f" accountable: {verdict.accountable}",
            f"  {'opens' if verdict.opens_incident else 'does not open'} an incident",
        ]
        if sides := sides_of(verdict.service_model, "en"):
            lines.insert(5, f"  {sides}")
        return "\n".join(printable(line) for line in lines)


def classify(files: list[str] = _FILES, json_: bool = _JSON, rules: Path | None = _RULES) -> None:
    """Say whose side each event is on, with the rule and the fields that decided it.

    Exit 0, or 2 when something could not be read: the others are printed all the same.
    """
    loaded = loaded_rules(rules)
    unreadable = 0
    for found in classify_texts(texts_of(files), loaded):
        if isinstance(found, Classified):
            typer.echo(json.dumps(without_secrets_in(found.row())) if json_ else found.text())
        else:
            unreadable += 1
            typer.echo(fault_text(found), err=True)
    if unreadable:
        raise typer.Exit(2)


def loaded_rules(path: Path | None) -> Rules:
    """Load the rules of a command line; a fault in them is told with file, line and key, and ends it."""
    from twokey.catalog.rules import load_rules
    from twokey.core.errors import Invalid
    from twokey.words import say

    try:
        return load_rules(path, payload=payload_of)
    except Invalid as fault:
        params = fault.message.params
        place = ":".join(params[name] for name in ("file", "line", "key") if params.get(name))
        typer.echo(printable(f"{place}: {say(fault.message)}" if place else say(fault.message)), err=True)
        raise typer.Exit(2) from None


def classify_texts(
    texts: Iterable[tuple[str, bytes | Invalid]], rules: Rules
) -> Iterator[Classified | EventRead]:
    """Yield a verdict for every event in these named texts, and an EventRead with its fault for every other."""
    for name, text in texts:
        for reading in signals_of(text, name):
            if reading.signal is None:
                yield reading
            else:
                verdict = rules.verdict(reading.signal, reading.raw)
                yield Classified(reading.file, reading.index, reading.signal, verdict)


def texts_of(files: Iterable[str]) -> Iterator[tuple[str, bytes | Invalid]]:
    """Yield each file with what is in it; `-` is standard input."""
    from twokey.core.errors import Invalid

    for name in files:
        try:
            yield name, sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as fault:
            yield name, Invalid("signal.unreadable", reason=fault.strerror or "cannot be opened", where="$")


def signals_of(text: bytes | Invalid, name: str = "") -> Iterator[EventRead]:
    """Read one event, an array of them, or JSON lines; every event of whichever cloud becomes a signal.

    The index counts events: one that holds several findings counts for as many.
    """
    from twokey.core.errors import Invalid

    index = 0
    for where, event in _events(text):
        try:
            if isinstance(event, Invalid):
                raise event
            raw, signals = _normalised(event)
        except Invalid as fault:
            yield EventRead(name, index, fault=_placed(fault, where))
            index += 1
            continue
        for signal in signals:
            yield EventRead(name, index, raw, signal)
            index += 1


def _events(text: bytes | Invalid) -> Iterator[tuple[str, Json | Invalid]]:
    """Yield the place and the JSON of every event in a text, or why there is none."""
    from twokey.core.errors import Invalid
    from twokey.providers.reading import parsed

    if isinstance(text, Invalid):
        yield "", text
        return
    try:
        whole = parsed(text)
    except Invalid as fault:
        lines = [(f"line {number}", line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        read = [(where, _line(line)) for where, line in lines]
        if len(read) > 1 and any(not isinstance(event, Invalid) for _, event in read):
            yield from read
        else:
            yield "", fault
        return
    if whole == []:
        yield "", Invalid("signal.unreadable", reason="it is an empty list", where="$")
    elif isinstance(whole, list):
        yield from ((f"[{number}]", event) for number, event in enumerate(whole))
    else:
        yield "", whole


def _line(line: bytes) -> Json | Invalid:
    from twokey.core.errors import Invalid
    from twokey.providers.reading import parsed

    try:
        return parsed(line)
    except Invalid as fault:
        return fault


def _normalised(event: Json) -> tuple[RawNotification, tuple[Signal, ...]]:
    """Let the cloud that recognises an event read it; a file does not say who sent it."""
    from dataclasses import replace
    from datetime import UTC, datetime

    import orjson

    from twokey.core.signals import RawNotification, raw_id

    readers = _readers()
    # The first reads what nobody recognises: it is asked last.
    by = next((name for name, reader in reversed(readers.items()) if reader.recognises(event)), "")
    name = by or next(iter(readers))
    body = orjson.dumps(event) if _is_shallow(event) else b"null"
    source = f"{name}.file"
    raw = RawNotification(raw_id(source, body), source, body, datetime.fromtimestamp(0, UTC))
    signals = readers[name].normalise_json(event, raw)
    return raw, signals if by else tuple(replace(signal, provider="") for signal in signals)


@cache
def _readers() -> dict[str, DocumentReader]:
    from twokey.clouds import CLOUDS

    return {module.name: module.normaliser() for module in CLOUDS}


def _is_shallow(event: Json, limit: int = 200) -> bool:
    """Say whether an event may be written as JSON again: the writer gives up where nesting is absurd."""
    level: list[Json] = [event]
    for _ in range(limit):
        below: list[Json] = []
        for item in level:
            below += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        if not below:
            return True
        level = below
    return False


def payload_of(signal: Signal, raw: RawNotification) -> Json:
    """Return the document that a signal was read from, as rules see it under `raw`."""
    from twokey.core.errors import Invalid

    try:
        return _readers()[raw.provider].payload(signal, raw)
    except Invalid:  # too deep to be written again: rules on raw do not match
        return None


def _placed(fault: Invalid, where: str) -> Invalid:
    """Add to a fault where in the file its event stands."""
    from twokey.core.errors import Invalid

    params = dict(fault.message.params)
    inside = params.get("where", "$").removeprefix("$")
    params["where"] = f"{where}{inside}" if where.startswith("line") else f"${where}{inside}"
    return Invalid(fault.message.code, **params)


def fault_text(found: EventRead) -> str:
    """Say what could not be read: file, index, place and reason."""
    from twokey.words import say

    assert found.fault is not None
    return printable(f"{found.file}#{found.index}: {say(found.fault.message)}")
