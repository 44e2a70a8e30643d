"""Planning: a runbook, one incident and fresh reads of the cloud become a plan with a digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

from twokey.core.documents import render_document
from twokey.core.errors import Invalid, Json, Message, Refused, message
from twokey.core.executions import StepRecord, step_scope, undoable
from twokey.core.incidents import Incident, facts
from twokey.core.runbooks import (
    ActionCall,
    CheckCall,
    Plan,
    PlanState,
    Preview,
    Runbook,
    Step,
    Target,
    Touch,
    digest_of,
    resolve,
)
from twokey.ports import Action, Cloud

_LATER = ("steps.",)


@dataclass(frozen=True)
class Planner:
    """Makes plans. The same incident, parameters and cloud state give the same digest: that is how a
    difference between preview and run is seen."""

    clouds: Mapping[str, Cloud]
    config: Mapping[str, Json]  # what a runbook may take `from: config.*`

    def plan(self, runbook: Runbook, incident: Incident, given: Mapping[str, Json]) -> Plan:
        """Render a runbook for an incident, ask every guard and preview every step (reads only)."""
        cloud = self.cloud(runbook.provider)
        if not incident.verdict.is_contained_by_us:
            raise Refused("refused.provider_side", incident=incident.id, label=incident.verdict.label.value)
        if incident.provider != runbook.provider:
            raise Refused(
                "refused.other_cloud", incident=incident.id, runbook=runbook.id, cloud=runbook.provider
            )
        params = self._params(runbook, incident, given, cloud)
        scope: dict[str, Json] = {
            "params": params,
            "incident": facts(incident),
            "config": dict(self.config),
        }
        steps = tuple(_unfold(runbook, scope))
        guards = tuple(_check(guard, scope) for guard in runbook.guards)
        # Whose roles and whose eyes it needs is decided by where it acts, which a parameter may say.
        named = params.get("account_id") or params.get("subscription_id")
        target = Target(str(named or incident.account), incident.region)
        return self._observed(
            Plan(
                id="",
                incident_id=incident.id,
                runbook_id=runbook.id,
                runbook_version=runbook.version,
                runbook_digest=runbook.digest,
                title=runbook.title,
                provider=runbook.provider,
                target=target,
                risk=runbook.risk,
                reversible=runbook.reversible,
                params=params,
                steps=steps,
                guards=guards,
                approval=runbook.approval,
                observed={},
                touches=(),
                blast={},
                typed_target=_typed(runbook.approval.typed_confirmation, scope, target),
                break_glass_allowed=runbook.break_glass,
            ),
            runbook.blast_max,
        )

    def undo_plan(self, plan: Plan, journal: Mapping[str, StepRecord]) -> Plan:
        """Make the plan that takes a plan's effects back, last first, from what was kept before each."""
        scope: dict[str, Json] = {"steps": cast("Json", step_scope(journal))}
        done = undoable(plan, journal)
        if not done:
            raise Refused("refused.nothing_to_undo", plan=plan.short)
        steps = tuple(self._undo_step(plan, step, scope) for step in done)
        undo = replace(
            plan,
            id="",
            title=plan.title,
            steps=steps,
            guards=(),
            observed={},
            touches=(),
            blast={},
            notes=(),
            digest="",
            undo_of=plan.id,
            break_glass_allowed=False,
            break_glass_by="",
            break_glass_reason="",
            confirm_by=None,
            confirmed_by="",
            reason=None,
            state=PlanState.PROPOSED,
        )
        return self._observed(undo, {})

    def observe_again(self, plan: Plan, runbook: Runbook, incident: Incident) -> Plan:
        """Make the same plan from the runbook and the cloud as they are now."""
        return self.plan(runbook, incident, plan.params)

    def observe_undo_again(self, plan: Plan) -> Plan:
        """Look at the cloud again for an undo, whose steps are fixed by the journal it came from."""
        return self._observed(replace(plan, observed={}, touches=(), blast={}, notes=()), {})

    def cloud(self, name: str) -> Cloud:
        """Return a configured cloud, or say that it is not."""
        if name not in self.clouds:
            raise Refused("refused.cloud_not_configured", cloud=name)
        return self.clouds[name]

    def ask_guards(self, plan: Plan) -> dict[str, Json]:
        """Ask every guard; raise Refused with the first that does not hold. Returns what they saw."""
        checks = self.cloud(plan.provider).checks
        seen: dict[str, Json] = {}
        for guard in plan.guards:
            result = checks[guard.check].holds(plan.target, guard.inputs)
            if not result.holds:
                why = result.reason or message("check.does_not_hold", check=guard.check)
                raise Refused("refused.guard", guard=guard.id or guard.check, why=why)
            seen[f"guard:{guard.id or guard.check}"] = dict(result.seen)
        return seen

    def _observed(self, plan: Plan, blast_max: Mapping[str, int]) -> Plan:
        actions = self.cloud(plan.provider).actions
        observed = self.ask_guards(plan)
        previews: dict[str, Preview] = {}
        for step in plan.steps:
            preview = actions[step.action].preview(plan.target, step.inputs)
            if preview.refusal:
                raise Refused(preview.refusal.code, **{**preview.refusal.params, "step": step.id})
            previews[step.id] = preview
            if preview.observed:
                observed[step.id] = dict(preview.observed)
        touches = _distinct(touch for preview in previews.values() for touch in preview.touches)
        blast = _blast(previews)
        _within(blast, touches, blast_max)
        notes: list[Message] = [note for preview in previews.values() for note in preview.notes]
        made = replace(plan, observed=observed, touches=touches, blast=blast, notes=_once(notes))
        return replace(made, digest=digest_of(made))

    def _params(
        self, runbook: Runbook, incident: Incident, given: Mapping[str, Json], cloud: Cloud
    ) -> dict[str, Json]:
        known = {param.name for param in runbook.params}
        for name in given:
            if name not in known:
                raise Invalid(
                    "plan.unknown_param", param=name, runbook=runbook.id, known=", ".join(sorted(known))
                )
        sources: dict[str, Json] = {"incident": facts(incident), "config": dict(self.config)}
        params: dict[str, Json] = {}
        for param in runbook.params:
            value = given.get(param.name)
            if value in (None, "") and param.source:
                value = _from(param.source, sources)
            if value in (None, ""):
                value = param.default
            if value in (None, "", []):
                if param.required:
                    raise Refused(
                        "refused.param_missing",
                        param=param.name,
                        runbook=runbook.id,
                        source=param.source or "-",
                    )
                params[param.name] = None
                continue
            params[param.name] = typed_value(value, param.type, cloud.parameter_types, param.name)
        return params

    def _undo_step(self, plan: Plan, step: Step, scope: Mapping[str, Json]) -> Step:
        call = cast(ActionCall, step.undo)
        action: Action = self.cloud(plan.provider).actions[call.action]
        inputs = cast("dict[str, Json]", resolve(cast("Json", dict(call.inputs)), scope))
        return Step(
            id=f"undo-{step.id}",
            phase="contain",
            action=call.action,
            effect=action.effect,
            inputs=inputs,
            irreversible="an undo is taken back by running the runbook again",
            retry=step.retry,
            timeout_s=step.timeout_s,
        )


