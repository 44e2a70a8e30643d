"""Receive, sort, announce: how a notification becomes a verdict and an incident."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twokey.core import correlations
from twokey.core.audit import AuditEntry
from twokey.core.errors import Invalid, Later, Message, Unavailable, message
from twokey.core.incidents import (
    Incident,
    State,
    absorb,
    group_of,
    is_availability,
    is_root_cause,
    opened_by,
    severity_of,
)
from twokey.core.jobs import sort_job
from twokey.core.people import system
from twokey.core.responsibility import HUMAN, Label, Verdict
from twokey.core.sightings import Sighting, SoFar, is_stale, knows, settled, went_on
from twokey.core.signals import RawNotification, RawState, Signal, SignalKind, SignalStatus, set_apart
from twokey.flow import outbox
from twokey.flow.crashpoints import At
from twokey.flow.intake.correlation import (
    afterwords_on,
    correlate,
    explains_something,
    owe_new_draft,
    pass_on,
)
from twokey.flow.intake.subjects import place, so_far
from twokey.ports import (
    AuthorizeSource,
    Checkpoint,
    Classifier,
    Clock,
    Normaliser,
    Reading,
    Store,
    Transaction,
    authorize_every_source,
    no_checkpoint,
)

log = logging.getLogger(__name__)

INTAKE = system("intake")
CAUSE_LOOK = timedelta(seconds=10)  # between two looks for a cause that is waited for
TOLD_TURNS = 4  # over, open again, over, open again: from then on it flaps, and only the card counts


@dataclass(frozen=True)
class _Judged:
    """A notification with its signals and their verdicts, or with what makes it unreadable."""

    raw: RawNotification
    pairs: Sequence[tuple[Signal, Verdict]] = ()
    fault: Message | None = None


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
    vouch: AuthorizeSource = authorize_every_source
    cause_wait: timedelta = timedelta(0)  # for how long a signal waits for the one that has its cause

    def receive(self, notifications: Sequence[RawNotification]) -> list[str]:
        """Keep what arrived, as it arrived; when this returns it may be acknowledged, and sorting is owed."""
        self.checkpoint(At.RECEIVE)
        new = self.store.receive(notifications, INTAKE)
        self.checkpoint(At.RECEIVED)
        return new

    def sort(self, raw_id: str) -> None:
        """Read one stored notification, say whose side it is on, and put it where it belongs."""
        for raw in self._new([raw_id]):
            self.checkpoint(At.SORT)
            judged = self._judge(raw)
            self._wait_for_causes(judged)
            with self.store.change(patient=True) as tx:
                self._keep(tx, judged)
            self.checkpoint(At.SORTED)

    def sort_together(self, raw_ids: Sequence[str]) -> None:
        """Sort what arrived together in one change; whatever holds up the others is owed by itself."""
        new = self._new(raw_ids)
        self.checkpoint(At.SORT)
        try:
            judged = [self._judge(raw) for raw in new]
            waiting = [one.raw.id for one in judged if self._waits_for_cause(one)]
            with self.store.change(patient=True) as tx:
                for one in judged:
                    if one.raw.id not in waiting:
                        self._keep(tx, one)
                _owe_alone(tx, waiting, "waits for its cause")
        except Unavailable:
            raise  # the record itself does not answer: all of it is tried again
        except Exception as fault:
            # One of them is at fault, and must not take the others with it: alone, it says what is wrong.
            log.exception("%d notifications cannot be sorted together", len(new))
            self.sort_alone([raw.id for raw in new], type(fault).__name__)
        self.checkpoint(At.SORTED)

    def sort_alone(self, raw_ids: Sequence[str], why: str) -> None:
        """Owe each of these by itself."""
        with self.store.change() as tx:
            _owe_alone(tx, [raw.id for raw in _still_new(tx, raw_ids)], why)

    def _new(self, raw_ids: Sequence[str]) -> list[RawNotification]:
        with self.store.read() as look:
            return _still_new(look, raw_ids)

    def _judge(self, raw: RawNotification) -> _Judged:
        """Read the signals of a notification and say whose side each is on, or why it cannot be read."""
        normaliser = self.normalisers.get(raw.provider)
        if normaliser is None:
            return _Judged(raw, fault=message("signal.no_reader", source=raw.source))
        try:
            signals = [self._vouched(replace(s, raw_id=raw.id), raw) for s in normaliser.normalise(raw)]
            return _Judged(raw, [(signal, self.classifier.verdict(signal, raw)) for signal in signals])
        except Invalid as fault:
            return _Judged(raw, fault=fault.message)

    def _wait_for_causes(self, judged: _Judged) -> None:
        """Sort later what would open an incident only because its cause, on its way too, is not here yet."""
        left = self._waits_for_cause(judged)
        if left:
            raise Later(min(left, CAUSE_LOOK).total_seconds(), "intake.waits_for_cause")

    def _waits_for_cause(self, judged: _Judged) -> timedelta:
        """Return for how long at most; zero when there is nothing to wait for."""
        none = timedelta(0)
        left = judged.raw.received_at + self.cause_wait - self.clock.now()
        waiting = {s.subject for s, verdict in judged.pairs if s.waits_for_cause and self._opens(s, verdict)}
        if left <= none or not waiting:
            return none
        with self.store.read() as look:
            is_here = all(look.find(Sighting, subject=subject, limit=1) for subject in waiting)
        return none if is_here else left

    def _vouched(self, signal: Signal, raw: RawNotification) -> Signal:
        """Set a signal apart whose source may not speak for what it names: it is shown, and contains nothing."""
        why = self.vouch(signal, raw)
        return set_apart(signal, why) if why else signal

    def keep_unreadable(self, raw_id: str, fault: Message) -> None:
        """Keep a notification that could not be understood, and show it: it may be the one that matters."""
        with self.store.change() as tx:
            for raw in _still_new(tx, [raw_id]):
                self._show_unreadable(tx, raw, fault)

    def _show_unreadable(self, tx: Transaction, raw: RawNotification, fault: Message) -> None:
        reason = str(fault)[:500]
        tx.put(replace(raw, state=RawState.UNREADABLE, reason=reason))
        tx.append(INTAKE, "unreadable", data={"raw": raw.id, "reason": reason})
        said = message("intake.unreadable", source=raw.source, reason=fault, raw=raw.id)
        outbox.tell_unreadable(tx, raw.id, said, self.clock.now())

    def _keep(self, tx: Transaction, judged: _Judged) -> None:
        """Take in what a notification says, unless another has done so in the meantime."""
        for raw in _still_new(tx, [judged.raw.id]):
            if judged.fault:
                self._show_unreadable(tx, raw, judged.fault)
                return
            for signal, verdict in judged.pairs:
                self._take_in(tx, signal, verdict)
            tx.put(replace(raw, state=RawState.SORTED))
            tx.append(INTAKE, "sorted", data={"raw": raw.id, "signals": [s.id for s, _ in judged.pairs]})

    def _take_in(self, tx: Transaction, signal: Signal, verdict: Verdict) -> None:
        """Decide once: a repeat changes nothing, an update finds its incident, a storm joins, others open."""
        if tx.get(Sighting, signal.id):
            return
        now = self.clock.now()
        before = so_far(tx, signal.subject)
        incident = self._incident_of(tx, signal, before) or self._storm(tx, signal, verdict, now)
        opens = self._opens(signal, settled(signal, verdict, before) if signal.waits_for_cause else verdict)
        if incident is None and (opens or explains_something(tx, signal, verdict, now)):
            incident = self._open(tx, signal, verdict, before, now)
        elif incident is not None:
            incident = self._absorb(tx, incident, signal, verdict, before=before, now=now)
        if incident is not None and before and before.is_loose:
            incident = _adopt(tx, incident, signal.subject, now)
            before = replace(before, is_loose=False)
        if incident is not None and signal.kind is SignalKind.EVENT and not signal.disputed:
            self._open_afterwords(tx, incident, now)
            incident = correlate(tx, incident, now)
        to = incident.id if incident else ""
        told = went_on(before, signal, verdict, to) if before else None
        tx.add(Sighting(signal.id, signal.subject, to, now, signal, verdict, told))

    def _open_afterwords(self, tx: Transaction, incident: Incident, now: datetime) -> None:
        """Open what its provider told of when all was over, and what only this incident shows to have hit us."""
        for subject, seen in afterwords_on(tx, incident, now).items():
            event = self._open(tx, seen.signal, seen.verdict, None, now)
            tx.put(replace(seen, incident_id=event.id))
            _adopt(tx, event, subject, now)

    def _incident_of(self, tx: Transaction, signal: Signal, before: SoFar | None) -> Incident | None:
        incident = tx.get(Incident, before.incident_id) if before and before.incident_id else None
        if incident and not incident.is_open and _goes_on(signal, before):
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
        self, tx: Transaction, signal: Signal, verdict: Verdict, before: SoFar | None, now: datetime
    ) -> Incident:
        """Open an incident as its source sees it by now: an update that was overtaken tells old news."""
        severity = severity_of(signal, verdict.label)
        verdict = settled(signal, verdict, before)
        over = before is not None and before.said_over and is_stale(signal, before)
        incident = opened_by(signal, verdict, tx.next_number("incident"), now)
        incident = replace(
            incident,
            severity=severity,
            workspace=self.workspace,
            enterprise=self.enterprise,
            provider_resolved=incident.provider_resolved or over,
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
        before: SoFar | None,
        now: datetime,
    ) -> Incident:
        """Count a signal into its incident; nothing re-opens, and no older update undoes a newer one."""
        grown = absorb(incident, signal, verdict, now)
        is_news = not is_stale(signal, before)
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
        is_update = before is not None or signal.kind is SignalKind.EVENT
        if is_update and (is_news or not knows(incident.verdict)):
            grown = _reclassified(tx, entry, grown, settled(signal, verdict, before), signal)
        if is_news and is_update:
            grown = _over_or_not(tx, entry, grown, signal, now)
            if is_root_cause(signal) and not (before and before.has_root_cause):
                owe_new_draft(tx, entry, grown)
        tx.put(grown)
        outbox.redraw_card(tx, grown, now)
        return grown


def _reclassified(
    tx: Transaction, entry: AuditEntry, incident: Incident, verdict: Verdict, signal: Signal
) -> Incident:
    """Take over what is known by now, and say so where the label changes."""
    if not _is_other(incident.verdict, verdict, signal):
        return incident
    before, after = incident.verdict.label.value, verdict.label.value
    data = {"signal": signal.id, "label": after, "rule": verdict.rule, "label_before": before}
    tx.append(INTAKE, "reclassified", incident_id=incident.id, data=data)
    said = message("intake.reclassified", before=before, after=after, rule=verdict.rule)
    outbox.tell_thread(tx, entry, said)
    return replace(incident, verdict=verdict)


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


def _adopt(tx: Transaction, incident: Incident, subject: str, now: datetime) -> Incident:
    """Count in what came before anything opened an incident: out of order ends as in order."""
    for seen in place(tx, subject, incident.id):
        incident = absorb(incident, seen.signal, seen.verdict, now)
    tx.put(incident)
    return incident


def _still_new(look: Reading, raw_ids: Sequence[str]) -> list[RawNotification]:
    found = (look.get(RawNotification, raw_id) for raw_id in raw_ids)
    return [raw for raw in found if raw and raw.state is RawState.NEW]


def _owe_alone(tx: Transaction, raw_ids: Sequence[str], why: str) -> None:
    for raw_id in raw_ids:
        tx.enqueue(sort_job(raw_id))
    if raw_ids:
        tx.append(INTAKE, "sorting.parted", data={"raws": list(raw_ids), "why": why})


def _is_first_since_resolved(incident: Incident) -> bool:
    """Say whether people called the matter resolved, and nothing has come since: only then it is news."""
    if incident.state not in (State.RESOLVED, State.POSTMORTEM):
        return False
    resolved = incident.times.resolved
    return resolved is not None and incident.last_signal_at <= resolved


def _goes_on(signal: Signal, before: SoFar | None) -> bool:
    """An attack, or an alarm, that comes back after people closed its incident is a new one."""
    comes_back = is_availability(signal) and signal.status is not SignalStatus.RESOLVED
    return (signal.kind is SignalKind.FINDING or comes_back) and not is_stale(signal, before)


def _is_other(before: Verdict, after: Verdict, signal: Signal) -> bool:
    """An update may change the label; a person's override stands until a person changes it.

    News that names no cause takes away none that was known: that a resource is well again, or one more update
    of what a provider's event explained.
    """
    is_well = is_availability(signal) and signal.status is SignalStatus.RESOLVED
    if after.label is Label.UNKNOWN and (is_well or before.rule == correlations.RULE):
        return False
    if knows(before) and not knows(after):
        return False
    return before.label is not after.label and before.rule != HUMAN
