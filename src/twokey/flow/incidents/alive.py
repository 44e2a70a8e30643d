"""Plans that are alive hold their incident: it is not taken from under them by somebody who may not end them."""

from __future__ import annotations

from datetime import datetime

from twokey.core.approvals import is_out_of_time, may_end
from twokey.core.errors import Refused
from twokey.core.incidents import Incident, State
from twokey.core.people import Person
from twokey.core.runbooks import Plan, PlanState
from twokey.flow.plans import LIVE
from twokey.ports import Snapshot

_ENDS = (State.RESOLVED, State.CLOSED, State.CANCELLED)


def require_plans_allow(
    look: Snapshot, before: Incident, after: Incident, person: Person, now: datetime
) -> None:
    """Refuse what would void a plan, or hide its run, unless this person may end it; nobody closes under a run.

    That is an end of the incident, and a verdict that makes it the provider's.
    """
    ends = after.state is not before.state and after.state in _ENDS
    leaves = before.verdict.is_contained_by_us and not after.verdict.is_contained_by_us
    if not ends and not leaves:
        return
    for plan in look.find(Plan, incident_id=before.id, state=LIVE):
        if is_out_of_time(plan, now):
            continue
        if not after.is_open and plan.state is not PlanState.PROPOSED:
            raise Refused("refused.plan_on_its_way", incident=before.id, plan=plan.short, title=plan.title)
        if not may_end(person, plan, before):
            raise Refused(
                "refused.plan_alive",
                incident=before.id,
                plan=plan.short,
                title=plan.title,
                person=person.name,
            )
