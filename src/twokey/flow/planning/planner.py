"""Planning: a runbook, one incident and fresh reads of the cloud become a plan with a digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from twokey.core.errors import Json, Refused, Unavailable, message
from twokey.core.executions import StepRecord, step_scope, undoable
from twokey.core.incidents import Incident, began_at, facts
from twokey.core.runbooks import (
    ActionCall,
    CheckResult,
    Plan,
    PlanState,
    Preview,
    Runbook,
    Step,
    Target,
    as_strict_as,
    digest_of,
    highest,
    resolve,
)
from twokey.flow.planning.expand import expand_steps, filled_in
from twokey.flow.planning.parameters import Given, given_before, parameters
from twokey.ports import Action, Cloud


class _NotYet(Refused):
    """A guard says no, and may say yes in some minutes."""


@contextmanager
def _waiting() -> Iterator[None]:
    """Have a run wait for an answer that is not final: people agreed on another one, and it may come again."""
    try:
        yield
    except _NotYet as refusal:
        params = {**refusal.message.params, **refusal.message.nested}
        raise Unavailable(refusal.message.code, **params) from refusal


@dataclass(frozen=True)
class Planner:
    """Make plans; the same incident, parameters and cloud state give the same digest."""

    # That is how a difference between preview and run is seen.

    clouds: Mapping[str, Cloud]
    config: Mapping[str, Json]  # what a runbook may take `from: config.*`

    def plan(self, runbook: Runbook, incident: Incident, given: Mapping[str, Json]) -> Plan:
        """Render a runbook for an incident, ask every guard and preview every step (reads only)."""
        return self._made(runbook, incident, Given(given), began_at(incident).isoformat())

    def _made(self, runbook: Runbook, incident: Incident, given: Given, began: str) -> Plan:
        cloud = self.cloud(runbook.provider)
        if not incident.verdict.is_contained_by_us:
            raise Refused("refused.provider_side", incident=incident.id, label=incident.verdict.label.value)
        if incident.disputed:
            raise Refused("refused.disputed", incident=incident.id, why=incident.disputed)
        if incident.provider != runbook.provider:
            raise Refused(
                "refused.other_cloud", incident=incident.id, runbook=runbook.id, cloud=runbook.provider
            )
        says = {**facts(incident), "started": began}
        known: dict[str, Json] = {"incident": says, "config": dict(self.config)}
        made = parameters(runbook, given, known, cloud.parameter_types)
        params = dict(made.values)
        scope: dict[str, Json] = {"params": params, **known}
        # Whose roles and whose eyes it needs is decided by where it acts, which a parameter may say.
        named = next((params[name] for name in cloud.scope_parameters if params.get(name)), incident.account)
        target = Target(str(named), incident.region)
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
                steps=tuple(expand_steps(runbook, scope)),
                guards=tuple(filled_in(guard, scope) for guard in runbook.guards),
                approval=runbook.approval,
                observed={},
                touches=(),
                blast={},
                typed_target=_typed(runbook.approval.typed_confirmation, scope, target),
                break_glass_allowed=runbook.break_glass,
                warnings=made.warnings,
                provenance=made.provenance,
                began=began,
            ),
            runbook.blast_max,
        )

    def undo_plan(self, plan: Plan, journal: Mapping[str, StepRecord]) -> Plan:
        """Make the plan that takes a plan's effects back, and look at the cloud for it."""
        return self._observed(self.undo_steps(plan, journal), {})

    def undo_steps(self, plan: Plan, journal: Mapping[str, StepRecord]) -> Plan:
        """Return what takes a plan's effects back, last first, from what was kept before each; nothing is read."""
        scope: dict[str, Json] = {"steps": cast("Json", step_scope(journal))}
        done = undoable(plan, journal)
        if not done:
            raise Refused("refused.nothing_to_undo", plan=plan.short)
        steps = tuple(self._undo_step(plan, step, scope) for step in done)
        actions = self.cloud(plan.provider).actions
        # What opens a door again may be more than what closed it.
        risk = highest([plan.risk, *(actions[step.action].least_risk(step.inputs) for step in steps)])
        return replace(
            plan,
            id="",
            title=plan.title,
            steps=steps,
            risk=risk,
            approval=as_strict_as(risk, plan.approval),
            guards=(),
            observed={},
            touches=(),
            blast={},
            notes=(),
            warnings=(),
            why="",
            shown={},
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

    def observe_again(self, plan: Plan, runbook: Runbook, incident: Incident) -> Plan:
        """Make the same plan from the runbook and the cloud as they are now."""
        now = began_at(incident)
        began = plan.began if _may_be_kept(plan.began, now) else now.isoformat()
        with _waiting():
            fresh = self._made(runbook, incident, given_before(plan), began)
        if not (plan.provenance or plan.began):  # a version that knew neither made this plan and its digest
            fresh = replace(fresh, provenance={}, began="")
        return _as_warned(fresh, plan)

    def observe_undo_again(self, undo: Plan, undone: Plan, journal: Mapping[str, StepRecord]) -> Plan:
        """Make the same undo from the record of the run that it takes back, and the cloud as it is now."""
        return _as_warned(self.undo_plan(undone, journal), undo)

    def cloud(self, name: str) -> Cloud:
        """Return a configured cloud, or say that it is not."""
        if name not in self.clouds:
            raise Refused("refused.cloud_not_configured", cloud=name)
        return self.clouds[name]

    def ask_guards(self, plan: Plan) -> dict[str, Json]:
        """Ask every guard of a run and return what they saw; raise Refused with the first that does not hold."""
        with _waiting():
            return {name: dict(result.seen) for name, result in self._answers(plan).items()}

    def _answers(self, plan: Plan) -> dict[str, CheckResult]:
        checks = self.cloud(plan.provider).checks
        answers: dict[str, CheckResult] = {}
        for guard in plan.guards:
            result = checks[guard.check].holds(plan.target, guard.inputs)
            if not result.holds:
                why = result.reason or message("check.does_not_hold", check=guard.check)
                refusal = _NotYet if result.not_yet else Refused
                raise refusal("refused.guard", guard=guard.id or guard.check, why=why)
            answers[f"guard:{guard.id or guard.check}"] = result
        return answers

    def _observed(self, plan: Plan, blast_max: Mapping[str, int]) -> Plan:
        actions = self.cloud(plan.provider).actions
        answers = self._answers(plan)
        observed: dict[str, Json] = {name: dict(result.seen) for name, result in answers.items()}
        previews: dict[str, Preview] = {}
        for step in plan.steps:
            preview = actions[step.action].preview(plan.target, step.inputs)
            if preview.refusal:
                raise Refused(preview.refusal.code, **{**preview.refusal.params, "step": step.id})
            previews[step.id] = preview
            if preview.observed:
                observed[step.id] = dict(preview.observed)
        touches = tuple(dict.fromkeys(touch for one in previews.values() for touch in one.touches))
        blast = _blast(previews)
        for scope, limit in blast_max.items():
            touched = len({touch.id for touch in touches if touch.kind + "s" == scope})
            count = max(blast.get(scope, 0), touched)
            if count > limit:
                raise Refused("refused.blast_radius", scope=scope, count=count, limit=limit)
        notes = {str(note): note for preview in previews.values() for note in preview.notes}
        said = [one for result in answers.values() for one in result.warnings]
        said += [one for preview in previews.values() for one in preview.warnings]
        warned = {str(one): one for one in (*plan.warnings, *said)}
        made = replace(
            plan,
            observed=observed,
            touches=touches,
            blast=blast,
            notes=tuple(notes.values()),
            warnings=tuple(warned.values()),
            shown={name: dict(preview.shown) for name, preview in previews.items() if preview.shown},
        )
        return replace(made, digest=digest_of(made))

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


def _as_warned(fresh: Plan, shown: Plan) -> Plan:
    """Compare by what people were warned of when they agreed: whoever may add a lifecycle rule stops no plan."""
    warned = replace(fresh, warnings=shown.warnings)
    return replace(warned, digest=digest_of(warned))


def _may_be_kept(began: str, now: datetime) -> bool:
    """Say whether the beginning that people agreed to stands: a signal that came late may have moved it back.

    It never lies before what signals told: that would make marks that were there before count for nothing.
    """
    try:
        return datetime.fromisoformat(began) >= now
    except (ValueError, TypeError):  # none, or no moment
        return False


def _typed(template: str, scope: Mapping[str, Json], target: Target) -> str:
    if not template:
        return target.account
    last4 = template.startswith("last4:")
    text = str(resolve(template.removeprefix("last4:"), scope))
    return text[-4:] if last4 else text


def _blast(previews: Mapping[str, Preview]) -> dict[str, int]:
    """Add the counts over the items of one expanded step; take the largest over different steps."""
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
