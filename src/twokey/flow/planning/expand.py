"""Expand a runbook: steps and checks with everything filled in that is known before a run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

from twokey.core.documents import render_document
from twokey.core.errors import Invalid, Json
from twokey.core.runbooks import CheckCall, Runbook, Step, resolve

_LATER = ("steps.",)


def expand_steps(runbook: Runbook, scope: Mapping[str, Json]) -> Iterator[Step]:
    """Return the steps that a plan has: without those that are not wanted, one for each item of a list."""
    for step in runbook.steps:
        if step.when and resolve(step.when, scope) in (False, None, "", "false"):
            continue
        if not step.for_each:
            yield _concrete(step, step.id, scope, runbook)
            continue
        items = resolve(step.for_each, scope)
        if not isinstance(items, list):
            raise Invalid("plan.for_each_not_list", step=step.id, runbook=runbook.id)
        for number, item in enumerate(items, start=1):
            yield _concrete(step, f"{step.id}[{number}]", {**scope, "item": item}, runbook)


def _concrete(step: Step, step_id: str, scope: Mapping[str, Json], runbook: Runbook) -> Step:
    inputs = _inputs(step.inputs, scope, step_id)
    if "template" in inputs:
        path = str(inputs.pop("template"))
        values = inputs.pop("values", {})
        if not isinstance(values, dict):
            raise Invalid("plan.values_not_mapping", step=step_id, runbook=runbook.id)
        inputs["document"] = render_document(runbook.documents[path], {k: str(v) for k, v in values.items()})
    return replace(
        step,
        id=step_id,
        inputs=inputs,
        when="",
        for_each="",
        pre=tuple(filled_in(check, scope, step_id) for check in step.pre),
        verify=filled_in(step.verify, scope, step_id) if step.verify else None,
        undo=replace(step.undo, inputs=_inputs(step.undo.inputs, scope, step_id)) if step.undo else None,
    )


def filled_in(check: CheckCall, scope: Mapping[str, Json], step_id: str = "") -> CheckCall:
    """Return a check with its inputs filled in, except for what only earlier steps will know."""
    return replace(check, inputs=_inputs(check.inputs, scope, step_id))


def _inputs(inputs: Mapping[str, Json], scope: Mapping[str, Json], step_id: str) -> dict[str, Json]:
    """Fill inputs in; `steps.self.` means the step itself, whose id an expanded step only now has."""

    def own(item: Json) -> Json:
        if isinstance(item, str):
            return re.sub(r"(\$\{\{\s*)steps\.self\.", rf"\g<1>steps.{step_id}.", item)
        if isinstance(item, list):
            return [own(part) for part in item]
        if isinstance(item, dict):
            return {key: own(part) for key, part in item.items()}
        return item

    return cast("dict[str, Json]", own(resolve(cast("Json", dict(inputs)), scope, later=_LATER)))
