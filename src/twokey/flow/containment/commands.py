"""What people ask of plans, and the engine: each request names its person, and every refusal is put on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from twokey.core.approvals import (
    Approval,
    ApprovalStatus,
    Showing,
    approval_status,
    require_role,
    require_waiting,
)
from twokey.core.errors import Json, Refused
from twokey.core.incidents import Incident
from twokey.core.notices import NoticeState
from twokey.core.people import ChatIdentity, Person, Roster, identify
from twokey.core.runbooks import Plan, PlanState, Runbook
from twokey.core.showings import require_showable
from twokey.core.sightings import Sighting
from twokey.flow import outbox
from twokey.flow.containment.approve import Confirmation, approve_plan, could_approve
from twokey.flow.containment.breakglass import (
    BreakGlass,
    confirm_run,
    remind_of_confirmation,
    run_on_one_approval,
)
from twokey.flow.containment.propose import end_plan, expire_plan, propose_plan
from twokey.flow.containment.showings import show_details, show_page
from twokey.flow.containment.suggestions import best_first
from twokey.flow.execution.decisions import decide_run
from twokey.flow.execution.journal import journal_of
from twokey.flow.lookup import incident_by_id, plan_by_id
from twokey.flow.planning.planner import Planner
from twokey.flow.plans import require_own_preview
from twokey.flow.refusals import on_record
from twokey.ports import Clock, Library, Rosters, StepUp, Store


@dataclass(frozen=True)
class Containment:
    """Run the third stage: it only reads clouds, and what is approved is owed to the executor."""

    store: Store
    clock: Clock
    rosters: Rosters
    library: Library
    planner: Planner
    step_up: StepUp

    def suggestions(self, incident_id: str) -> list[Runbook]:
        """Return the approved runbooks that fit an incident; refuse where nothing is ours to contain."""
        incident = self._open_incident(incident_id)
        if not incident.verdict.is_contained_by_us:
            raise Refused("refused.provider_side", incident=incident.id, label=incident.verdict.label.value)
        with self.store.read() as look:
            seen = look.find(Sighting, incident_id=incident.id, newest_first=True, limit=200)
        return best_first(self.library.approved(), incident, [one.signal for one in seen])

    def preview(
        self,
        incident_id: str,
        runbook_id: str,
        who: ChatIdentity,
        params: Mapping[str, Json] | None = None,
    ) -> Plan:
        """Make a plan to look at, from fresh reads; nothing is stored and nobody has confirmed anything."""
        with on_record(self, "preview.refused", who, incident_id=incident_id) as caller:
            incident = self._open_incident(incident_id)
            require_role(caller.person, incident.account)
            runbook = self.library.runbook(runbook_id)
            plan = self.planner.plan(runbook, incident, params or {})
            require_role(caller.person, plan.target.account)
            require_showable(plan)
            return replace(plan, requester=caller.person.id)

    def preview_undo(self, plan_id: str, who: ChatIdentity) -> Plan:
        """Make the plan that takes an earlier one back: a plan of its own, with its own two approvals."""
        with on_record(self, "preview.refused", who, plan_id=plan_id) as caller:
            plan = self.plan(plan_id)
            require_role(caller.person, plan.target.account)
            if plan.state not in (PlanState.DONE, PlanState.FAILED):
                raise Refused("refused.not_undoable", plan=plan.short, state=plan.state.value)
            with self.store.read() as look:
                journal = journal_of(look, plan.id)
            undo = self.planner.undo_plan(plan, journal)
            require_showable(undo)
            return replace(undo, requester=caller.person.id)

    def show(self, plan: Plan, who: ChatIdentity, *, view: str, page: int = 1) -> Showing:
        """Keep that a page of a preview, or of a plan that waits, is before somebody we know."""
        now = self.clock.now()
        with (
            on_record(self, _looking(plan), who, incident_id=plan.incident_id, plan_id=plan.id) as caller,
            self.store.change() as tx,
        ):
            return show_page(tx, plan, caller, view, page, now)

    def show_details(self, plan: Plan, who: ChatIdentity, *, view: str) -> Showing:
        """Keep that all steps and documents of a plan are before somebody we know."""
        now = self.clock.now()
        with (
            on_record(self, _looking(plan), who, incident_id=plan.incident_id, plan_id=plan.id) as caller,
            self.store.change() as tx,
        ):
            return show_details(tx, plan, caller, view, now)

    def propose(self, plan: Plan, who: ChatIdentity, *, reason: str = "", view: str = "") -> Plan:
        """Store a previewed plan and ask for its approvals; confirming the preview may be the first."""
        with on_record(self, "proposal.refused", who, incident_id=plan.incident_id) as caller:
            require_own_preview(plan, caller.person)
            now = self.clock.now()
            with self.store.change() as tx:
                return propose_plan(tx, plan, caller, reason, now, view=view)

    def review(self, plan_id: str, who: ChatIdentity) -> tuple[Plan, Person]:
        """Show a plan that waits for approvals to somebody we know; a button of one that is over is put on record."""
        with on_record(self, "review.refused", who, plan_id=plan_id) as caller:
            plan = self.plan(plan_id)
            require_waiting(plan, self.clock.now())
            return plan, caller.person

    def approve(
        self, plan_id: str, who: ChatIdentity, *, digest: str, typed: str, code: str, view: str = ""
    ) -> ApprovalStatus:
        """Approve exactly the plan that was shown; every refusal is put on record, and told."""
        given, now = Confirmation(digest, typed, code, view), self.clock.now()
        with (
            on_record(self, "approval.refused", who, plan_id=plan_id) as caller,
            self.store.change() as tx,
        ):
            return approve_plan(tx, self.step_up, plan_id, caller, given, now)

    def rejectable(self, plan_id: str, who: ChatIdentity) -> Plan:
        """Show a plan that a no can still stop to somebody we know; a no that comes too late is put on record."""
        with on_record(self, "refusal.refused", who, plan_id=plan_id):
            plan = self.plan(plan_id)
            if plan.state not in (PlanState.PROPOSED, PlanState.APPROVED):
                raise Refused(f"refused.plan_{plan.state.value}", plan=plan.short)
            return plan

    def reject(self, plan_id: str, who: ChatIdentity, reason: str) -> Plan:
        """Say no: one no ends the plan, until its first write is intended."""
        now = self.clock.now()
        with on_record(self, "refusal.refused", who, plan_id=plan_id) as caller:
            why = reason.strip()[:2000]
            if not why:
                raise Refused("refused.reason_missing")
            with self.store.change() as tx:
                return end_plan(tx, plan_id, caller, PlanState.REFUSED, why, now)

    def withdraw(self, plan_id: str, who: ChatIdentity) -> Plan:
        """Take one's own proposal back."""
        now = self.clock.now()
        with on_record(self, "withdrawal.refused", who, plan_id=plan_id) as caller:
            if self.plan(plan_id).requester != caller.person.id:
                raise Refused("refused.not_requester", person=caller.person.name)
            with self.store.change() as tx:
                return end_plan(tx, plan_id, caller, PlanState.WITHDRAWN, "", now)

    def expire(self, plan_id: str) -> None:
        """End a plan whose time is over; nobody having answered is not a yes."""
        now = self.clock.now()
        with self.store.change() as tx:
            expire_plan(tx, plan_id, now)

    def break_glass(
        self, plan: Plan, who: ChatIdentity, *, code: str, reason: str, typed: str, view: str = ""
    ) -> Plan:
        """Run a plan on one approval, where the runbook allows it: with code, reason, and every approver told."""
        given, now = BreakGlass(typed, code, reason, view), self.clock.now()
        with (
            on_record(self, "break_glass.refused", who, incident_id=plan.incident_id) as caller,
            self.store.change() as tx,
        ):
            return run_on_one_approval(tx, self.step_up, plan, caller, given, now)

    def confirm(self, plan_id: str, who: ChatIdentity) -> Plan:
        """Be the second person behind a plan that ran on one approval."""
        now = self.clock.now()
        with (
            on_record(self, "confirmation.refused", who, plan_id=plan_id) as caller,
            self.store.change() as tx,
        ):
            return confirm_run(tx, plan_id, caller, now)

    def remind_confirmation(self, plan_id: str) -> None:
        """Tell the thread that a run on one approval has not been confirmed in time."""
        with self.store.change() as tx:
            remind_of_confirmation(tx, plan_id)

    def decide(self, plan_id: str, who: ChatIdentity, decision: str) -> Plan:
        """Answer a run that stopped to ask: retry the step, skip it, or stop the run."""
        now = self.clock.now()
        with on_record(self, "decision.refused", who, plan_id=plan_id) as caller, self.store.change() as tx:
            return decide_run(tx, plan_id, caller, decision, now)

    def plan(self, plan_id: str) -> Plan:
        """Return a stored plan by its id."""
        with self.store.read() as look:
            return plan_by_id(look, plan_id)

    def approval_status(self, plan_id: str) -> ApprovalStatus:
        """Say who stands behind a plan, and what is missing."""
        with self.store.read() as look:
            plan = plan_by_id(look, plan_id)
            incident = incident_by_id(look, plan.incident_id)
            approvals = look.find(Approval, plan_id=plan.id)
        try:
            roster = self.rosters.current()
        except Refused:  # a card must be drawn all the same: it says that nobody may approve
            roster = Roster()
        return approval_status(plan, approvals, incident, roster)

    def may_approve(self, plan_id: str) -> tuple[str, ...]:
        """Return who could approve a plan now, by the roster as it is."""
        try:
            roster = self.rosters.current()
        except Refused:  # as above: nobody may
            return ()
        now = self.clock.now()
        with self.store.read() as look:
            plan = plan_by_id(look, plan_id)
            return tuple(person.id for person in roster.people if could_approve(look, plan, person, now))

    def file_state(self, plan_id: str) -> NoticeState | None:
        """Say how far the file with the whole plan is on its way."""
        with self.store.read() as look:
            return outbox.file_state(look, plan_id)

    def pending(self, who: ChatIdentity) -> list[Plan]:
        """Return the plans that this person could approve now."""
        person = identify(who, self.rosters.current())
        now = self.clock.now()
        with self.store.read() as look:
            waiting = look.find(Plan, state=PlanState.PROPOSED)
            return [plan for plan in waiting if could_approve(look, plan, person, now)]

    def _open_incident(self, incident_id: str) -> Incident:
        with self.store.read() as look:
            incident = incident_by_id(look, incident_id)
        if not incident.is_open:
            raise Refused("refused.incident_over", incident=incident.id, state=incident.state.value)
        return incident


def _looking(plan: Plan) -> str:
    """Name the refusal of somebody who looks at a plan: one that has no id is a preview."""
    return "review.refused" if plan.id else "preview.refused"