def typed_value(value: Json, type_name: str, types: Mapping[str, str], name: str) -> Json:
    """Return a parameter's value checked against its type; a list type is the plural of its item's."""
    if type_name == "bool":
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
        raise Invalid("plan.param_type", param=name, type=type_name, value=str(value)[:80])
    single = type_name.removesuffix("s")
    if type_name not in types and type_name != single and (single in types or single == "text"):
        items = value if isinstance(value, list) else [part.strip() for part in str(value).split(",")]
        return [typed_value(item, single, types, name) for item in items if item != ""]
    pattern = types.get(type_name, r"[^\x00-\x1f]{1,1000}" if type_name == "text" else "")
    if not isinstance(value, str) or not pattern or not re.fullmatch(pattern, value):
        raise Invalid("plan.param_type", param=name, type=type_name, value=str(value)[:80])
    return value


def new_plan_id(plan: Plan, salt: str) -> str:
    """Name a stored plan: opaque, so that nothing can be read from a button, and unguessable by its salt."""
    return "plan-" + hashlib.sha256(f"{plan.digest}:{salt}".encode()).hexdigest()[:20]


def _unfold(runbook: Runbook, scope: Mapping[str, Json]) -> Iterator[Step]:
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
    inputs = _own(step_id, resolve(cast("Json", dict(step.inputs)), scope, later=_LATER))
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
        pre=tuple(_check(check, scope, step_id) for check in step.pre),
        verify=_check(step.verify, scope, step_id) if step.verify else None,
        undo=_undo(step.undo, scope, step_id) if step.undo else None,
    )


def _check(check: CheckCall, scope: Mapping[str, Json], step_id: str = "") -> CheckCall:
    return replace(
        check, inputs=_own(step_id, resolve(cast("Json", dict(check.inputs)), scope, later=_LATER))
    )


def _undo(call: ActionCall, scope: Mapping[str, Json], step_id: str) -> ActionCall:
    return replace(call, inputs=_own(step_id, resolve(cast("Json", dict(call.inputs)), scope, later=_LATER)))


def _own(step_id: str, value: Json) -> dict[str, Json]:
    """Let `steps.self.` mean the step itself, whose id an unfolded step only now has."""

    def named(item: Json) -> Json:
        if isinstance(item, str):
            return re.sub(r"(\$\{\{\s*)steps\.self\.", rf"\g<1>steps.{step_id}.", item)
        if isinstance(item, list):
            return [named(part) for part in item]
        if isinstance(item, dict):
            return {key: named(part) for key, part in item.items()}
        return item

    return cast("dict[str, Json]", named(value))


def _from(source: str, sources: Mapping[str, Json]) -> Json:
    found: Json = dict(sources)
    for part in source.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _typed(template: str, scope: Mapping[str, Json], target: Target) -> str:
    if not template:
        return target.account
    last4 = template.startswith("last4:")
    text = str(resolve(template.removeprefix("last4:"), scope))
    return text[-4:] if last4 else text


def _distinct(touches: Iterable[Touch]) -> tuple[Touch, ...]:
    return tuple(dict.fromkeys(touches))


def _blast(previews: Mapping[str, Preview]) -> dict[str, int]:
    """Add the counts over the items of one unfolded step; take the largest over different steps."""
    blast: dict[str, int] = {}
    by_template: dict[str, dict[str, int]] = {}
    for step_id, preview in previews.items():
        sums = by_template.setdefault(step_id.partition("[")[0], {})
        for scope, count in preview.counts.items():
            sums[scope] = sums.get(scope, 0) + count
    for sums in by_template.values():
        for scope, count in sums.items():
            blast[scope] = max(blast.get(scope, 0), count)
    return blast


def _within(blast: Mapping[str, int], touches: tuple[Touch, ...], limits: Mapping[str, int]) -> None:
    for scope, limit in limits.items():
        touched = len({t.id for t in touches if t.kind + "s" == scope})
        count = max(blast.get(scope, 0), touched)
        if count > limit:
            raise Refused("refused.blast_radius", scope=scope, count=count, limit=limit)


def _once(notes: Iterable[Message]) -> tuple[Message, ...]:
    return tuple({str(note): note for note in notes}.values())
