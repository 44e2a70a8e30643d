"""Read a runbook's steps: closed names, right order, and no write that cannot be seen or undone."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from twokey.catalog.references import ReferenceScope, StepShape, check_references, whole
from twokey.catalog.runbook_calls import CallReader, refuse_open_attach
from twokey.catalog.schema import Part, shown
from twokey.core.runbooks import ActionCall, Effect, OnFailure, Retry, Step

PHASES = ("evidence", "contain", "verify")
RETRY_ON = ("throttle", "concurrent_modification", "unavailable")
STEP_ID = r"[a-z][a-z0-9_]{0,63}"

_STEP = "id phase action effect"
_STEP_OPTIONAL = (
    "with outputs when for_each needs pre verify undo irreversible reason idempotency retry timeout"
    " on_failure"
)
_IDEMPOTENCY = "find_by adopt_if_empty require_equal already_done_error"


@dataclass(frozen=True)
class StepReader:
    """Reads the steps in their order: a step may refer to those before it, and to itself once it has run."""

    calls: CallReader
    scope: ReferenceScope

    def steps(self, part: Part) -> tuple[Step, ...]:
        """Return the steps; note what is wrong with each, and with their order."""
        items = part.items()
        if not items and isinstance(part.value, list):
            part.fault("schema.empty")
        ids = [item.value.get("id") if isinstance(item.value, dict) else None for item in items]
        steps, phase, seen = list[Step](), 0, dict[str, StepShape]()
        for index, item in enumerate(items):
            later = frozenset(i for i in ids[index + 1 :] if isinstance(i, str))
            step = self.step(item, replace(self.scope, steps=dict(seen), later=later))
            if step.id in seen:
                item.at("id", step.id).fault("runbook.duplicate_id", id=shown(step.id))
            order = PHASES.index(step.phase)
            if order < phase:
                item.at("phase", "").fault("runbook.phase_order", phase=step.phase, after=PHASES[phase])
            phase = max(phase, order)
            seen[step.id] = _shape(step)
            steps.append(step)
        return tuple(steps)

    def step(self, part: Part, scope: ReferenceScope) -> Step:
        """Return one step."""
        found = part.fields(_STEP, _STEP_OPTIONAL)
        own_id = found["id"].text(STEP_ID) if "id" in found else ""
        scope = replace(scope, has_item="for_each" in found, own_id=own_id)
        action = self.calls.action(found.get("action"))
        step = Step(
            id=own_id,
            phase=found["phase"].choice(*PHASES) if "phase" in found else PHASES[0],
            action=action,
            effect=self.effect(found.get("effect"), action),
            inputs=self.calls.action_inputs(found, part, action, scope),
            outputs=self.outputs(found.get("outputs"), action),
            when=_plain(found.get("when"), scope),
            for_each=_plain(found.get("for_each"), scope),
            needs=_needs(found.get("needs"), scope),
        )
        if step.id == "self":
            found["id"].fault("schema.not_matching", value="self", pattern=STEP_ID)
        refuse_open_attach(part, step.action, step.inputs, scope)
        step = self.with_checks(step, found, scope)
        _require_verify_and_undo(part, found, step)
        for item in (
            found["idempotency"].fields(optional=_IDEMPOTENCY).values() if "idempotency" in found else ()
        ):
            item.text()  # says how the action recognises a repeat; the action itself sees to it
        return step

    def with_checks(self, step: Step, found: dict[str, Part], scope: ReferenceScope) -> Step:
        """Return the step with what holds before and after it, and what happens when that fails."""
        after = replace(scope, own=_shape(step))
        pre = found["pre"].items() if "pre" in found else []
        step = replace(
            step,
            pre=tuple(self.calls.check(item, scope) for item in pre),
            verify=self.calls.check(found["verify"], after) if "verify" in found else None,
            undo=self.undo(found["undo"], replace(after, has_prior=True)) if "undo" in found else None,
            irreversible=_irreversible(found.get("irreversible"), found.get("reason")),
        )
        if "retry" in found:
            retry = found["retry"].fields("max_attempts", "backoff retry_on")
            attempts = retry["max_attempts"].integer(1, 10) if "max_attempts" in retry else 1
            backoff = retry["backoff"].duration(600.0) if "backoff" in retry else 2.0
            kinds = retry["retry_on"].items() if "retry_on" in retry else []
            step = replace(
                step, retry=Retry(attempts, backoff, tuple(kind.choice(*RETRY_ON) for kind in kinds))
            )
        return replace(
            step,
            timeout_s=found["timeout"].duration(4 * 3600.0) if "timeout" in found else step.timeout_s,
            on_failure=found["on_failure"].one_of(OnFailure) if "on_failure" in found else step.on_failure,
        )

    def effect(self, part: Part | None, action: str) -> Effect:
        """Return the action's own effect, which is the one that must be declared."""
        own = self.calls.registry.actions[action].effect if action else Effect.DELETE
        if part is not None:
            declared = part.one_of(Effect)
            if action and declared is not own and part.value == declared.value:
                part.fault("runbook.effect_differs", declared=declared.value, own=own.value, action=action)
        return own

    def outputs(self, part: Part | None, action: str) -> dict[str, str]:
        """Return the names under which later steps find the action's results."""
        known = self.calls.registry.actions[action].outputs if action else ()
        out: dict[str, str] = {}
        for name, item in part.entries() if part else []:
            if not re.fullmatch(STEP_ID, name):
                item.fault("schema.not_matching", value=shown(name), pattern=STEP_ID)
            key = item.text()
            if key and action and key not in known:
                item.unknown("runbook.output_unknown", key, known)
            out[name] = key
        return out

    def undo(self, part: Part, scope: ReferenceScope) -> ActionCall:
        """Return the call that takes a step back, from what was captured before it."""
        found = part.fields("action", "with requires")
        if "requires" in found:  # an undo is a plan with its own keys, whether this is written here or not
            found["requires"].choice("approval", "separate_approval")
        action = self.calls.action(found.get("action"))
        if action and not self.calls.registry.actions[action].effect.is_write:
            found["action"].fault("runbook.undo_reads", action=action)
        inputs = self.calls.action_inputs(found, part, action, scope)
        refuse_open_attach(part, action, inputs, scope)
        return ActionCall(action, inputs)


