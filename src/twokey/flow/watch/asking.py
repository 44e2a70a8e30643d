"""Ask a cloud whether what a step did is still so, by reads only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from twokey.core.containments import Answer, built_upon
from twokey.core.errors import Json, TwokeyError, Unavailable, message
from twokey.core.executions import Found, StepRecord, step_scope
from twokey.core.runbooks import Plan, resolve
from twokey.flow.planning.planner import Planner


def ask_cloud(planner: Planner, plan: Plan, step_id: str, journal: Mapping[str, StepRecord]) -> Answer:
    """Return what a cloud says about one step of a plan that has run; what cannot be asked is neither yes nor no."""
    step = next((one for one in plan.writes if one.id == step_id), None)
    record = journal.get(step_id)
    try:
        cloud = planner.cloud(plan.provider)
        action = cloud.actions.get(step.action) if step else None
        if step is None or record is None or action is None:
            return Answer(None, message("watch.not_known", step=step_id), is_final=True)
        if step.verify and step.id not in built_upon(plan):
            scope: dict[str, Json] = {"steps": cast("Json", step_scope(journal))}
            inputs = cast("dict[str, Json]", resolve(cast("Json", dict(step.verify.inputs)), scope))
            check = cloud.checks.get(step.verify.check)
            if check is None:
                return Answer(None, message("watch.not_known", step=step_id), is_final=True)
            result = check.holds(plan.target, inputs)
            if not result.holds:
                reason = result.reason or message("check.does_not_hold", check=step.verify.check)
                return Answer(False, reason)
        # A check may ask less than was done: a policy of that name is there, but is it the one that was put?
        if action.find(plan.target, record.inputs, record.key).found is not Found.DONE:
            return Answer(False, message("watch.not_found", action=step.action))
    except Unavailable as fault:
        return Answer(None, fault.message)
    except TwokeyError as fault:
        return Answer(None, fault.message, is_final=True)
    return Answer(True)
