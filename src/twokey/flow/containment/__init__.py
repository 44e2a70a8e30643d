"""Propose, ask, approve: how a plan gets its two keys. What a key is worth, core/approvals.py decides."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime

from twokey.core.approvals import (
    Approval,
    Standing,
    is_out_of_time,
    key_id,
    may_approve,
    may_propose,
    proposer_counts,
    role_for,
    standing,
    still_waiting,
)
from twokey.core.errors import Json, Later, Refused, message
from twokey.core.executions import has_written
from twokey.core.incidents import Incident
from twokey.core.people import ChatIdentity, Person, Roster, acting, identify, system
from twokey.core.runbooks import Plan, PlanState, Runbook
from twokey.core.sightings import Sighting
from twokey.flow import outbox
from twokey.flow.containment.breakglass import confirm_run, remind_of_confirmation, run_on_one_key
from twokey.flow.containment.keys import checked_code, turn_key
from twokey.flow.containment.suggestions import best_first
from twokey.flow.execution.decisions import decide_run
from twokey.flow.execution.journal import journal_of
from twokey.flow.lookup import incident_by_id, plan_by_id
from twokey.flow.planning.planner import Planner
from twokey.flow.plans import (
    as_proposed,
    asked_for,
    incident_for,
    is_own_preview,
    move,
    no_twin,
    owe_expiry,
    owe_run,
)
from twokey.flow.refusals import on_record
from twokey.ports import Clock, Library, Reading, Rosters, StepUp, Store


@dataclass(frozen=True)
class Containment:
    """Run the third stretch: it only reads clouds, and what is approved is owed to the executor."""

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
        with self._on_record("preview.refused", who, incident_id=incident_id):
            person = identify(who, self.rosters.current())
            incident = self._open_incident(incident_id)
            may_propose(person, incident.account)
            runbook = self.library.runbook(runbook_id)
            plan = self.planner.plan(runbook, incident, params or {})
            may_propose(person, plan.target.account)
            return replace(plan, requester=person.id)

    def preview_undo(self, plan_id: str, who: ChatIdentity) -> Plan:
        """Make the plan that takes an earlier one back: a plan of its own, with its own two keys."""
        with self._on_record("preview.refused", who, plan_id=plan_id):
            person = identify(who, self.rosters.current())
            plan = self.plan(plan_id)
            may_propose(person, plan.target.account)
            if plan.state not in (PlanState.DONE, PlanState.FAILED):
                raise Refused("refused.not_undoable", plan=plan.short, state=plan.state.value)
            with self.store.read() as look:
                journal = journal_of(look, plan.id)
            return replace(self.planner.undo_plan(plan, journal), requester=person.id)

    def propose(self, plan: Plan, who: ChatIdentity, *, reason: str = "") -> Plan:
        """Store a previewed plan and ask for its keys; confirming the preview may be the first."""
        with self._on_record("proposal.refused", who, incident_id=plan.incident_id):
            person = identify(who, self.rosters.current())
            is_own_preview(plan, person)
            return self._propose(plan, who, person, reason)

    def _propose(self, plan: Plan, who: ChatIdentity, person: Person, reason: str) -> Plan:
        now = self.clock.now()
        with self.store.change() as tx:
            incident = incident_for(tx, plan)
            no_twin(tx, plan, now)
            stored = as_proposed(tx, plan, person, now)
            tx.add(stored)
            entry = tx.append(
                acting(person, who.account),
                "proposed",
                incident_id=incident.id,
                plan_id=stored.id,
                data=asked_for(stored, reason),
            )
            if proposer_counts(stored):
                turn_key(tx, stored, person, who, role="proposer", now=now)
            owe_expiry(tx, stored)
            outbox.redraw_plan(tx, stored, now)
            said = message("containment.proposed", person=person.name, title=plan.title, plan=stored.short)
            outbox.tell_thread(tx, entry, said, plan_id=stored.id)
            outbox.redraw_card(tx, incident, now)
        return stored

    def review(self, plan_id: str, who: ChatIdentity) -> tuple[Plan, Person]:
        """Show a plan that waits for keys to somebody we know; a button of a plan that is over is put on record."""
        with self._on_record("review.refused", who, plan_id=plan_id):
            person = identify(who, self.rosters.current())
            plan = self.plan(plan_id)
            still_waiting(plan, self.clock.now())
            return plan, person

    def approve(self, plan_id: str, who: ChatIdentity, *, digest: str, typed: str, code: str) -> Standing:
        """Turn a key on exactly the plan that was shown; every refusal is put on record, and told."""
        with self._on_record("approval.refused", who, plan_id=plan_id):
            roster = self.rosters.current()
            person = identify(who, roster)
            return self._approve(plan_id, who, person, roster, digest=digest, typed=typed, code=code)

    def _approve(
        self,
        plan_id: str,
        who: ChatIdentity,
        person: Person,
        roster: Roster,
        *,
        digest: str,
        typed: str,
        code: str,
    ) -> Standing:
        now = self.clock.now()
        with self.store.change() as tx:
            plan = plan_by_id(tx, plan_id)
            incident = incident_by_id(tx, plan.incident_id)
            keys = tx.find(Approval, plan_id=plan.id)
            role = may_approve(plan, person, incident, keys, digest=digest, typed=typed, now=now)
            used = checked_code(tx, self.step_up, plan, person, code=code, now=now)
            keys.append(turn_key(tx, plan, person, who, role=role, now=now, used=used))
            stands = standing(plan, keys, incident, roster)
            count = {"keys": len(stands.keys), "needed": stands.needed}
            entry = tx.append(
                acting(person, who.account),
                "approved",
                incident_id=incident.id,
                plan_id=plan.id,
                data={"digest": plan.digest, "role": role, **count},
            )
            if stands.is_satisfied:
                plan = replace(plan, state=PlanState.APPROVED)
                tx.put(plan)
                owe_run(tx, plan)
            told = message("containment.approved", person=person.name, plan=plan.short, **count)
            outbox.tell_thread(tx, entry, told, plan_id=plan.id)
            outbox.redraw_plan(tx, plan, now)
        return stands

    def rejectable(self, plan_id: str, who: ChatIdentity) -> Plan:
        """Show a plan that a no can still stop to somebody we know; a no that comes too late is put on record."""
        with self._on_record("refusal.refused", who, plan_id=plan_id):
            identify(who, self.rosters.current())
            plan = self.plan(plan_id)
            if plan.state not in (PlanState.PROPOSED, PlanState.APPROVED):
                raise Refused(f"refused.plan_{plan.state.value}", plan=plan.short)
            return plan

    def reject(self, plan_id: str, who: ChatIdentity, reason: str) -> Plan:
        """Say no: one no ends the plan, until its first write is intended."""
        with self._on_record("refusal.refused", who, plan_id=plan_id):
            person = identify(who, self.rosters.current())
            if not reason.strip():
                raise Refused("refused.reason_missing")
            return self._end(plan_id, who, person, PlanState.REFUSED, reason.strip()[:2000])

    def withdraw(self, plan_id: str, who: ChatIdentity) -> Plan:
        """Take one's own proposal back."""
        with self._on_record("withdrawal.refused", who, plan_id=plan_id):
            person = identify(who, self.rosters.current())
            if self.plan(plan_id).requester != person.id:
                raise Refused("refused.not_requester", person=person.name)
            return self._end(plan_id, who, person, PlanState.WITHDRAWN, "")

    def _end(self, plan_id: str, who: ChatIdentity, person: Person, state: PlanState, reason: str) -> Plan:
        now = self.clock.now()
        with self.store.change() as tx:
            plan = plan_by_id(tx, plan_id)
            incident = incident_by_id(tx, plan.incident_id)
            on_its_way = plan.state in (PlanState.APPROVED, PlanState.RUNNING, PlanState.ASKING)
            if not on_its_way or has_written(plan, journal_of(tx, plan.id)):
                still_waiting(plan, now)
            if plan.requester != person.id and not role_for(person, plan, incident):
                raise Refused("refused.not_approver", person=person.name, scope=plan.target.account)
            said = message(f"containment.{state.value}", person=person.name, plan=plan.short, reason=reason)
            actor = acting(person, who.account)
            return move(tx, plan, state, actor, said, now=now, data={"reason": reason})

    def expire(self, plan_id: str) -> None:
        """End a plan whose time is over; nobody having answered is not a yes."""
        now = self.clock.now()
        with self.store.change() as tx:
            plan = tx.get(Plan, plan_id)
            if plan and plan.state is PlanState.PROPOSED and plan.expires_at and now < plan.expires_at:
                # Asked too early, by a clock that is ahead: the plan still has to end.
                raise Later((plan.expires_at - now).total_seconds(), plan=plan.short)
            if not plan or not is_out_of_time(plan, now):
                tx.append(system("engine"), "expiry.checked", plan_id=plan_id)
                return
            said = message("containment.expired", plan=plan.short)
            move(tx, plan, PlanState.EXPIRED, system("engine"), said, now=now)

    def break_glass(self, plan: Plan, who: ChatIdentity, *, code: str, reason: str, typed: str) -> Plan:
        """Run a plan on one key, where the runbook allows it: with code, reason, and every approver told."""
        with self._on_record("break_glass.refused", who, incident_id=plan.incident_id):
            roster = self.rosters.current()
            return run_on_one_key(
                self.store,
                self.step_up,
                roster,
                plan,
                who,
                identify(who, roster),
                typed=typed,
                code=code,
                reason=reason,
                now=self.clock.now(),
            )

    def confirm(self, plan_id: str, who: ChatIdentity) -> Plan:
        """Be the second person behind a plan that ran on one key."""
        with self._on_record("confirmation.refused", who, plan_id=plan_id):
            person = identify(who, self.rosters.current())
            return confirm_run(self.store, plan_id, who, person, self.clock.now())

    def remind_confirmation(self, plan_id: str) -> None:
        """Tell the thread that a run on one key has not been confirmed in time."""
        remind_of_confirmation(self.store, plan_id)

    def decide(self, plan_id: str, who: ChatIdentity, decision: str) -> Plan:
        """Answer a run that stopped to ask: retry the step, skip it, or stop the run."""
        with self._on_record("decision.refused", who, plan_id=plan_id):
            person = identify(who, self.rosters.current())
            return decide_run(self.store, plan_id, who, person, decision, now=self.clock.now())

    def plan(self, plan_id: str) -> Plan:
        """Return a stored plan by its id."""
        with self.store.read() as look:
            return plan_by_id(look, plan_id)

    def standing(self, plan_id: str) -> Standing:
        """Say who stands behind a plan, and what is missing."""
        with self.store.read() as look:
            plan = plan_by_id(look, plan_id)
            incident = incident_by_id(look, plan.incident_id)
            keys = look.find(Approval, plan_id=plan.id)
        try:
            roster = self.rosters.current()
        except Refused:  # a card must be drawn all the same: it says that nobody may turn a key
            roster = Roster()
        return standing(plan, keys, incident, roster)

    def pending(self, who: ChatIdentity) -> list[Plan]:
        """Return the plans on which this person could turn a key now."""
        person = identify(who, self.rosters.current())
        now = self.clock.now()
        with self.store.read() as look:
            waiting = look.find(Plan, state=PlanState.PROPOSED)
            return [plan for plan in waiting if _could_turn(look, plan, person, now)]

    def _open_incident(self, incident_id: str) -> Incident:
        with self.store.read() as look:
            incident = incident_by_id(look, incident_id)
        if not incident.is_open:
            raise Refused("refused.incident_over", incident=incident.id, state=incident.state.value)
        return incident

    def _on_record(
        self, action: str, who: ChatIdentity, *, incident_id: str = "", plan_id: str = ""
    ) -> AbstractContextManager[None]:
        return on_record(
            self.store, self.clock, self.rosters, who, action, incident_id=incident_id, plan_id=plan_id
        )


def _could_turn(look: Reading, plan: Plan, person: Person, now: datetime) -> bool:
    incident = look.get(Incident, plan.incident_id)
    if incident is None or is_out_of_time(plan, now) or not (incident.is_open or plan.undo_of):
        return False
    if plan.requester == person.id or not role_for(person, plan, incident):
        return False
    return look.get(Approval, key_id(plan.id, person.id)) is None
