"""`${{ }}` references of a runbook: plain paths only, and only to what exists by then."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from twokey.catalog.schema import Part, shown

# What an incident tells a runbook: the names of core.incidents.facts (a test compares the two).
INCIDENT_FACTS = frozenset(
    (
        "id",
        "account_id",
        "region",
        "access_key_id",
        "user_name",
        "buckets",
        "storage_account_id",
        "storage_account_name",
    )
)

# When it began is no fact that a parameter may be filled from: a person would then be able to give it.
_INCIDENT_REFERENCES = INCIDENT_FACTS | {"started"}

_ANY = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_PATH = re.compile(r"\s*([a-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_][A-Za-z0-9_\-]*)*)\s*")
_WHOLE = re.compile(r"\$\{\{\s*([^\s{}]+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class StepShape:
    """What a reference to a step may name."""

    outputs: frozenset[str]
    inputs: frozenset[str]
    action: str
    is_create: bool
    is_repeated: bool


@dataclass(frozen=True, slots=True)
class ReferenceScope:
    """What is known where a reference stands."""

    params: Mapping[str, str]  # name -> type
    steps: Mapping[str, StepShape] = field(default_factory=dict)  # those that have run by then
    later: frozenset[str] = frozenset()  # ids of steps that come later
    own: StepShape | None = None  # the step itself, once its result is known
    own_id: str = ""
    has_prior: bool = False  # in an undo: the state that was captured before the write
    has_item: bool = False
    step_references: bool = True

    def fixed(self) -> ReferenceScope:
        """Return the scope of what must be known when the plan is shown: no step has run by then."""
        return replace(self, step_references=False)


def whole(value: object) -> str:
    """Return the path of a text that is nothing but one reference, "" when it is anything else."""
    match = _WHOLE.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else ""


def check_references(part: Part, scope: ReferenceScope) -> None:
    """Note every reference in a value, however deep, that is not plain or names what is not there."""
    value = part.value
    if isinstance(value, dict):
        for name, item in value.items():
            if "${{" in name:
                part.at(name, item).fault("runbook.reference_misplaced")
            check_references(part.at(name, item), scope)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_references(part.at(index, item), scope)
    elif isinstance(value, str) and "${{" in value:
        if "${{" in _ANY.sub("", value):
            part.fault("runbook.reference_not_plain", reference=shown(value))
        for inside in _ANY.findall(value):
            match = _PATH.fullmatch(inside)
            if match:
                _check_path(part, match[1], scope)
            else:
                part.fault("runbook.reference_not_plain", reference=shown(inside.strip()))


def _check_path(part: Part, path: str, scope: ReferenceScope) -> None:
    root, _, rest = path.partition(".")
    if root == "params":
        if rest not in scope.params:
            part.unknown("runbook.reference_unknown_param", rest, scope.params)
    elif root == "incident":
        if rest not in _INCIDENT_REFERENCES:
            part.unknown("runbook.reference_unknown_fact", rest, _INCIDENT_REFERENCES)
    elif root == "item" and scope.has_item:
        return
    elif root == "steps":
        _check_step(part, path, scope)
    else:
        part.fault("runbook.reference_unknown", reference=shown(path))


def _check_step(part: Part, path: str, scope: ReferenceScope) -> None:
    names = path.split(".")
    if not scope.step_references:
        part.fault("runbook.reference_too_early", reference=shown(path))
        return
    if len(names) < 4 or names[2] not in ("outputs", "inputs", "prior"):
        part.fault("runbook.reference_unknown", reference=shown(path))
        return
    step_id, kind, name = names[1], names[2], names[3]
    own = step_id in ("self", scope.own_id)
    shape = scope.own if own else scope.steps.get(step_id)
    if shape is None:
        if own or step_id in scope.later:
            part.fault("runbook.reference_later", reference=shown(path), step=shown(step_id))
        else:
            part.unknown("runbook.reference_unknown_step", step_id, scope.steps)
    elif shape.is_repeated and step_id != "self":
        part.fault("runbook.reference_repeated", reference=shown(path), step=shown(step_id))
    elif kind == "prior":
        if not scope.has_prior:
            part.fault("runbook.reference_prior", reference=shown(path))
    elif name not in (shape.outputs if kind == "outputs" else shape.inputs):
        part.unknown("runbook.reference_unknown_output", name, shape.outputs | shape.inputs)
