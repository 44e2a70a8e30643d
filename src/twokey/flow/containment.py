"""Propose, ask, approve: how a plan gets its two keys. What a key is worth, core/approvals.py decides."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twokey.core.approvals import (
    CONFIRM_WITHIN_S,
    Approval,
    Standing,
    StepUpUse,
    expires_after_s,
    is_for,
    is_out_of_time,
    is_typed,
    key_id,
    may_approve,
    may_break_glass,
    may_confirm,
    may_propose,
    proposer_counts,
    role_for,
    standing,
    still_waiting,
)
from twokey.core.errors import AlreadyThere, Json, Later, Message, NotFound, Refused, message
from twokey.core.executions import Execution, StepRecord, StepState, has_written, next_step, record_id
from twokey.core.incidents import Incident, Sighting
from twokey.core.jobs import Job, JobKind
from twokey.core.people import Actor, ChatIdentity, Person, Role, Roster, acting, identify, system
from twokey.core.runbooks import Plan, PlanState, Runbook, Step, digest_of
from twokey.flow import outbox
from twokey.flow.planning import Planner, new_plan_id
from twokey.flow.refusals import may_try_codes, on_record
from twokey.flow.response import canonical_id, found
from twokey.flow.suggestions import best_first
from twokey.ports import Clock, Library, Reading, Rosters, StepUp, Store, Transaction


@dataclass(frozen=True)
class Containment:
    """The third stretch: it only reads clouds; what is approved is owed to the executor."""

    store: Store
    clock: Clock
    rosters: Rosters
    library: Library
    planner: Planner
    step_up: StepUp

    def suggestions(self, incident_id: str) -> list[Runbook]:
        """Return the approved runbooks that fit an incident; refuse where nothing is ours to contain."""
        incident = self._incident(incident_id)
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
            incident = self._incident(incident_id)
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
                journal = _journal(look, plan)
            return replace(self.planner.undo_plan(plan, journal), requester=person.id)

    def propose(self, plan: Plan, who: ChatIdentity, *, reason: str = "") -> Plan:
        """Store a previewed plan and ask for its keys; confirming the preview may be the first."""
        with self._on_record("proposal.refused", who, incident_id=plan.incident_id):
            person = identify(who, self.rosters.current())
            self._is_own_preview(plan, person)
            return self._propose(plan, who, person, reason)

    def _propose(self, plan: Plan, who: ChatIdentity, person: Person, reason: str) -> Plan:
        now = self.clock.now()
        with self.store.change() as tx:
            incident = self._open_incident(tx, plan)
            _no_twin(tx, plan, now)
            stored = self._stored(tx, plan, person, now)
            tx.add(stored)
            entry = tx.append(
                acting(person, who.account),
                "proposed",
                incident_id=incident.id,
                plan_id=stored.id,
                data={"runbook": plan.runbook_id, "digest": plan.digest, "reason": reason[:2000]},
            )
            if proposer_counts(stored):
                self._turn_key(tx, stored, person, role="proposer", who=who)
            tx.enqueue(self._expiry(stored))
            outbox.redraw_plan(tx, stored, now)
            outbox.tell_thread(
                tx,
                entry,
                message("containment.proposed", person=person.name, title=plan.title, plan=stored.short),
                plan_id=stored.id,
            )
            outbox.redraw_card(tx, incident, now)
        return stored

    def approve(
        self, plan_id: str, who: ChatIdentity, *, digest: str, typed: str = "", code: str = ""
    ) -> Standing:
        """Turn a key on exactly the plan that was shown. Every refusal is put on record, and told."""
        with self._on_record("approval.refused", who, plan_id=plan_id):
            roster = self.rosters.current()
            person = identify(who, roster)
            return self._approve(plan_id, who, person, roster, digest=digest, typed=typed, code=code)

    def refuse(self, plan_id: str, who: ChatIdentity, reason: str) -> Plan:
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
            self._move(
                tx, plan, PlanState.EXPIRED, system("engine"), message("containment.expired", plan=plan.short)
            )

    def pending(self, who: ChatIdentity) -> list[Plan]:
        """Return the plans on which this person could turn a key now."""
        person = identify(who, self.rosters.current())
        now = self.clock.now()
        with self.store.read() as look:
            waiting = look.find(Plan, state=PlanState.PROPOSED)
            return [plan for plan in waiting if self._could_turn(look, plan, person, now)]

    def plan(self, plan_id: str) -> Plan:
        """Return a stored plan by its id."""
        with self.store.read() as look:
            plan = look.get(Plan, plan_id)
        if plan is None:
            raise NotFound("containment.no_such_plan", plan=plan_id[:40])
        return plan

    def standing(self, plan_id: str) -> Standing:
        """Say who stands behind a plan, and what is missing."""
        plan = self.plan(plan_id)
        with self.store.read() as look:
            incident = found(look.get(Incident, plan.incident_id), plan.incident_id)
            return standing(plan, look.find(Approval, plan_id=plan.id), incident, self.rosters.current())

    def break_glass(self, plan: Plan, who: ChatIdentity, *, code: str, reason: str, typed: str = "") -> Plan:
        """Run a plan on one key, where the runbook allows it: with code, reason, and every approver told."""
        with self._on_record("break_glass.refused", who, incident_id=plan.incident_id):
            roster = self.rosters.current()
            person = identify(who, roster)
            self._is_own_preview(plan, person)
            if not is_typed(plan, typed):
                raise Refused("refused.typed_wrong", typed=typed.strip()[:80], plan=plan.short)
            now = self.clock.now()
            with self.store.read() as look:
                may_try_codes(look, person, now)
            used = self.step_up.verify(person.id, code, now) or ""
            may_break_glass(plan, person, step_up=used, reason=reason)
            return self._break_glass(plan, who, person, roster, used=used, reason=reason)

    def _break_glass(
        self, plan: Plan, who: ChatIdentity, person: Person, roster: Roster, *, used: str, reason: str
    ) -> Plan:
        now = self.clock.now()
        with self.store.change() as tx:
            incident = self._open_incident(tx, plan)
            _no_twin(tx, plan, now)
            _use_code(tx, used, person, now)
            stored = replace(
                self._stored(tx, plan, person, now),
                state=PlanState.APPROVED,
                break_glass_by=person.id,
                break_glass_reason=reason.strip()[:2000],
                confirm_by=now + timedelta(seconds=CONFIRM_WITHIN_S),
            )
            tx.add(stored)
            self._turn_key(tx, stored, person, role="break-glass", who=who, used=used)
            entry = tx.append(
                acting(person, who.account),
                "glass.broken",
                incident_id=incident.id,
                plan_id=stored.id,
                data={"runbook": plan.runbook_id, "digest": plan.digest, "reason": reason.strip()[:2000]},
            )
            told = message(
                "containment.glass_broken",
                person=person.name,
                title=plan.title,
                plan=stored.short,
                reason=reason,
            )
            outbox.tell_thread(tx, entry, told, broadcast=True, plan_id=stored.id)
            for approver in roster.holding((Role.APPROVER, Role.COMMANDER), plan.target.account):
                if approver.id != person.id:
                    outbox.tell_person(tx, entry, approver.id, [told], stored.id)
            outbox.redraw_plan(tx, stored, now)
            outbox.redraw_card(tx, incident, now)
            tx.enqueue(_run_job(stored))
            tx.enqueue(
                Job(
                    f"confirm:{stored.id}",
                    JobKind.CONFIRM,
                    {"plan_id": stored.id},
                    not_before=stored.confirm_by,
                )
            )
        return stored

    def confirm(self, plan_id: str, who: ChatIdentity) -> Plan:
        """Be the second person behind a plan that ran on one key."""
        with self._on_record("confirmation.refused", who, plan_id=plan_id):
            return self._confirm(plan_id, who, identify(who, self.rosters.current()))

    def _confirm(self, plan_id: str, who: ChatIdentity, person: Person) -> Plan:
        with self.store.change() as tx:
            plan = self._stored_plan(tx, plan_id)
            incident = found(tx.get(Incident, plan.incident_id), plan.incident_id)
            may_confirm(plan, person, incident)
            confirmed = replace(plan, confirmed_by=person.id)
            tx.put(confirmed)
            self._turn_key(tx, plan, person, role="confirmation", who=who)
            entry = tx.append(
                acting(person, who.account), "confirmed", incident_id=incident.id, plan_id=plan.id
            )
            outbox.tell_thread(
                tx,
                entry,
                message("containment.confirmed", person=person.name, plan=plan.short),
                plan_id=plan.id,
            )
            outbox.redraw_plan(tx, confirmed, self.clock.now())
        return confirmed

    def remind_confirmation(self, plan_id: str) -> None:
        """Tell the thread that a run on one key has not been confirmed in time."""
        with self.store.change() as tx:
            plan = self._stored_plan(tx, plan_id)
            entry = tx.append(
                system("engine"), "confirmation.checked", incident_id=plan.incident_id, plan_id=plan.id
            )
            if not plan.confirmed_by:
                outbox.tell_thread(
                    tx, entry, message("containment.confirmation_owed", plan=plan.short), broadcast=True
                )

    def decide(self, plan_id: str, who: ChatIdentity, decision: str) -> Plan:
        """Answer a run that stopped to ask: retry the step, skip it, or stop the run."""
        with self._on_record("decision.refused", who, plan_id=plan_id):
            if decision not in ("retry", "skip", "stop"):
                raise Refused("refused.no_such_decision", decision=decision[:40])
            return self._decide(plan_id, who, identify(who, self.rosters.current()), decision)

    def _decide(self, plan_id: str, who: ChatIdentity, person: Person, decision: str) -> Plan:
        with self.store.change() as tx:
            plan = self._stored_plan(tx, plan_id)
            incident = found(tx.get(Incident, plan.incident_id), plan.incident_id)
            if plan.state is not PlanState.ASKING:
                raise Refused("refused.not_asking", plan=plan.short, state=plan.state.value)
            if not role_for(person, plan, incident):
                raise Refused("refused.not_approver", person=person.name, scope=plan.target.account)
            step, stuck = _stuck(tx, plan)
            if decision == "skip":
                if stuck is None:  # the run was parked between two steps: there is nothing that failed
                    raise Refused("refused.nothing_to_skip", plan=plan.short)
                tx.put(replace(stuck, passed_over=True))
            elif decision == "retry" and stuck:
                # What was sent may have arrived: a retry reads first, like after a crash.
                state = StepState.UNKNOWN if stuck.key else StepState.WAITING
                tx.put(replace(stuck, state=state, attempt=1, error=None))
            elif decision == "stop" and (execution := tx.get(Execution, plan.id)):
                tx.put(replace(execution, ended_at=self.clock.now()))
            after = PlanState.FAILED if decision == "stop" else PlanState.RUNNING
            said = message(
                f"containment.decided_{decision}",
                person=person.name,
                step=step.id if step else "-",
                plan=plan.short,
            )
            moved = self._move(tx, plan, after, acting(person, who.account), said, {"decision": decision})
            if decision != "stop":
                tx.enqueue(_run_job(plan, again=str(tx.head()[0])))
        return moved

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
            plan = self._stored_plan(tx, plan_id)
            incident = found(tx.get(Incident, plan.incident_id), plan.incident_id)
            keys = tx.find(Approval, plan_id=plan.id)
            role = may_approve(plan, person, incident, keys, digest=digest, typed=typed, now=now)
            used = self._checked_code(tx, plan, person, code, now)
            keys.append(self._turn_key(tx, plan, person, role=role, who=who, used=used))
            stands = standing(plan, keys, incident, roster)
            entry = tx.append(
                acting(person, who.account),
                "approved",
                incident_id=incident.id,
                plan_id=plan.id,
                data={"digest": plan.digest, "role": role, "keys": len(stands.keys), "needed": stands.needed},
            )
            if stands.is_satisfied:
                plan = replace(plan, state=PlanState.APPROVED)
                tx.put(plan)
                tx.enqueue(_run_job(plan))
            told = message(
                "containment.approved",
                person=person.name,
                plan=plan.short,
                keys=len(stands.keys),
                needed=stands.needed,
            )
            outbox.tell_thread(tx, entry, told, plan_id=plan.id)
            outbox.redraw_plan(tx, plan, now)
        return stands

    def _checked_code(self, tx: Transaction, plan: Plan, person: Person, code: str, now: datetime) -> str:
        if plan.approval.step_up != "totp":
            return ""
        may_try_codes(tx, person, now)
        used = self.step_up.verify(person.id, code, now)
        if not used:
            raise Refused("refused.step_up_wrong", person=person.name)
        _use_code(tx, used, person, now)
        return used

    def _on_record(
        self, action: str, who: ChatIdentity, *, incident_id: str = "", plan_id: str = ""
    ) -> AbstractContextManager[None]:
        return on_record(
            self.store, self.clock, self.rosters, who, action, incident_id=incident_id, plan_id=plan_id
        )

    def _turn_key(
        self, tx: Transaction, plan: Plan, person: Person, *, role: str, who: ChatIdentity, used: str = ""
    ) -> Approval:
        key = Approval(
            key_id(plan.id, person.id),
            plan.id,
            plan.digest,
            person.id,
            role,
            self.clock.now(),
            used,
            who.account,
        )
        try:
            tx.add(key)
        except AlreadyThere as twice:
            raise Refused("refused.key_turned_before", person=person.name, plan=plan.short) from twice
        return key

    def _end(self, plan_id: str, who: ChatIdentity, person: Person, state: PlanState, reason: str) -> Plan:
        with self.store.change() as tx:
            plan = self._stored_plan(tx, plan_id)
            incident = found(tx.get(Incident, plan.incident_id), plan.incident_id)
            on_its_way = plan.state in (PlanState.APPROVED, PlanState.RUNNING, PlanState.ASKING)
            if not on_its_way or has_written(plan, _journal(tx, plan)):
                still_waiting(plan, self.clock.now())
            if plan.requester != person.id and not role_for(person, plan, incident):
                raise Refused("refused.not_approver", person=person.name, scope=plan.target.account)
            said = message(f"containment.{state.value}", person=person.name, plan=plan.short, reason=reason)
            return self._move(tx, plan, state, acting(person, who.account), said, {"reason": reason})

    def _move(
        self,
        tx: Transaction,
        plan: Plan,
        state: PlanState,
        actor: Actor,
        said: Message,
        data: Mapping[str, Json] | None = None,
    ) -> Plan:
        moved = replace(plan, state=state, reason=said)
        tx.put(moved)
        action = {PlanState.RUNNING: "run.continued"}.get(state, state.value)
        entry = tx.append(actor, action, incident_id=plan.incident_id, plan_id=plan.id, data=data or {})
        outbox.tell_thread(tx, entry, said, plan_id=plan.id)
        outbox.redraw_plan(tx, moved, self.clock.now())
        return moved

    def _incident(self, incident_id: str) -> Incident:
        with self.store.read() as look:
            incident = found(look.get(Incident, canonical_id(incident_id)), incident_id)
        if not incident.is_open:
            raise Refused("refused.incident_over", incident=incident.id, state=incident.state.value)
        return incident

    def _open_incident(self, tx: Transaction, plan: Plan) -> Incident:
        incident = found(tx.get(Incident, plan.incident_id), plan.incident_id)
        is_for(plan, incident)
        return incident

    @staticmethod
    def _stored_plan(look: Reading, plan_id: str) -> Plan:
        plan = look.get(Plan, plan_id)
        if plan is None:
            raise NotFound("containment.no_such_plan", plan=plan_id[:40])
        return plan

    @staticmethod
    def _is_own_preview(plan: Plan, person: Person) -> None:
        may_propose(person, plan.target.account)
        if plan.requester != person.id or digest_of(plan) != plan.digest:
            raise Refused("refused.plan_changed", plan=plan.short)

    @staticmethod
    def _stored(look: Reading, plan: Plan, person: Person, now: datetime) -> Plan:
        expires = now + timedelta(seconds=expires_after_s(plan))
        return replace(
            plan,
            id=new_plan_id(plan, f"{person.id}:{now.isoformat()}:{look.head()[1]}"),
            requester=person.id,
            requested_at=now,
            expires_at=expires,
            state=PlanState.PROPOSED,
        )

    @staticmethod
    def _expiry(plan: Plan) -> Job:
        return Job(f"expire:{plan.id}", JobKind.EXPIRE, {"plan_id": plan.id}, not_before=plan.expires_at)

    @staticmethod
    def _could_turn(look: Reading, plan: Plan, person: Person, now: datetime) -> bool:
        incident = look.get(Incident, plan.incident_id)
        if incident is None or is_out_of_time(plan, now) or not (incident.is_open or plan.undo_of):
            return False
        if plan.requester == person.id or not role_for(person, plan, incident):
            return False
        return look.get(Approval, key_id(plan.id, person.id)) is None


def _run_job(plan: Plan, again: str = "") -> Job:
    name = f"execute:{plan.id}" + (f":{again}" if again else "")
    return Job(name, JobKind.EXECUTE, {"plan_id": plan.id}, lock=plan.incident_id)


def _no_twin(tx: Transaction, plan: Plan, now: datetime) -> None:
    live = (PlanState.PROPOSED, PlanState.APPROVED, PlanState.RUNNING, PlanState.ASKING)
    for other in tx.find(Plan, incident_id=plan.incident_id, state=live):
        if other.digest == plan.digest and not is_out_of_time(other, now):
            raise Refused("refused.same_plan_waiting", plan=other.short, title=other.title)


def _use_code(tx: Transaction, used: str, person: Person, now: datetime) -> None:
    try:
        tx.add(StepUpUse(used, person.id, now))
    except AlreadyThere as twice:
        raise Refused("refused.step_up_used", person=person.name) from twice


def _journal(look: Reading, plan: Plan) -> dict[str, StepRecord]:
    return {record.step_id: record for record in look.find(StepRecord, plan_id=plan.id)}


def _stuck(tx: Transaction, plan: Plan) -> tuple[Step | None, StepRecord | None]:
    """Return where a run stands: the first step that is not over, with its record if it was begun."""
    step = next_step(plan, _journal(tx, plan))
    return step, tx.get(StepRecord, record_id(plan.id, step.id)) if step else None
