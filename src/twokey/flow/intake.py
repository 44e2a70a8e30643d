"""Receive, sort, announce: how a notification becomes a verdict and an incident."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twokey.core import correlations
from twokey.core.audit import AuditEntry
from twokey.core.errors import Invalid, Message, message
from twokey.core.incidents import (
    Incident,
    Sighting,
    State,
    Times,
    absorb,
    group_of,
    is_availability,
    is_root_cause,
    regions_of,
    services_of,
    severity_of,
)
from twokey.core.people import system
from twokey.core.responsibility import Label, Verdict
from twokey.core.signals import RawNotification, RawState, Signal, SignalKind, SignalStatus, set_apart
from twokey.flow import outbox
from twokey.flow.correlation import correlate, owe_new_draft, pass_on
from twokey.flow.crashpoints import At
from twokey.ports import (
    Checkpoint,
    Classifier,
    Clock,
    Normaliser,
    Store,
    Transaction,
    Vouch,
    no_checkpoint,
    no_dispute,
)

INTAKE = system("intake")
TOLD_TURNS = 4  # over, open again, over, open again: from then on it flaps, and only the card counts


@dataclass(frozen=True)
class Intake:
    """Run the first stretch; for `storm_window`, one principal's findings are one incident."""

    store: Store
    clock: Clock
    normalisers: Mapping[str, Normaliser]  # by provider
    classifier: Classifier
    workspace: str = ""
    enterprise: str = ""
    storm_window: timedelta = timedelta(hours=1)
    checkpoint: Checkpoint = no_checkpoint
    vouch: Vouch = no_dispute

    def receive(self, notifications: Sequence[RawNotification]) -> list[str]:
        """Keep what arrived, as it arrived; when this returns it may be acknowledged, and sorting is owed."""
        self.checkpoint(At.RECEIVE)
        new = self.store.receive(notifications, INTAKE)
        self.checkpoint(At.RECEIVED)
        return new

    def sort(self, raw_id: str) -> None:
        """Read one stored notification, say whose side it is on, and put it where it belongs."""
        with self.store.read() as look:
            raw = look.get(RawNotification, raw_id)
        if raw is None or raw.state is not RawState.NEW:
            return
        self.checkpoint(At.SORT)
        try:
            judged = self._judge(raw)
        except Invalid as fault:
            self.keep_unreadable(raw_id, fault.message)
            self.checkpoint(At.SORTED)
            return
        with self.store.change() as tx:
            if not _is_new(tx, raw_id):
                return
            for signal, verdict in judged:
                self._take_in(tx, signal, verdict)
            tx.put(replace(raw, state=RawState.SORTED))
            tx.append(INTAKE, "sorted", data={"raw": raw.id, "signals": [s.id for s, _ in judged]})
        self.checkpoint(At.SORTED)

    def _judge(self, raw: RawNotification) -> list[tuple[Signal, Verdict]]:
        normaliser = self.normalisers.get(raw.provider)
        if normaliser is None:
            raise Invalid("signal.no_reader", source=raw.source)
        signals = [self._vouched(replace(s, raw_id=raw.id), raw) for s in normaliser.normalise(raw)]
        return [(signal, self.classifier.verdict(signal, raw)) for signal in signals]

    def _vouched(self, signal: Signal, raw: RawNotification) -> Signal:
        """Set a signal apart whose source may not speak for what it names: it is shown, and contains nothing."""
        why = self.vouch(signal, raw)
        return set_apart(signal, why) if why else signal

    def keep_unreadable(self, raw_id: str, fault: Message) -> None:
        """Keep a notification that could not be understood, and show it: it may be the one that matters."""
        reason = str(fault)[:500]
        with self.store.change() as tx:
            raw = tx.get(RawNotification, raw_id)
            if raw is None or raw.state is not RawState.NEW:
                return
            tx.put(replace(raw, state=RawState.UNREADABLE, reason=reason))
            tx.append(INTAKE, "unreadable", data={"raw": raw.id, "reason": reason})
            said = message("intake.unreadable", source=raw.source, reason=fault, raw=raw.id)
            outbox.tell_unreadable(tx, raw.id, said, self.clock.now())

    def _take_in(self, tx: Transaction, signal: Signal, verdict: Verdict) -> None:
        """Decide once: a repeat changes nothing, an update finds its incident, a storm joins, others open."""
        if tx.get(Sighting, signal.id):
            return
        now = self.clock.now()
        earlier = tx.find(Sighting, subject=signal.subject, newest_first=True)
        incident = self._incident_of(tx, signal, earlier) or self._storm(tx, signal, verdict, now)
        if incident is None and self._opens(signal, verdict):
            incident = self._open(tx, signal, verdict, earlier, now)
        elif incident is not None:
            incident = self._absorb(tx, incident, signal, verdict, earlier=earlier, now=now)
        if incident is not None:
            incident = _adopt(tx, incident, earlier, now)
            if signal.kind is SignalKind.EVENT and not signal.disputed:
                incident = correlate(tx, incident, now)
        tx.add(Sighting(signal.id, signal.subject, incident.id if incident else "", now, signal, verdict))

    def _incident_of(self, tx: Transaction, signal: Signal, earlier: list[Sighting]) -> Incident | None:
        known = next((seen.incident_id for seen in earlier if seen.incident_id), "")
        incident = tx.get(Incident, known) if known else None
        if incident and not incident.is_open and _goes_on(signal, earlier):
            return None  # the attack goes on after the incident was closed: that is a new incident
        return incident

    def _storm(self, tx: Transaction, signal: Signal, verdict: Verdict, now: datetime) -> Incident | None:
        group = group_of(signal, verdict.label)
        if not group or not self._opens(signal, verdict):
            return None
        latest = tx.find(Incident, group=group, newest_first=True, limit=1)
        same = latest[0] if latest else None
        if same is None or not same.is_open or now - same.last_signal_at > self.storm_window:
            return None
        return same

    @staticmethod
    def _opens(signal: Signal, verdict: Verdict) -> bool:
        """Samples, muted findings and news that something is over open nothing."""
        over = signal.status is SignalStatus.RESOLVED
        return verdict.opens_incident and not (signal.is_test or signal.is_muted or over)

    def _open(
        self, tx: Transaction, signal: Signal, verdict: Verdict, earlier: list[Sighting], now: datetime
    ) -> Incident:
        """Open an incident as its source sees it by now: an update that was overtaken tells old news."""
        latest = _latest(earlier) if _is_stale(signal, earlier) else None
        severity = severity_of(signal, verdict.label)
        verdict = latest.verdict if latest else verdict
        number = tx.next_number("incident")
        incident = Incident(
            id=f"INC-{number}",
            number=number,
            title=signal.title or signal.type,
            verdict=verdict,
            state=State.TRIAGE,
            severity=severity,
            opened_at=now,
            last_signal_at=now,
            provider=signal.provider,
            family=signal.family,
            service=signal.service,
            region=signal.region,
            account=signal.account,
            tenant=signal.tenant,
            workspace=self.workspace,
            enterprise=self.enterprise,
            subject=signal.subject,
            group=group_of(signal, verdict.label),
            resources=signal.resources,
            principal=signal.principal,
            tracking_id=signal.tracking_id,
            times=Times(started=signal.started_at, detected=signal.detected_at),
            provider_resolved=bool(latest and latest.signal.status is SignalStatus.RESOLVED),
            provider_ended=signal.ended_at,
            services=services_of(signal),
            regions=regions_of(signal),
            is_account_specific=signal.facts.get("eventScopeCode") == "ACCOUNT_SPECIFIC",
            is_availability=is_availability(signal),
            disputed=signal.disputed,
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
        outbox.redraw_card(tx, incident, now)
        return incident

    def _absorb(
        self,
        tx: Transaction,
        incident: Incident,
        signal: Signal,
        verdict: Verdict,
        *,
        earlier: list[Sighting],
        now: datetime,
    ) -> Incident:
        """Count a signal into its incident; nothing re-opens, and no older update undoes a newer one."""
        grown = absorb(incident, signal, verdict, now)
        is_news = not _is_stale(signal, earlier)
        entry = tx.append(
            INTAKE,
            "joined",
            incident_id=incident.id,
            data={"signal": signal.id, "raw": signal.raw_id, "count": grown.signals},
        )
        if is_news and self._opens(signal, verdict) and _is_first_since_resolved(incident):
            outbox.tell_thread(
                tx,
                entry,
                message("intake.goes_on", state=incident.state.value, type=signal.type),
                broadcast=True,
            )
        if is_news and (earlier or signal.kind is SignalKind.EVENT):
            grown = _over_or_not(tx, entry, grown, signal, now)
            if _is_other(incident.verdict, verdict, signal):
                grown = replace(grown, verdict=verdict)
                outbox.tell_thread(
                    tx,
                    entry,
                    message(
                        "intake.reclassified",
                        before=incident.verdict.label.value,
                        after=verdict.label.value,
                        rule=verdict.rule,
                    ),
                )
            if is_root_cause(signal) and not _has_root_cause(earlier):
                owe_new_draft(tx, entry, grown)
        tx.put(grown)
        outbox.redraw_card(tx, grown, now)
        return grown


def _over_or_not(
    tx: Transaction, entry: AuditEntry, incident: Incident, signal: Signal, now: datetime
) -> Incident:
    """Take over whether the source calls its part over; what flaps is told a few times, then only counted."""
    over = signal.status is SignalStatus.RESOLVED
    ended = signal.ended_at or (signal.updated_at or now if over else None)
    changed = replace(incident, provider_ended=ended)
    if over is incident.provider_resolved:
        return changed
    changed = replace(changed, provider_resolved=over, turns=incident.turns + 1)
    if changed.turns <= TOLD_TURNS:
        said = "intake.source_resolved" if over else "intake.source_open_again"
        outbox.tell_thread(tx, entry, message(said, source=signal.family))
    elif changed.turns == TOLD_TURNS + 1:
        outbox.tell_thread(tx, entry, message("intake.flapping", source=signal.family, turns=changed.turns))
    pass_on(tx, changed, now)
    return changed


def _has_root_cause(earlier: list[Sighting]) -> bool:
    return any(is_root_cause(seen.signal) for seen in earlier)


def _adopt(tx: Transaction, incident: Incident, earlier: list[Sighting], now: datetime) -> Incident:
    """Count in what came before anything opened an incident: out of order ends as in order."""
    grown = incident
    for seen in reversed([seen for seen in earlier if not seen.incident_id]):
        grown = absorb(grown, seen.signal, seen.verdict, now)
        tx.put(replace(seen, incident_id=incident.id))
    if grown is not incident:
        tx.put(grown)
    return grown


def _is_new(tx: Transaction, raw_id: str) -> bool:
    raw = tx.get(RawNotification, raw_id)
    return raw is not None and raw.state is RawState.NEW


def _latest(earlier: list[Sighting]) -> Sighting | None:
    """Return what the source said last, by its own clock."""
    dated = [(seen.signal.updated_at, seen) for seen in earlier if seen.signal.updated_at]
    return max(dated, key=lambda pair: pair[0])[1] if dated else None


def _is_stale(signal: Signal, earlier: list[Sighting]) -> bool:
    latest = _latest(earlier)
    newest = latest.signal.updated_at if latest else None
    return newest is not None and signal.updated_at is not None and signal.updated_at < newest


def _is_first_since_resolved(incident: Incident) -> bool:
    """Say whether people called the matter resolved, and nothing has come since: only then it is news."""
    if incident.state not in (State.RESOLVED, State.POSTMORTEM):
        return False
    resolved = incident.times.resolved
    return resolved is not None and incident.last_signal_at <= resolved


def _goes_on(signal: Signal, earlier: list[Sighting]) -> bool:
    """An attack, or an alarm, that comes back after people closed its incident is a new one."""
    comes_back = is_availability(signal) and signal.status is not SignalStatus.RESOLVED
    return (signal.kind is SignalKind.FINDING or comes_back) and not _is_stale(signal, earlier)


def _is_other(before: Verdict, after: Verdict, signal: Signal) -> bool:
    """An update may change the label; a person's override stands until a person changes it.

    News that names no cause takes away none that was known: that a resource is well again, or one more update
    of what a provider's event explained.
    """
    is_well = is_availability(signal) and signal.status is SignalStatus.RESOLVED
    if after.label is Label.UNKNOWN and (is_well or before.rule == correlations.RULE):
        return False
    return before.label is not after.label and before.rule != correlations.HUMAN
