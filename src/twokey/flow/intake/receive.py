"""Receive and sort: a notification is kept as it arrived, read into signals, judged, and taken in."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from twokey.core.errors import Invalid, Message, RetryAfter, Unavailable, message
from twokey.core.jobs import sort_job
from twokey.core.responsibility import Verdict
from twokey.core.signals import RawNotification, RawState, Signal, untrusted
from twokey.flow import outbox
from twokey.flow.crashpoints import At
from twokey.flow.intake.apply import INTAKE, Applier
from twokey.flow.intake.decide import Arrival, Wait, decide
from twokey.flow.intake.subjects import look_up, subject_state
from twokey.ports import (
    AuthorizeSource,
    Checkpoint,
    Classifier,
    Clock,
    Normaliser,
    Snapshot,
    Store,
    Transaction,
    authorize_every_source,
    no_checkpoint,
)

log = logging.getLogger(__name__)

CAUSE_LOOK = timedelta(seconds=10)  # between two looks for a cause that is waited for


@dataclass(frozen=True)
class _Judged:
    """A notification with its signals and their verdicts, or with what makes it unreadable."""

    raw: RawNotification
    pairs: Sequence[tuple[Signal, Verdict]] = ()
    fault: Message | None = None


@dataclass(frozen=True)
class Intake:
    """Run the first stage; for `storm_window`, one principal's findings are one incident."""

    store: Store
    clock: Clock
    normalisers: Mapping[str, Normaliser]  # by provider
    classifier: Classifier
    workspace: str = ""
    enterprise: str = ""
    storm_window: timedelta = timedelta(hours=1)
    checkpoint: Checkpoint = no_checkpoint
    authorize_source: AuthorizeSource = authorize_every_source
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
            if left := self._waits_for_cause(judged):
                raise RetryAfter(min(left, CAUSE_LOOK).total_seconds(), "intake.waits_for_cause")
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
            pairs = []
            for signal in normaliser.normalise(raw):
                known = replace(signal, raw_id=raw.id)
                if why := self.authorize_source(known, raw):
                    known = untrusted(known, why)  # it is shown, and contains nothing
                pairs.append((known, self.classifier.verdict(known, raw)))
            return _Judged(raw, pairs)
        except Invalid as fault:
            return _Judged(raw, fault=fault.message)

    def _waits_for_cause(self, judged: _Judged) -> timedelta:
        """Return for how long at most it is sorted later; zero when there is nothing to wait for."""
        none, now = timedelta(0), self.clock.now()
        left = judged.raw.received_at + self.cause_wait - now
        late = [(signal, verdict) for signal, verdict in judged.pairs if signal.waits_for_cause]
        if left <= none or not late:
            return none
        with self.store.read() as look:
            arrivals = [
                Arrival(signal, verdict, now, before=subject_state(look, signal.subject), patience=left)
                for signal, verdict in late
            ]
        return left if any(isinstance(decide(arrival), Wait) for arrival in arrivals) else none

    def keep_unreadable(self, raw_id: str, fault: Message) -> None:
        """Keep a notification that could not be understood, and show it: it may be the one that matters."""
        with self.store.change() as tx:
            for raw in _still_new(tx, [raw_id]):
                self._show_unreadable(tx, raw, fault)

    def _show_unreadable(self, tx: Transaction, raw: RawNotification, fault: Message) -> None:
        reason = str(fault)[:500]
        tx.put(replace(raw, state=RawState.UNREADABLE, reason=reason))
        tx.append(INTAKE, "unreadable", data={"raw": raw.id, "reason": reason})
        unreadable = message("intake.unreadable", source=raw.source, reason=fault, raw=raw.id)
        outbox.tell_unreadable(tx, raw.id, unreadable, self.clock.now())

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
        """Look up what is on record about a signal, decide where it goes, and carry that out."""
        now = self.clock.now()
        arrival = look_up(tx, signal, verdict, now, self.storm_window)
        Applier(tx, now, self.workspace, self.enterprise).apply(arrival, decide(arrival))


def _still_new(look: Snapshot, raw_ids: Sequence[str]) -> list[RawNotification]:
    found = (look.get(RawNotification, raw_id) for raw_id in raw_ids)
    return [raw for raw in found if raw and raw.state is RawState.NEW]


def _owe_alone(tx: Transaction, raw_ids: Sequence[str], why: str) -> None:
    for raw_id in raw_ids:
        tx.enqueue(sort_job(raw_id))
    if raw_ids:
        tx.append(INTAKE, "sorting.parted", data={"raws": list(raw_ids), "why": why})
