"""Receive, sort, announce: how a notification becomes a verdict and an incident."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twokey.core.errors import Invalid, message
from twokey.core.incidents import Incident, Sighting, State, Times, absorb, group_of, severity_of
from twokey.core.people import system
from twokey.core.responsibility import Verdict
from twokey.core.signals import RawNotification, RawState, Signal, SignalKind, SignalStatus
from twokey.flow import outbox
from twokey.ports import Classifier, Clock, Normaliser, Store, Transaction

INTAKE = system("intake")


@dataclass(frozen=True)
class Intake:
    """The first stretch. `storm_window` is how long one principal's findings are one incident."""

    store: Store
    clock: Clock
    normalisers: Mapping[str, Normaliser]  # by provider
    classifier: Classifier
    workspace: str = ""
    enterprise: str = ""
    storm_window: timedelta = timedelta(hours=1)

    def receive(self, notifications: Sequence[RawNotification]) -> list[str]:
        """Keep what arrived, as it arrived; when this returns it may be acknowledged. Sorting is owed, not done."""
        return self.store.receive(notifications, INTAKE)

    def sort(self, raw_id: str) -> None:
        """Read one stored notification, say whose side it is on, and put it where it belongs."""
        with self.store.read() as look:
            raw = look.get(RawNotification, raw_id)
        if raw is None or raw.state is not RawState.NEW:
            return
        try:
            judged = self._judge(raw)
        except Invalid as fault:
            self._keep_unreadable(raw, fault)
            return
        with self.store.change() as tx:
            if (now_raw := tx.get(RawNotification, raw_id)) and now_raw.state is not RawState.NEW:
                return
            for signal, verdict in judged:
                self._take_in(tx, signal, verdict)
            tx.put(replace(raw, state=RawState.SORTED))
            tx.append(INTAKE, "sorted", data={"raw": raw.id, "signals": [s.id for s, _ in judged]})

    def _judge(self, raw: RawNotification) -> list[tuple[Signal, Verdict]]:
        normaliser = self.normalisers.get(raw.provider)
        if normaliser is None:
            raise Invalid("signal.no_reader", source=raw.source)
        signals = [replace(signal, raw_id=raw.id) for signal in normaliser.normalise(raw)]
        return [(signal, self.classifier.verdict(signal, raw)) for signal in signals]

    def _keep_unreadable(self, raw: RawNotification, fault: Invalid) -> None:
        reason = message("intake.unreadable", source=raw.source, reason=fault, raw=raw.id)
        with self.store.change() as tx:
            tx.put(replace(raw, state=RawState.UNREADABLE, reason=str(fault)[:500]))
            tx.append(INTAKE, "unreadable", data={"raw": raw.id, "reason": str(fault)[:500]})
            outbox.tell_unreadable(tx, raw.id, reason, self.clock.now())

    def _take_in(self, tx: Transaction, signal: Signal, verdict: Verdict) -> None:
        """Decide once: a repeat changes nothing, an update goes to its incident, a storm joins, the rest opens."""
        if tx.get(Sighting, signal.id):
            return
        now = self.clock.now()
        earlier = tx.find(Sighting, subject=signal.subject, newest_first=True)
        incident = self._incident_of(tx, signal, earlier) or self._storm(tx, signal, verdict, now)
        if incident is None and self._opens(signal, verdict):
            incident = self._open(tx, signal, verdict, now)
        elif incident is not None:
            incident = self._absorb(tx, incident, signal, verdict, earlier, now)
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

    def _open(self, tx: Transaction, signal: Signal, verdict: Verdict, now: datetime) -> Incident:
        number = tx.next_number("incident")
        incident = Incident(
            id=f"INC-{number}",
            number=number,
            title=signal.title or signal.type,
            verdict=verdict,
            state=State.TRIAGE,
            severity=severity_of(signal, verdict.label),
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
        )
        tx.add(incident)
        tx.append(
            INTAKE,
            "opened",
            incident_id=incident.id,
            data={
                "signal": signal.id,
                "raw": signal.raw_id,
                "label": verdict.label.value,
                "rule": verdict.rule,
            },
        )
        outbox.redraw_card(tx, incident, now)
        return incident

    def _absorb(
        self,
        tx: Transaction,
        incident: Incident,
        signal: Signal,
        verdict: Verdict,
        earlier: list[Sighting],
        now: datetime,
    ) -> Incident:
        """Count a signal into its incident. Nothing re-opens; an older update never undoes a newer one."""
        grown = absorb(incident, signal, verdict, now)
        entry = tx.append(
            INTAKE,
            "joined",
            incident_id=incident.id,
            data={"signal": signal.id, "raw": signal.raw_id, "count": grown.signals},
        )
        if earlier and not _is_stale(signal, earlier):
            if signal.status is SignalStatus.RESOLVED and not grown.provider_resolved:
                grown = replace(grown, provider_resolved=True)
                outbox.tell_thread(tx, entry, message("intake.source_resolved", source=signal.family))
            if _is_other(incident.verdict, verdict):
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
        tx.put(grown)
        outbox.redraw_card(tx, grown, now)
        return grown


def _is_stale(signal: Signal, earlier: list[Sighting]) -> bool:
    newest = max((seen.signal.updated_at for seen in earlier if seen.signal.updated_at), default=None)
    return newest is not None and signal.updated_at is not None and signal.updated_at < newest


def _goes_on(signal: Signal, earlier: list[Sighting]) -> bool:
    return signal.kind is SignalKind.FINDING and not _is_stale(signal, earlier)


def _is_other(before: Verdict, after: Verdict) -> bool:
    """An update may change the label; a person's override stands until a person changes it."""
    return before.label is not after.label and before.rule != "human"
