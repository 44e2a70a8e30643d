"""What people ask of plans, and the engine: each request names its person, and every refusal is put on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from twokey.core.approvals import (
    Approval,
    ApprovalStatus,
    Showing,
    approval_status,
    require_role,
    require_waiting,
)
from twokey.core.errors import Json, NotFound, Refused
from twokey.core.executions import Decision, StepRecord
from twokey.core.incidents import Incident
from twokey.core.notices import NoticeState
from twokey.core.passkeys import SigningRequest
from twokey.core.people import ChatIdentity, Person, Roster, identify
from twokey.core.runbooks import Plan, PlanState, Runbook
from twokey.core.showings import require_showable
from twokey.core.sightings import Sighting
from twokey.flow import outbox
from twokey.flow.containment.approve import Confirmation, approve_plan, could_approve
from twokey.flow.containment.breakglass import (
    BreakGlass,
    confirm_run,
    confirmable,
    remind_of_confirmation,
    run_on_one_approval,
)
from twokey.flow.containment.enrolling import Enrolling
from twokey.flow.containment.propose import Proposal, end_plan, expire_plan, propose_plan
from twokey.flow.containment.showings import show_details, show_page
from twokey.flow.containment.signing import Signed, ask_to_sign, open_request, show_request, sign_plan
from twokey.flow.containment.skip import (
    Skipped,
    asked_of,
    confirm_skip,
    decide_run,
    decision_by_id,
    to_confirm,
    to_skip,
)
from twokey.flow.containment.stops import Stops
from twokey.flow.containment.suggestions import best_first
from twokey.flow.execution.undone import run_undone
from twokey.flow.lookup import incident_by_id, plan_by_id
from twokey.flow.planning.planner import Planner
from twokey.flow.plans import require_own_preview
from twokey.flow.refusals import on_record
from twokey.ports import Clock, Library, NoPasskeys, Passkeys, Rosters, StepUp, Store


@dataclass(frozen=True)
class Containment:
    """Run the third stage: it only reads clouds, and what is approved is owed to the executor."""

    store: Store
    clock: Clock
    rosters: Rosters
    library: Library
    planner: Planner
    step_up: StepUp
    passkeys: Passkeys = field(default_factory=NoPasskeys)

    @property
    def enrolling(self) -> Enrolling:
        """Return what takes in new passkeys."""
        return Enrolling(self.store, self.clock, self.rosters, self.passkeys)

    @property
    def stops(self) -> Stops:
        """Return what stops all acting at a place, and lets it go on."""
        clouds = self.planner.clouds.values()
        places = tuple(
            cloud.parameter_types[f"{cloud.name}.{name}"]
            for cloud in clouds
            for name in cloud.scope_parameters
        )
        return Stops(self.store, self.clock, self.rosters, self.step_up, places)

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
                undone, journal = run_undone(look, replace(plan, undo_of=plan.id))
            undo = self.planner.undo_plan(undone, journal)
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

    def propose(
        self, plan: Plan, who: ChatIdentity, *, reason: str = "", code: str = "", view: str = ""
    ) -> Plan:
        """Store a previewed plan and ask for its approvals; confirming the preview may be the first."""
        with on_record(self, "proposal.refused", who, incident_id=plan.incident_id) as caller:
            require_own_preview(plan, caller.person)
            now = self.clock.now()
            with self.store.change() as tx:
                return propose_plan(tx, self.step_up, plan, caller, Proposal(reason, code, view), now)

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
            return approve_plan(tx, self.planner, self.step_up, self.passkeys, plan_id, caller, given, now)

    def signing_link(self, plan_id: str, who: ChatIdentity) -> str:
        """Return the address at which this person can sign this plan, once and within minutes."""
        now = self.clock.now()
        with on_record(self, "signing.refused", who, plan_id=plan_id) as caller:
            self.passkeys.address("sign", "")  # no link is written where there is no page
            with self.store.change() as tx:
                token = ask_to_sign(tx, plan_id, caller, now)
        return self.passkeys.address("sign", token)

    def to_sign(self, token: str) -> tuple[SigningRequest, Plan, Person]:
        """Return what a link shows, the plan and whose passkeys may sign it, and keep that it was shown."""
        request, plan, who = self._linked(token)
        with on_record(self, _looking(plan), who, plan_id=plan.id) as caller, self.store.change() as tx:
            show_request(tx, request, plan, caller, self.clock.now())
            return request, plan, caller.person

    def sign(self, token: str, given: Signed) -> ApprovalStatus:
        """Approve with a signature exactly the plan of a link; every refusal of a link that is good is on record."""
        _, plan, who = self._linked(token)
        now = self.clock.now()
        with on_record(self, "approval.refused", who, plan_id=plan.id) as caller, self.store.change() as tx:
            return sign_plan(tx, self.planner, self.step_up, self.passkeys, token, caller, given, now)

    def _linked(self, token: str) -> tuple[SigningRequest, Plan, ChatIdentity]:
        with self.store.read() as look:
            request, plan = open_request(look, token, self.clock.now())
        if request.chat is None:
            raise Refused("refused.link_over")
        # Slack said who it is when the link was made, some minutes ago at most.
        return request, plan, ChatIdentity(request.chat)

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

    def confirmable(self, plan_id: str, who: ChatIdentity) -> tuple[Plan, list[StepRecord]]:
        """Show a run on one approval, with what came of it, to somebody who could confirm it now."""
        with (
            on_record(self, "confirmation.refused", who, plan_id=plan_id) as caller,
            self.store.read() as look,
        ):
            return confirmable(look, plan_id, caller)

    def confirm(self, plan_id: str, who: ChatIdentity, *, code: str) -> Plan:
        """Be the second person behind a plan that ran on one approval: with a code, having seen the outcome."""
        now = self.clock.now()
        with (
            on_record(self, "confirmation.refused", who, plan_id=plan_id) as caller,
            self.store.change() as tx,
        ):
            return confirm_run(tx, self.step_up, plan_id, caller, code, now)

    def remind_confirmation(self, plan_id: str) -> None:
        """Tell the thread that a run on one approval has not been confirmed in time."""
        with self.store.change() as tx:
            remind_of_confirmation(tx, plan_id)

    def decide(self, plan_id: str, who: ChatIdentity, decision: str, *, code: str = "") -> Plan:
        """Answer a run that stopped to ask: retry the step, skip it, or stop the run; a write is skipped by two."""
        now = self.clock.now()
        with on_record(self, "decision.refused", who, plan_id=plan_id) as caller, self.store.change() as tx:
            return decide_run(tx, self.step_up, plan_id, caller, decision, code, now)

    def confirm_decision(self, decision_id: str, who: ChatIdentity, *, code: str = "") -> Plan:
        """Be the second person behind a write that is passed over."""
        now = self.clock.now()
        with (
            on_record(self, "decision.refused", who, plan_id=self._decided_plan(decision_id)) as caller,
            self.store.change() as tx,
        ):
            return confirm_skip(tx, self.step_up, decision_id, caller, code, now)

    def skipping(self, plan_id: str, who: ChatIdentity) -> Skipped:
        """Show what would be passed over to somebody who may ask for it."""
        now = self.clock.now()
        with on_record(self, "decision.refused", who, plan_id=plan_id) as caller, self.store.read() as look:
            return to_skip(look, plan_id, caller, now)

    def confirming(self, decision_id: str, who: ChatIdentity) -> tuple[Skipped, Decision]:
        """Show what another asked to pass over to somebody who may confirm it."""
        now = self.clock.now()
        with (
            on_record(self, "decision.refused", who, plan_id=self._decided_plan(decision_id)) as caller,
            self.store.read() as look,
        ):
            return to_confirm(look, decision_id, caller, now)

    def asked(self, plan_id: str) -> list[Decision]:
        """Return what waits for a second person at the stop where a run stands."""
        try:
            roster = self.rosters.current()
        except Refused:  # a card must be drawn all the same
            roster = Roster()
        now = self.clock.now()
        with self.store.read() as look:
            return asked_of(look, plan_by_id(look, plan_id), roster, now)

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

    def _decided_plan(self, decision_id: str) -> str:
        try:
            with self.store.read() as look:
                return decision_by_id(look, decision_id).plan_id
        except NotFound:  # it is refused, and put on record, where the request is served
            return ""

    def _open_incident(self, incident_id: str) -> Incident:
        with self.store.read() as look:
            incident = incident_by_id(look, incident_id)
        if not incident.is_open:
            raise Refused("refused.incident_over", incident=incident.id, state=incident.state.value)
        return incident


def _looking(plan: Plan) -> str:
    """Name the refusal of somebody who looks at a plan: one that has no id is a preview."""
    return "review.refused" if plan.id else "preview.refused"
