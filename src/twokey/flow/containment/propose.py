"""Propose a plan: store a preview and ask for its approvals; end it without a run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from twokey.core.approvals import is_out_of_time, may_end, needs_signature, proposer_counts, require_waiting
from twokey.core.errors import Refused, RetryAfter, message
from twokey.core.executions import has_written
from twokey.core.people import system
from twokey.core.runbooks import Plan, PlanState
from twokey.flow import outbox
from twokey.flow.containment.approvals import add_approval, use_required_code
from twokey.flow.containment.showings import showing_data, showing_of
from twokey.flow.execution.journal import journal_of
from twokey.flow.execution.outcomes import end_unanswered
from twokey.flow.lookup import incident_by_id, plan_by_id
from twokey.flow.plans import as_proposed, incident_for, move, owe_expiry, proposal_data, require_no_duplicate
from twokey.flow.refusals import Caller
from twokey.ports import StepUp, Transaction


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a proposer gives beside the preview: why, a code where the plan asks for one, and the view it was in."""

    reason: str
    code: str
    view: str = ""


def propose_plan(
    tx: Transaction, step_up: StepUp, plan: Plan, caller: Caller, given: Proposal, now: datetime
) -> Plan:
    """Store a preview and ask for its approvals; confirming the preview may be the first of them.

    Who gives no code where one is asked for proposes, and is none of the people that the plan needs.
    """
    incident = incident_for(tx, plan)
    require_no_duplicate(tx, plan, now)
    showing = showing_of(tx, plan, caller.person, given.view)
    stored = replace(as_proposed(tx, plan, caller.person, now), why=given.reason.strip()[:2000])
    is_key = proposer_counts(stored) and not needs_signature(stored)
    is_key = is_key and (bool(given.code) or not stored.proposer_code)
    second = (
        use_required_code(tx, step_up, stored, caller.person, code=given.code, now=now) if is_key else None
    )
    tx.add(stored)
    entry = tx.append(
        caller.actor,
        "proposed",
        incident_id=incident.id,
        plan_id=stored.id,
        data={
            **proposal_data(stored, given.reason, caller.roster, is_key=is_key),
            **showing_data(showing),
        },
    )
    if is_key:
        add_approval(tx, stored, caller, role="proposer", now=now, given=second, showing=showing)
    owe_expiry(tx, stored)
    outbox.redraw_plan(tx, stored, now)
    outbox.send_file(tx, stored, now)
    proposed = message("containment.proposed", person=caller.person.name, title=plan.title, plan=stored.short)
    outbox.tell_thread(tx, entry, proposed, plan_id=stored.id)
    outbox.redraw_card(tx, incident, now)
    return stored


def end_plan(
    tx: Transaction, plan_id: str, caller: Caller, state: PlanState, reason: str, now: datetime
) -> Plan:
    """Reject or withdraw a plan: one no ends it, until its first write is intended."""
    person, plan = caller.person, plan_by_id(tx, plan_id)
    incident = incident_by_id(tx, plan.incident_id)
    is_on_its_way = plan.state in (PlanState.APPROVED, PlanState.RUNNING, PlanState.ASKING)
    if not is_on_its_way or has_written(plan, journal_of(tx, plan.id)):
        require_waiting(plan, now)
    if not may_end(person, plan, incident):
        raise Refused("refused.not_approver", person=person.name, scope=plan.target.account)
    why = message(f"containment.{state.value}", person=person.name, plan=plan.short, reason=reason)
    ended = replace(plan, state=state, reason=why)
    move(tx, ended, caller.actor, state.value, why, now=now, data={"reason": reason})
    return ended


def expire_plan(tx: Transaction, plan_id: str, now: datetime) -> None:
    """End a plan whose time is over; nobody having answered is not a yes."""
    plan, engine = tx.get(Plan, plan_id), system("engine")
    if plan and plan.state is PlanState.PROPOSED and plan.expires_at and now < plan.expires_at:
        # Asked too early, by a clock that is ahead: the plan still has to end.
        raise RetryAfter((plan.expires_at - now).total_seconds(), plan=plan.short)
    if plan and plan.state is PlanState.ASKING:
        end_unanswered(tx, plan, now)
        return
    if not plan or not is_out_of_time(plan, now):
        tx.append(engine, "expiry.checked", plan_id=plan_id)
        return
    why = message("containment.expired", plan=plan.short)
    move(tx, replace(plan, state=PlanState.EXPIRED, reason=why), engine, "expired", why, now=now)