def _require_verify_and_undo(part: Part, found: dict[str, Part], step: Step) -> None:
    """Note a write without undo or reason, or that nobody verifies; and a read that claims an effect."""
    if not step.action:
        return
    if not step.effect.is_write:
        for name in ("undo", "irreversible"):
            if name in found:
                found[name].fault("runbook.read_with_undo", step=shown(step.id))
        return
    if step.phase == "verify":
        found["phase"].fault("runbook.write_in_verify", step=shown(step.id))
    if "undo" in found and step.irreversible:
        found["irreversible"].fault("runbook.undo_and_irreversible", step=shown(step.id))
    if "undo" not in found and not step.irreversible:
        part.fault("runbook.no_undo", step=shown(step.id))
    if "verify" not in found:
        part.fault("runbook.no_verify", step=shown(step.id))


def _shape(step: Step) -> StepShape:
    inputs = set(step.inputs)
    if "template" in inputs:  # a plan holds the document itself
        inputs = inputs - {"template", "values"} | {"document"}
    return StepShape(
        outputs=frozenset(step.outputs),
        inputs=frozenset(inputs),
        action=step.action,
        is_create=step.effect is Effect.CREATE,
        is_repeated=bool(step.for_each),
    )


def _plain(part: Part | None, scope: ReferenceScope) -> str:
    """Return a `when` or `for_each`: one plain reference to something known when the plan is shown."""
    if part is None:
        return ""
    text = part.text()
    if text and not whole(text):
        part.fault("runbook.condition_not_plain", value=shown(text))
        return ""
    check_references(part, replace(scope.fixed(), has_item=False))
    return text


def _needs(part: Part | None, scope: ReferenceScope) -> tuple[str, ...]:
    """Return the earlier steps without whose effect a step must not run."""
    named = list[str]()
    for item in part.items() if part else ():
        step_id = item.text(STEP_ID)
        if step_id and step_id not in scope.steps:
            if step_id == scope.own_id or step_id in scope.later:
                item.fault("runbook.reference_later", reference=shown(step_id), step=shown(step_id))
            else:
                item.unknown("runbook.reference_unknown_step", step_id, scope.steps)
        named.append(step_id)
    return tuple(named)


def _irreversible(part: Part | None, reason: Part | None) -> str:
    """Return the reason why a step cannot be taken back: the text itself, or `true` beside a `reason`."""
    if reason is not None and (part is None or part.value != "true"):
        reason.fault("runbook.reason_alone")
    if part is None:
        return ""
    if part.value == "true":
        if reason is None:
            part.fault("runbook.irreversible_no_reason")
            return "-"
        return reason.text()
    text = part.text()
    if len(text) < 10:
        part.fault("runbook.irreversible_no_reason")
    return text
