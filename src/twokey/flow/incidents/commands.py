"""Working an incident: see it, take it, say who leads, note what was found, move it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from twokey.core.audit import AuditEntry
from twokey.core.errors import Json, Message, NotFound, Refused, message
from twokey.core.incidents import (
    Incident,
    Severity,
    State,
    group_of_principal,
    require_legal_move,
    require_responder,
)
from twokey.core.jobs import draft_job
from twokey.core.people import ChatAccount, ChatIdentity, Person, identify, system
from twokey.core.responsibility import HUMAN, Label, by_person
from twokey.core.runbooks import Plan
from twokey.core.signals import RawNotification, RawState
from twokey.core.texts import nearest
from twokey.flow import outbox
from twokey.flow.incidents.alive import require_plans_allow
from twokey.flow.incidents.verdicts import Version, versions
from twokey.flow.lookup import incident_by_id
from twokey.flow.refusals import on_record
from twokey.ports import Clock, Rosters, Store, Transaction

ROLES = ("ic", "scribe", "comms")
STALE_AFTER = timedelta(days=14)
_OPEN = (
    State.TRIAGE,
    State.INVESTIGATING,
    State.CONTAINED,
    State.PARTLY_CONTAINED,
    State.MONITORING,
    State.RESOLVED,
    State.POSTMORTEM,
)


@dataclass(frozen=True)
class Response:
    """Run the second stage: everything people do to an incident except containing it."""

    store: Store
    clock: Clock
    rosters: Rosters

    def whoami(self, who: ChatIdentity) -> Person:
        """Say which person of the roster is behind a chat account, or why none is."""
        return identify(who, self.rosters.current())

    def shown(self, incident_id: str) -> Incident:
        """Return an incident, however its id was typed (12, inc-12, INC-12)."""
        with self.store.read() as look:
            return incident_by_id(look, incident_id)

    def listed(
        self, which: str = "open", *, who: ChatIdentity | None = None, page: int = 1, size: int = 10
    ) -> tuple[list[Incident], int]:
        """Return one page of incidents, newest first, and how many there are: open, mine, stale or all."""
        if which not in ("open", "mine", "stale", "all"):
            raise NotFound("response.no_such_list", which=which, legal="open, mine, stale, all")
        start = (max(page, 1) - 1) * size
        if which in ("open", "all"):
            equal: dict[str, object] = {"state": _OPEN} if which == "open" else {}
            with self.store.read() as look:
                found = look.find(Incident, newest_first=True, limit=size, skip=start, **equal)
                return found, look.count(Incident, **equal)
        mine = self.whoami(who).id if which == "mine" and who else ""
        old = self.clock.now() - STALE_AFTER
        with self.store.read() as look:
            every = look.find(Incident, state=_OPEN, newest_first=True, limit=10_000)
        if which == "mine":
            every = [i for i in every if mine == i.commander or mine in i.roles.values()]
        else:
            every = [i for i in every if i.last_signal_at < old]
        return every[start : start + size], len(every)

    def unreadable(self, limit: int = 100) -> list[RawNotification]:
        """Return the notifications that could not be understood, newest first: nothing that arrives is lost."""
        with self.store.read() as look:
            return look.find(RawNotification, state=RawState.UNREADABLE, newest_first=True, limit=limit)

    def timeline(self, incident_id: str) -> list[AuditEntry]:
        """Return the audit entries of one incident, in order."""
        incident = self.shown(incident_id)
        with self.store.read() as look:
            return look.audit(incident_id=incident.id)

    def verdicts(self, incident_id: str) -> list[Version]:
        """Return every verdict that an incident has had, in order: by which rule or which person, and why."""
        incident = self.shown(incident_id)
        with self.store.read() as look:
            return versions(look, incident.id)

    def announced(self, incident_id: str) -> None:
        """Record that the incident's card stands in the chat: the moment people could know."""
        with self.store.change() as tx:
            self.announced_in(tx, incident_id)

    def announced_in(self, tx: Transaction, incident_id: str) -> None:
        """Record it in the change that records the message itself: both are kept, or neither."""
        incident = tx.get(Incident, incident_id)
        if incident is None or incident.times.notified:
            return
        tx.put(replace(incident, times=replace(incident.times, notified=self.clock.now())))
        tx.append(system("chat"), "announced", incident_id=incident_id)

    def acknowledge(self, incident_id: str, who: ChatIdentity) -> Incident:
        """Say that somebody is on it; the first one counts."""

        def change(incident: Incident, person: Person) -> tuple[Incident, Message | None]:
            if incident.times.acked:
                return incident, None
            state = State.INVESTIGATING if incident.state is State.TRIAGE else incident.state
            times = replace(incident.times, acked=self.clock.now())
            return replace(incident, state=state, times=times), message("response.acked", person=person.name)

        return self._change(incident_id, who, "acknowledged", {}, change)

    def assign(self, incident_id: str, role: str, account: ChatAccount, who: ChatIdentity) -> Incident:
        """Give a role to a person; there is one incident commander at a time."""
        if role not in ROLES:
            raise Refused("refused.no_such_role", role=role, legal=", ".join(ROLES))
        named = self.rosters.current().behind(account)
        if named is None:
            raise Refused("refused.unknown_identity", user=account.user)

        def change(incident: Incident, person: Person) -> tuple[Incident, Message | None]:
            notice = message("response.assigned", role=role, person=named.name, by=person.name)
            if role == "ic":
                return replace(incident, commander=named.id), notice
            return replace(incident, roles={**incident.roles, role: named.id}), notice

        return self._change(incident_id, who, "assigned", {"role": role, "person": named.id}, change)

    def note(self, incident_id: str, text: str, who: ChatIdentity) -> Incident:
        """Write a line into the timeline."""
        if not text.strip():
            raise Refused("refused.note_empty")

        def change(incident: Incident, person: Person) -> tuple[Incident, Message | None]:
            return incident, message("response.noted", person=person.name, text=text.strip()[:2000])

        return self._change(incident_id, who, "noted", {"text": text.strip()[:2000]}, change)

    def change_severity(self, incident_id: str, severity: Severity, who: ChatIdentity) -> Incident:
        """Grade the incident anew."""

        def change(incident: Incident, person: Person) -> tuple[Incident, Message | None]:
            notice = message(
                "response.severity", before=incident.severity.value, after=severity.value, person=person.name
            )
            return replace(incident, severity=severity), notice

        return self._change(incident_id, who, "severity.changed", {"severity": severity.value}, change)

    def classify(self, incident_id: str, label: str, reason: str, who: ChatIdentity) -> Incident:
        """Say whose side it is on, against a rule's verdict; the reason is required, and what was said before stays."""
        reason = reason.strip()[:2000]
        data: dict[str, Json] = {"label": label[:80], "rule": HUMAN, "reason": reason}

        def change(incident: Incident, person: Person) -> tuple[Incident, Message | None]:
            if label not in list(Label):
                near = nearest(label, [known.value for known in Label], alike=0.0)
                raise Refused("refused.no_such_label", label=label[:80], nearest=near, legal=", ".join(Label))
            if not reason:
                raise Refused("refused.classify_reason")
            before = incident.verdict
            if (before.rule, before.label, before.reason) == (HUMAN, Label(label), reason):
                return incident, None
            data.update(label_before=before.label.value, rule_before=before.rule)
            after = replace(incident, verdict=by_person(Label(label), reason, before))
            if not after.group:  # findings by the same principal belong here from now on
                after = replace(after, group=group_of_principal(after))
            notice = message(
                "response.classified",
                before=before.label.value,
                after=label,
                person=person.name,
                reason=reason,
            )
            return after, notice

        return self._change(incident_id, who, "classified", data, change)

    def change_state(self, incident_id: str, state: State, who: ChatIdentity, reason: str = "") -> Incident:
        """Move the incident on; an illegal move is refused with the legal ones."""
        now = self.clock.now()

        def change(incident: Incident, person: Person) -> tuple[Incident, Message | None]:
            require_legal_move(incident, state, reason)
            times = incident.times
            if state is State.MONITORING and not times.mitigated:
                times = replace(times, mitigated=now)
            if state is State.RESOLVED:
                times = replace(times, resolved=now, mitigated=times.mitigated or now)
            moved = replace(
                incident,
                state=state,
                times=times,
                cancel_reason=reason if state is State.CANCELLED else incident.cancel_reason,
            )
            notice = message(
                "response.moved",
                before=incident.state.value,
                after=state.value,
                person=person.name,
                reason=reason,
            )
            return moved, notice

        data: dict[str, Json] = {"state": state.value, "reason": reason[:2000]}
        return self._change(incident_id, who, "moved", data, change)

    def _change(
        self,
        incident_id: str,
        who: ChatIdentity,
        action: str,
        data: dict[str, Json],
        change: Callable[[Incident, Person], tuple[Incident, Message | None]],
    ) -> Incident:
        refused = f"{action}.refused"
        with (
            on_record(self, refused, who, incident_id=incident_id) as caller,
            self.store.change() as tx,
        ):
            before = incident_by_id(tx, incident_id)
            require_responder(caller.person, before)
            if not before.is_open:
                raise Refused("refused.incident_over", incident=before.id, state=before.state.value)
            after, notice = change(before, caller.person)
            require_plans_allow(tx, before, after, caller.person, self.clock.now())
            if not after.is_open:
                for plan in tx.find(Plan, incident_id=before.id):
                    if plan.break_glass_by and not plan.confirmed_by:
                        raise Refused("refused.confirmation_owed", incident=before.id, plan=plan.short)
            if notice is None:
                tx.append(caller.actor, f"{action}.again", incident_id=before.id)
                return before
            tx.put(after)
            entry = tx.append(caller.actor, action, incident_id=after.id, data=data)
            outbox.tell_thread(
                tx, entry, notice, broadcast=after.state is State.RESOLVED and action == "moved"
            )
            outbox.redraw_card(tx, after, self.clock.now())
            if after.state is State.RESOLVED and before.state is not State.RESOLVED:
                tx.enqueue(draft_job(after.id, entry.seq))
            return after
