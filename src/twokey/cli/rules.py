"""`twokey rules`: check rules and their examples, try a pattern, and see why an event was judged as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from twokey.cli.classify import fault_text, loaded_rules, signals_of, texts_of
from twokey.core.texts import printable

if TYPE_CHECKING:
    from twokey.catalog.rules import Tried
    from twokey.core.errors import Json
    from twokey.core.patterns import Miss

app = typer.Typer(help="Classification rules.", no_args_is_help=True, rich_markup_mode=None)

_PATH = typer.Argument(None, help="A rule file or a folder of them; the default rules when none is named.")
_RULES = typer.Option(None, "--rules", help="A rule file or a folder of them, instead of the default rules.")
_JSON = typer.Option(False, "--json", help="JSON for scripts.")


@app.command()
def check(path: Path | None = _PATH) -> None:
    """Read every rule and run its examples; exit 0, or 2 with file and line of what is wrong."""
    from twokey.words import say

    rules = loaded_rules(path)
    faults = rules.check()
    for fault in faults:
        typer.echo(printable(f"{fault.params['file']}:{fault.params['line']}: {say(fault)}"), err=True)
    if faults:
        raise typer.Exit(2)
    examples = sum(len(rule.examples) for rule in rules.rules)
    typer.echo(f"{len(rules.rules)} rules, {examples} examples, no fault")


@app.command()
def match(
    pattern: str = typer.Argument(..., metavar="PATTERN.json", help="An EventBridge event pattern."),
    event: str = typer.Argument(..., metavar="EVENT.json", help="The event as it came; - is standard input."),
    json_: bool = _JSON,
) -> None:
    """Try an event pattern: exit 0 when the event matches, 1 when not, 2 when something is not valid."""
    from twokey.core import patterns
    from twokey.core.errors import Invalid
    from twokey.words import say

    try:
        compiled = patterns.compile(_json_file(pattern))
        document = _json_file(event)
        if not isinstance(document, dict):
            raise Invalid("rules.event_not_object", file=event)
    except Invalid as fault:
        typer.echo(printable(f"{fault.message.params.get('file', pattern)}: {say(fault.message)}"), err=True)
        raise typer.Exit(2) from None
    fields = compiled.matched(document)
    if json_:
        typer.echo(json.dumps({"matches": fields is not None, "fields": fields or {}}))
    elif fields is not None:
        typer.echo("matches: " + _shown(fields))
    else:
        miss = compiled.why_not(document)
        assert miss is not None
        typer.echo("does not match: " + _why(miss))
    if fields is None:
        raise typer.Exit(1)


@app.command("list")
def list_(path: Path | None = _PATH, json_: bool = _JSON) -> None:
    """List the rules in the order in which they are asked."""
    for rule in loaded_rules(path).rules:
        row: dict[str, Json] = {
            "id": rule.id,
            "label": rule.label.value,
            "origin": rule.origin.value,
            "opens": rule.opens,
            "confidence": rule.confidence.value,
            "file": rule.file,
            "line": rule.line,
            "reason": rule.reason,
        }
        typer.echo(
            json.dumps(row)
            if json_
            else f"{rule.id:<44} {rule.label.value:<21} {'opens' if rule.opens else '-':<6} {rule.file}:{rule.line}"
        )


@app.command()
def explain(
    file: str = typer.Argument(
        ..., metavar="FILE", help="One event, an array or JSON lines; - is standard input."
    ),
    rules: Path | None = _RULES,
) -> None:
    """Print every rule that was asked, in its turn, and why it did or did not match."""
    loaded = loaded_rules(rules)
    unreadable = 0
    for reading in (found for name, text in texts_of([file]) for found in signals_of(text, name)):
        if reading.signal is None:
            unreadable += 1
            typer.echo(fault_text(reading), err=True)
            continue
        signal = reading.signal
        typer.echo(printable(f"{reading.file}#{reading.index}: {signal.title}"))
        read = (
            signal.provider,
            signal.family,
            signal.type,
            signal.service,
            signal.region,
            signal.status.value,
        )
        marks = (name for name in ("is_test", "is_muted") if getattr(signal, name))
        typer.echo(printable("  read as " + " · ".join([*filter(None, read), *marks])))
        tried = loaded.explain(signal, reading.raw)
        for line in _explained(tried):
            typer.echo(printable(line))
        if not tried or not tried[-1].matched:
            typer.echo("  => unknown: no rule knows this")
        verdict = loaded.verdict(signal, reading.raw)
        opens = "opens an incident" if verdict.opens_incident else "opens no incident"
        typer.echo(
            printable(
                f"     origin {verdict.origin.value}, {verdict.plan.value}, to act: {verdict.action_owner.value}, "
                f"{verdict.service_model or 'no known service'}, confidence {verdict.confidence.value}; {opens}; "
                f"{len(tried)} of {len(loaded.rules)} rules were asked"
            )
        )
    if unreadable:
        raise typer.Exit(2)


def _explained(tried: list[Tried]) -> Iterator[str]:
    from twokey.words import say

    for one in tried:
        if one.matched:
            yield f"  => {one.rule.label.value} by {one.rule.id}: {_shown(dict(one.fields))}"
            yield f"     {one.rule.reason} ({one.rule.file}:{one.rule.line})"
        elif one.reason is not None:
            yield f"  no {one.rule.id}: {say(one.reason)}"
        elif one.miss is not None:
            yield f"  no {one.rule.id}: {_why(one.miss)}"


def _why(miss: Miss) -> str:
    if miss.together:
        return f"{miss.path or 'the event'} has no single element in which all of it matches"
    seen = ", ".join(json.dumps(value)[:120] for value in miss.seen) or "nothing"
    return f"{miss.path} is {seen}, wanted {miss.wanted[:300]}"


def _shown(fields: dict[str, Json]) -> str:
    return ", ".join(f"{name}={json.dumps(value)[:200]}" for name, value in fields.items())


def _json_file(name: str) -> Json:
    """Read one JSON file; a key that stands twice is refused, since only one of the two would count."""
    from twokey.core.errors import Invalid

    _, text = next(texts_of([name]))
    if isinstance(text, Invalid):
        raise Invalid("rules.file", file=name, problem=text.message.params["reason"])

    def once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            raise Invalid("rules.json_twice", file=name, name=twice)
        return found

    try:
        return json.loads(text, object_pairs_hook=once)  # type: ignore[no-any-return]
    except (ValueError, RecursionError) as fault:
        raise Invalid("rules.file", file=name, problem=str(fault)[:200]) from None
