"""Apply a decision in one transaction: open or grow the incident, tell people, keep the sighting."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from twokey.core.errors import Json, message
from twokey.core.incidents import Incident, absorb, opened_by
from twokey.core.people import system
from twokey.core.sightings import Sighting, fold_signal
from twokey.core.signals import Signal, SignalKind
from twokey.flow import outbox
from twokey.flow.intake.correlation import correlate, late_events_explaining, owe_new_draft, propagate
from twokey.flow.intake.decide import (
    Arrival,
    Decision,
    Join,
    KeepUnassigned,
    Open,
    Repeat,
    Turn,
    Wait,
    open_for,
)
from twokey.flow.intake.subjects import assign_unassigned
from twokey.ports import Transaction

INTAKE = system("intake")


@dataclass(frozen=True, slots=True)
class Applier:
    """Carry out decisions at one moment; what is opened belongs to this workspace of the chat."""

    tx: Transaction
    now: datetime
    workspace: str
    enterprise: str

    def apply(self, arrival: Arrival, decision: Decision) -> None:
        """Do what was decided about a signal and keep its sighting; a repeat, or what waits, changes nothing."""
        match decision:
            case Open():
                incident = self._open(decision)
            case Join():
                incident = self._join(decision, arrival.signal)
            case KeepUnassigned():
                self._keep_sighting(arrival, "")
                return
            case Repeat() | Wait():
                return
        before, signal = arrival.before, arrival.signal
        if before and before.is_loose:
            incident = self._adopt(incident, signal.subject)
            arrival = replace(arrival, before=replace(before, is_loose=False))
        if signal.kind is SignalKind.EVENT and not signal.disputed:
            # Open what its provider told of when all was over, and what only this incident shows to have hit us.
            for subject, seen in late_events_explaining(self.tx, incident, self.now).items():
                event = self._open(open_for(seen.signal, seen.verdict, None))
                self.tx.put(replace(seen, incident_id=event.id))
                self._adopt(event, subject)
            incident = correlate(self.tx, incident, self.now)
        self._keep_sighting(arrival, incident.id)

    def _keep_sighting(self, arrival: Arrival, incident_id: str) -> None:
        signal, verdict, before = arrival.signal, arrival.verdict, arrival.before
        state = fold_signal(before, signal, verdict, incident_id) if before else None
        self.tx.add(Sighting(signal.id, signal.subject, incident_id, self.now, signal, verdict, state))

    def _open(self, opening: Open) -> Incident:
        tx, signal, verdict = self.tx, opening.signal, opening.verdict
        incident = replace(
            opened_by(signal, verdict, tx.next_number("incident"), self.now),
            severity=opening.severity,
            workspace=self.workspace,
            enterprise=self.enterprise,
            provider_resolved=opening.is_over,
        )
        tx.add(incident)
        entry = tx.append(
            INTAKE,
            "opened",
            incident_id=incident.id,
            data={
                "signal": signal.id,
                "raw": signal.raw_id,
                "label": verdict.label.value,
                "rule": verdict.rule,
                **({"disputed": signal.disputed.code} if signal.disputed else {}),
            },
        )
        if signal.disputed:
            outbox.tell_thread(tx, entry, signal.disputed)
        outbox.redraw_card(tx, incident, self.now)
        return incident

    def _join(self, join: Join, signal: Signal) -> Incident:
        tx, incident, source = self.tx, join.incident, signal.family
        data: dict[str, Json] = {"signal": signal.id, "raw": signal.raw_id, "count": incident.signals}
        entry = tx.append(INTAKE, "joined", incident_id=incident.id, data=data)
        if join.goes_on:
            goes_on = message("intake.goes_on", state=incident.state.value, type=signal.type)
            outbox.tell_thread(tx, entry, goes_on, broadcast=True)
        if join.label_before:
            before, after, rule = join.label_before.value, incident.verdict.label.value, incident.verdict.rule
            data = {"signal": signal.id, "label": after, "rule": rule, "label_before": before}
            tx.append(INTAKE, "reclassified", incident_id=incident.id, data=data)
            reclassified = message("intake.reclassified", before=before, after=after, rule=rule)
            outbox.tell_thread(tx, entry, reclassified)
        match join.turn:
            case Turn.OVER:
                outbox.tell_thread(tx, entry, message("intake.source_resolved", source=source))
            case Turn.OPEN_AGAIN:
                outbox.tell_thread(tx, entry, message("intake.source_open_again", source=source))
            case Turn.FLAPPING:
                flapping = message("intake.flapping", source=source, turns=incident.turns)
                outbox.tell_thread(tx, entry, flapping)
        if join.turn:
            propagate(tx, incident, self.now)
        if join.renews_draft:
            owe_new_draft(tx, entry, incident)
        tx.put(incident)
        outbox.redraw_card(tx, incident, self.now)
        return incident

    def _adopt(self, incident: Incident, subject: str) -> Incident:
        """Count in what came before anything opened an incident: out of order ends as in order."""
        for seen in assign_unassigned(self.tx, subject, incident.id):
            incident = absorb(incident, seen.signal, seen.verdict, self.now)
        self.tx.put(incident)
        return incident
