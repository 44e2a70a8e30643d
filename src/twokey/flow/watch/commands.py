"""What the engine and people ask of the watch: the next look, the list, another owner, another review date."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from twokey.core.approvals import require_role
from twokey.core.containments import WHILE_OPEN, InForce, review_of
from twokey.core.errors import Json, Message, NotFound, Refused, RetryAfter, message
from twokey.core.executions import StepRecord, StepState
from twokey.core.jobs import watch_job
from twokey.core.people import ChatAccount, ChatIdentity
from twokey.core.runbooks import Plan
from twokey.flow import outbox
from twokey.flow.execution.journal import journal_of
from twokey.flow.planning.planner import Planner
from twokey.flow.refusals import Caller, on_record
from twokey.flow.register import ALL, IN_FORCE, contained, keep_register
from twokey.flow.watch.asking import ask_cloud
from twokey.flow.watch.looks import WATCH, judged, note, watched
from twokey.ports import Clock, Rosters, Store

LATEST_REVIEW = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Change:
    """What a person changes about a containment: the fields, what people are told, what the trail says."""

    fields: Mapping[str, Any]
    told: Message
    data: Mapping[str, Json]


@dataclass(frozen=True)
class Watch:
    """Look again at what is contained: it only reads clouds, and only people take anything back."""

    store: Store
    clock: Clock
    rosters: Rosters
    planner: Planner
    review_after: timedelta = timedelta(days=30)

    def look(self, plan_id: str, number: str) -> None:
        """Look whether what a plan contained still is; a look that saw nothing new leaves no trace."""
        with self.store.read() as look:
            plan, rows = look.get(Plan, plan_id), watched(look, plan_id, number)
            journal = journal_of(look, plan_id)
        if plan is not None and rows:
            answers = {row.id: ask_cloud(self.planner, plan, row.step_id, journal) for row in rows}
            now = self.clock.now()
            with self.store.read() as look:
                if still := watched(look, plan_id, number):
                    seen = judged(look, plan, still, answers, now, self.review_after)
                    if not seen.is_worth_noting:
                        raise RetryAfter(seen.wait.total_seconds(), plan=plan.short)
            with self.store.change() as tx:
                if still := watched(tx, plan_id, number):
                    note(tx, judged(tx, plan, still, answers, now, self.review_after), now, self.review_after)
                    return
                tx.append(WATCH, "watch.not_needed", incident_id=plan.incident_id, plan_id=plan_id)
            return
        with self.store.change() as tx:
            tx.append(WATCH, "watch.not_needed", plan_id=plan_id)

    def catch_up(self) -> int:
        """Enter what ran before there was a register; return how many plans that were. Twice is once."""
        with self.store.read() as look:
            left = [
                plan
                for plan in look.find(Plan, limit=ALL)
                if not plan.undo_of
                and not look.count(InForce, plan_id=plan.id)
                and look.count(StepRecord, plan_id=plan.id, state=StepState.VERIFIED)
            ]
        return sum(self._entered(plan) for plan in left)

    def contained(self, which: str = "") -> list[InForce]:
        """Return what is contained now: all of it, of one incident, or in one account."""
        with self.store.read() as look:
            return [
                replace(row, review_at=review_of(row, self.review_after)) for row in contained(look, which)
            ]

    def give_owner(self, named: str, account: ChatAccount, who: ChatIdentity) -> Plan:
        """Say who answers for a containment from now on: somebody with a role where it is."""

        def change(plan: Plan, caller: Caller) -> Change:
            owner = caller.roster.behind(account)
            if owner is None:
                raise Refused("refused.unknown_identity", user=account.user)
            require_role(owner, plan.target.account)
            told = message("watch.owner", **_by(caller, plan), owner=owner.name)
            return Change({"owner": owner.id}, told, {"owner": owner.id})

        return self._change(named, who, "containment.owned", change)

    def set_review(self, named: str, day: str, who: ChatIdentity) -> Plan:
        """Say on which day (2026-12-24, in UTC) people look whether a containment is still wanted."""

        def change(plan: Plan, caller: Caller) -> Change:
            review, now = _day(day), self.clock.now()
            if review is None or not now < review <= now + LATEST_REVIEW:
                raise Refused("refused.review_day", day=day[:40], most=LATEST_REVIEW.days)
            shown = f"{review:%Y-%m-%d}"
            told = message("watch.review_set", **_by(caller, plan), day=shown)
            return Change({"review_at": review, "reminded": 0}, told, {"day": shown})

        return self._change(named, who, "containment.review_set", change)

    def _change(
        self, named: str, who: ChatIdentity, action: str, change: Callable[[Plan, Caller], Change]
    ) -> Plan:
        """Change all that one plan contains; `named` is the plan's id, or the part of its digest that is shown."""
        plan = self._named(named)
        with on_record(self, f"{action}.refused", who, plan_id=plan.id if plan else "") as caller:
            if plan is None:
                raise NotFound("containment.no_such_plan", plan=named[:40])
            require_role(caller.person, plan.target.account)
            made = change(plan, caller)
            with self.store.change() as tx:
                entry = tx.append(
                    caller.actor, action, incident_id=plan.incident_id, plan_id=plan.id, data=made.data
                )
                rows = tx.find(InForce, plan_id=plan.id, state=IN_FORCE)
                for row in rows:
                    tx.put(replace(row, **made.fields, look=entry.seq))
                # The look that is owed may be days away, and the reminder comes with it.
                tx.enqueue(watch_job(plan.id, entry.seq, self.clock.now() + WHILE_OPEN[0]))
                outbox.tell_thread(tx, entry, made.told, plan_id=plan.id)
        return plan

    def _named(self, named: str) -> Plan | None:
        with self.store.read() as look:
            rows = contained(look)
            found = [row.plan_id for row in rows if named and named in (row.plan_id, row.short, row.digest)]
            return look.get(Plan, found[-1]) if found else None

    def _entered(self, plan: Plan) -> bool:
        with self.store.change() as tx:
            # Nobody has looked at them since they ran.
            rows = [replace(row, last_seen=None) for row in keep_register(tx, plan, self.clock.now())]
            for row in rows:
                tx.put(row)
            if rows:
                steps: list[Json] = [row.step_id for row in rows]
                tx.append(
                    WATCH,
                    "containments.entered",
                    incident_id=plan.incident_id,
                    plan_id=plan.id,
                    data={"steps": steps},
                )
        return bool(rows)


def _by(caller: Caller, plan: Plan) -> dict[str, str]:
    return {"person": caller.person.name, "title": plan.title, "plan": plan.short}


def _day(text: str) -> datetime | None:
    """Read a day, which begins at midnight UTC."""
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
