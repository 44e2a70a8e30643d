"""All steps and documents of a plan, in pages: what changes first, then what is read, guards, and the digest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from twokey.chat.slack.views.blocks import (
    VIEW_TEXT,
    Block,
    context,
    document,
    section,
    sections,
    text_length,
)
from twokey.chat.slack.views.review import warnings
from twokey.chat.slack.views.text import WHOLE, Words, code, shown
from twokey.core.errors import Json
from twokey.core.runbooks import ActionCall, CheckCall, Plan, Step, canonical, references
from twokey.core.showings import PER_PAGE, alike, parts

PAGE_BLOCKS = 80
PAGE_TEXT = VIEW_TEXT * 3 // 4
_ALL = 1_000_000

_FROM_STEP = re.compile(
    r"\$\{\{\s*steps\.(?P<step>[\w\[\]-]+)\.(?:outputs|prior|inputs)\.(?P<name>\w+)\s*\}\}"
)


@dataclass(frozen=True, slots=True)
class Same:
    """Steps that do the same to one thing each: `shape` is the first of them, with a placeholder for the thing."""

    shape: Step
    steps: tuple[Step, ...]
    varies: str = ""  # the input that names the thing; "" for a step that stands alone


def details(plan: Plan, words: Words) -> list[list[Block]]:
    """Return the pages of everything that the digest covers."""
    made: list[list[Block]] = [[]]
    weight = room = 0
    for block, weighs in _everything(plan, words):
        size = text_length(block)
        if made[-1] and (
            weight + weighs > PER_PAGE or len(made[-1]) >= PAGE_BLOCKS or room + size > PAGE_TEXT
        ):
            made.append([])
            weight = room = 0
        made[-1].append(block)
        weight, room = weight + weighs, room + size
    return made


def _everything(plan: Plan, words: Words) -> Iterator[tuple[Block, int]]:
    """Yield every block, with how many steps or things it shows."""
    number = 0
    for title, steps in (
        ("chat.plan.changes", plan.writes),
        ("chat.plan.reads", tuple(step for step in plan.steps if not step.effect.is_write)),
    ):
        if steps:
            yield section(f"*{words(title)}*"), 0
        for same in together(steps):
            number += 1
            yield from _same(number, same, plan, words)
    for block in _guards(plan, words):
        yield block, 0
    if plan.warnings or plan.notes:
        for block in warnings(plan, alike(plan.warnings), words):
            yield block, 0
        lines = "\n".join(f"\u2022 {words.whole(note)}" for note in plan.notes)
        for block in sections(f"*{words('chat.plan.notes')}*\n{lines}") if lines else []:
            yield block, 0
    for block in sections(f"{code('params')} {code(_text(dict(plan.params)), _ALL, words.language)}"):
        yield block, 0
    yield context(words("chat.plan.full_digest", digest=plan.digest)), 0


def together(steps: Sequence[Step]) -> list[Same]:
    """Gather the steps that were written once for each thing of a list, where they are the same but for the thing."""
    groups: dict[str, list[Step]] = {}
    for step in steps:
        groups.setdefault(step.id.partition("[")[0], []).append(step)
    return [same for group in groups.values() for same in _alike(group)]


def _alike(group: Sequence[Step]) -> list[Same]:
    first = group[0]
    for name in first.inputs if len(group) > 1 else ():
        things = [step.inputs.get(name) for step in group]
        if len(set(map(_text, things))) < len(group) or not all(isinstance(thing, str) for thing in things):
            continue
        shapes = {_shape(step, name) for step in group}
        if len(shapes) == 1:
            return [Same(_with_placeholder(first, name), tuple(group), name)]
    return [Same(step, (step,)) for step in group]


def _shape(step: Step, name: str) -> str:
    """Return a step as text with a placeholder for its thing and its id; one that has the placeholder is alone."""
    text = canonical(step).decode()
    holder = f"{{{name}}}"
    if holder in text or "{step}" in text:
        return text
    return text.replace(json.dumps(step.id)[1:-1], "{step}").replace(str(step.inputs[name]), holder)


def _with_placeholder(step: Step, name: str) -> Step:
    thing, holder = str(step.inputs[name]), f"{{{name}}}"

    def put(value: Json) -> Json:
        if isinstance(value, str):
            return value.replace(thing, holder)
        if isinstance(value, list):
            return [put(item) for item in value]
        if isinstance(value, dict):
            return {key.replace(thing, holder): put(item) for key, item in value.items()}
        return value

    def put_into(inputs: Mapping[str, Json]) -> dict[str, Json]:
        return {key: put(value) for key, value in inputs.items()}

    return replace(
        step,
        id=step.id.partition("[")[0],
        inputs=put_into(step.inputs),
        pre=tuple(replace(check, inputs=put_into(check.inputs)) for check in step.pre),
        verify=replace(step.verify, inputs=put_into(step.verify.inputs)) if step.verify else None,
        undo=replace(step.undo, inputs=put_into(step.undo.inputs)) if step.undo else None,
    )


def _same(number: int, same: Same, plan: Plan, words: Words) -> Iterator[tuple[Block, int]]:
    alone = not same.varies
    for place, block in enumerate(_step(number, same, plan, words)):
        yield block, 1 if alone and place == 0 else 0
    if alone:
        return
    for some in parts(same.steps, PER_PAGE):
        lines = []
        for step in some:
            seen = plan.observed.get(step.id)
            beside = plan.shown.get(step.id)
            state = "".join(
                f"  {words(title)} {code(_text(said), _ALL, words.language)}"
                for title, said in (("chat.plan.observed", seen), ("chat.plan.shown", beside))
                if said
            )
            lines.append(f"\u2022 {code(_text(step.inputs[same.varies]), WHOLE, words.language)}{state}")
        for place, block in enumerate(sections("\n".join(lines))):
            yield block, len(some) if place == 0 else 0


def _step(number: int, same: Same, plan: Plan, words: Words) -> Iterator[Block]:
    step = same.shape
    documents = {
        name: value
        for name, value in step.inputs.items()
        if isinstance(_parsed(value), dict | list) or len(_text(value)) > 300
    }
    effect = words(f"chat.effect.{step.effect.value}")
    lines = [f"*{number}.* {code(step.action, 80)}  {effect}  \u00b7 {shown(step.id, WHOLE)}"]
    observed = plan.observed.get(step.id) if not same.varies else None
    beside = plan.shown.get(step.id) if not same.varies else None
    now = {**_mapping(observed), **_mapping(beside)}
    lines += [f"    {change}" for change in _changes(step, now, words)]
    lines += [
        f"    {shown(key, WHOLE)}: {code(_resolved(_text(value), words), WHOLE, words.language)}"
        for key, value in step.inputs.items()
        if key not in documents
    ]
    if step.effect.is_write:
        lines.append("    " + _way_back(step, words))
    asked = [*step.pre, *([step.verify] if step.verify else [])]
    lines += [f"    {_check(check, words)}" for check in asked]
    if same.varies:
        lines.append("    " + words("chat.plan.for_each", count=len(same.steps)))
    yield from sections("\n".join(lines))
    for key, value in documents.items():
        yield context(words("chat.plan.document", name=key))
        yield from document(_text(_parsed(value), indent=1))
    if observed:
        yield from sections(f"{words('chat.plan.observed')} {code(_text(observed), _ALL, words.language)}")
    if beside:
        yield from sections(f"{words('chat.plan.shown')} {code(_text(beside), _ALL, words.language)}")


def _mapping(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _changes(step: Step, observed: Mapping[str, Json], words: Words) -> list[str]:
    """Return before and after of what a step sets, where the state now has a name for it."""
    if not step.effect.is_write:
        return []
    return [
        f"{shown(now, 60)}: "
        + words("chat.plan.before_after", before=_text(observed[now]), after=_text(value))
        for name, value in step.inputs.items()
        for now in observed
        if (now == name or now.endswith(f"_{name}")) and observed[now] != value and not references(value)
    ]


def _way_back(step: Step, words: Words) -> str:
    if isinstance(step.undo, ActionCall):
        inputs = code(_resolved(_text(dict(step.undo.inputs)), words), _ALL, words.language)
        return f"{words('chat.plan.undo_by', action=step.undo.action)} {inputs}"
    return words("chat.plan.no_way_back", reason=step.irreversible or "-")


def _check(check: CheckCall, words: Words) -> str:
    return f"\u2713 {code(check.check, 80)} {code(_resolved(_text(dict(check.inputs)), words), _ALL, words.language)}"


def _guards(plan: Plan, words: Words) -> list[Block]:
    if not plan.guards:
        return []
    lines = []
    for guard in plan.guards:
        seen = plan.observed.get(f"guard:{guard.id or guard.check}")
        said = f" {code(_text(seen), _ALL, words.language)}" if seen else ""
        lines.append(f"{_check(guard, words)}{said}")
    return sections(f"*{words('chat.plan.guards')}*\n" + "\n".join(lines))


def _resolved(value: str, words: Words) -> str:
    """Put words in the place of what only an earlier step finds: `user_name, as step resolve finds it`."""
    return _FROM_STEP.sub(
        lambda found: words.plain("chat.plan.from_step", 200, name=found["name"], step=found["step"]), value
    )


def _parsed(value: Json) -> Json:
    """Read a document that is kept as JSON text, so that it is shown with its lines."""
    if not isinstance(value, str) or not value.startswith(("{", "[")):
        return value
    try:
        document: Json = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return document


def _text(value: Json, indent: int | None = None) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=indent)
