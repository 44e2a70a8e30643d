"""The whole flow in memory, for tests that tell a story: things arrive, people act, jobs run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from twokey.core.approvals import Approval, ApprovalStatus
from twokey.core.audit import AuditEntry
from twokey.core.containments import InForce
from twokey.core.errors import Invalid, Json, TwokeyError
from twokey.core.executions import StepRecord
from twokey.core.incidents import Incident
from twokey.core.jobs import Job
from twokey.core.notices import Notice
from twokey.core.people import Actor, ChatIdentity, identify
from twokey.core.responsibility import Label, Verdict
from twokey.core.runbooks import Plan, Runbook
from twokey.core.signals import Principal, RawNotification, Resource, Signal, SignalKind, raw_id
from twokey.core.stops import Limits
from twokey.engine.embedded import EmbeddedEngine
from twokey.engine.queue import Queue
from twokey.flow.containment import Containment
from twokey.flow.execution.run import Executor
from twokey.flow.handlers import dead_letter_handler, job_handlers
from twokey.flow.incidents.commands import Response
from twokey.flow.intake import Intake
from twokey.flow.planning.planner import Planner
from twokey.flow.stamping import Stamping
from twokey.flow.watch import Watch
from twokey.ports import Checkpoint, NoPasskeys, Passkeys, Store, TimeStamper
from twokey.testing import runbooks
from twokey.testing.builders import a_verdict, answered
from twokey.testing.clocks import SettableClock
from twokey.testing.clouds import ACCOUNT, KEY_ID, QUARANTINE, MemoryCloud
from twokey.testing.memory import MemoryStore
from twokey.testing.people import FixedLibrary, FixedRosters, FixedStepUp, identity
from twokey.testing.showings import shown_whole
from twokey.testing.stamps import RememberingStamper

CONFIG: Mapping[str, Json] = {
    "aws": {
        "quarantine_parent_ou": QUARANTINE,
        "responder_role_arn": "arn:aws:iam::999900001111:role/twokey-responder",
    }
}

_TAMPERER = Actor("somebody")


class Signals:
    """A reader and a classifier in one: a notification's body names signals that were put here before."""

    def __init__(self) -> None:
        self.known: dict[str, Signal] = {}
        self.labels: dict[str, Label] = {}

    def normalise(self, raw: RawNotification) -> tuple[Signal, ...]:
        """Return the signals that the body names."""
        names = raw.body.decode().split("\n")
        if any(name not in self.known for name in names):
            raise Invalid("signal.unreadable", where="$", reason="no such signal")
        return tuple(answered(self.known[name]) for name in names)

    def payload(self, signal: Signal, raw: RawNotification) -> Json:
        """Return nothing: these rules look at the signal alone."""
        return None

    def verdict(self, signal: Signal, raw: RawNotification) -> Verdict:
        """Say what the test said; a finding is ours, an event the provider's maintenance."""
        default = Label.CUSTOMER_SECURITY if signal.kind is SignalKind.FINDING else Label.PROVIDER_MAINTENANCE
        return a_verdict(self.labels.get(signal.id, default))


class NoReview:
    """A review that only notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Job] = []

    def run(self, job: Job) -> None:
        """Take note."""
        self.asked.append(job)


class World:
    """Everything wired together around a cloud, a clock that stands still, and people (see `the_team`).

    `proposes`, `approves` and the like take a person's name; what a careful person would type is filled in.
    """

    def __init__(
        self,
        *runbooks: Runbook,
        store: Store | None = None,
        queue: Queue[Any] | None = None,
        clock: SettableClock | None = None,
        checkpoint: Checkpoint | None = None,
        limits: Limits | None = None,
        stamper: TimeStamper | None = None,
        passkeys: Passkeys | None = None,
    ) -> None:
        self.clock = clock or SettableClock()
        memory = MemoryStore(self.clock)
        self.store: Store = store or memory
        self.queue = queue or cast("Queue[Any]", memory.jobs())
        self.cloud = MemoryCloud()
        self.rosters, self.step_up = FixedRosters(), FixedStepUp()
        self.passkeys = passkeys or NoPasskeys()
        self.library = FixedLibrary(*(runbooks or _all_runbooks()))
        self.limits = limits or Limits()
        self.config = CONFIG
        self.signals = Signals()
        self.review = NoReview()
        self.stamper: TimeStamper = stamper or RememberingStamper(self.clock)
        self.passed: list[str] = []  # checkpoints, in the order in which they were passed
        self._checkpoint = checkpoint
        self._codes = 0
        self._restarted()

    def _restarted(self) -> None:
        azure = MemoryCloud("azure")
        self.planner = Planner({"aws": self.cloud, "azure": azure}, self.config)
        normalisers = {"aws": self.signals, "azure": self.signals}
        self.intake = Intake(self.store, self.clock, normalisers, self.signals, "T1", "E1")
        self.response = Response(self.store, self.clock, self.rosters)
        self.containment = Containment(
            self.store, self.clock, self.rosters, self.library, self.planner, self.step_up, self.passkeys
        )
        self.executor = Executor(
            self.store,
            self.clock,
            self.rosters,
            self.library,
            self.planner,
            self._at_checkpoint,
            self.limits,
            self.passkeys,
        )
        self.watch = Watch(self.store, self.clock, self.rosters, self.planner)
        self.stamping = Stamping(self.store, self.clock, self.stamper, timedelta(hours=1))
        self.handle = job_handlers(
            self.intake, self.containment, self.executor, self.review, self.watch, self.stamping
        )
        self.parked = dead_letter_handler(self.intake, self.executor, self.store)
        self.engine = EmbeddedEngine(self.queue, self.handle, self.parked, self.clock, workers=1)

    def changes_settings(self, **of_aws: Json) -> None:
        """Begin again with other settings of AWS."""
        known = cast("dict[str, Json]", self.config["aws"])
        self.config = {**self.config, "aws": {**known, **of_aws}}
        self._restarted()

    def restarts(self) -> None:
        """Begin again after the process died, when the leases of the dead one have run out."""
        self.clock.advance(60)
        self._restarted()

    def stops_at(self, checkpoint: Checkpoint | None) -> None:
        """Have a function called at every checkpoint from now on."""
        self._checkpoint = checkpoint

    def _at_checkpoint(self, name: str) -> None:
        self.passed.append(name)
        if self._checkpoint:
            self._checkpoint(name)

    # what arrives

    def finding(self, id: str = "f1", **changes: Any) -> Signal:
        """Make a finding about the leaked key; its subject is its id, unless told otherwise."""
        signal = Signal(
            id=id,
            subject=id,
            kind=SignalKind.FINDING,
            provider="aws",
            family="guardduty",
            type="UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom",
            title="API calls with a key from an address on a threat list",
            service="iam",
            region="eu-central-1",
            account=ACCOUNT,
            severity=8.0,
            detected_at=self.clock.now() - timedelta(minutes=5),
            updated_at=self.clock.now(),
            resources=(Resource("arn:aws:s3:::acme-invoices", "AwsS3Bucket"),),
            principal=Principal("deploy", "IAMUser", KEY_ID),
        )
        return replace(signal, **changes)

    def arrives(
        self, *signals: Signal, label: Label | None = None, source: str = "aws.sqs:findings"
    ) -> list[str]:
        """Let one notification arrive that holds these signals; return its id, if it was new."""
        for signal in signals:
            self.signals.known[signal.id] = signal
            if label:
                self.signals.labels[signal.id] = label
        return self.receives("\n".join(signal.id for signal in signals), source)

    def receives(self, body: str | bytes, source: str = "aws.sqs:findings") -> list[str]:
        """Let a notification arrive as these bytes."""
        content = body.encode() if isinstance(body, str) else body
        raw = RawNotification(raw_id(source, content), source, content, self.clock.now(), ACCOUNT)
        return self.intake.receive([raw])

    def incident(self, id: str = "f1", *, label: Label | None = None, **changes: Any) -> Incident:
        """Let a finding arrive and be sorted; return its incident."""
        self.arrives(self.finding(id, **changes), label=label)
        self.works()
        return self.incidents()[-1]

    def incidents(self) -> list[Incident]:
        """Return every incident, oldest first."""
        with self.store.read() as look:
            return look.find(Incident)

    # what people do

    def who(self, name: str, **flags: Any) -> ChatIdentity:
        """Return what the chat says about a person's first account."""
        return identity(f"U-{name.upper()}", **flags)

    def code(self) -> str:
        """Return a step-up code that is right and was not used before."""
        self._codes += 1
        return f"{self._codes:05d}7"

    def previews(
        self, name: str, runbook: str = runbooks.LEAKED_KEY, incident: str = "", **given: Json
    ) -> Plan:
        """Let a person look at a plan for an incident, the latest when none is named."""
        incident_id = incident or self.incidents()[-1].id
        return self.containment.preview(incident_id, runbook, self.who(name), given)

    def proposes(
        self, name: str, runbook: str = runbooks.LEAKED_KEY, incident: str = "", **given: Json
    ) -> Plan:
        """Let a person look at the whole of a plan and propose it."""
        return self.asks_for(name, self.previews(name, runbook, incident, **given))

    def proposes_undo(self, name: str, plan: Plan) -> Plan:
        """Let a person look at what would take a plan back and propose it."""
        return self.asks_for(name, self.containment.preview_undo(plan.id, self.who(name)))

    def asks_for(self, name: str, plan: Plan, **given: str) -> Plan:
        """Let a person turn every page of what they have previewed, and propose it with a code."""
        self.sees(name, plan)
        return self.containment.propose(plan, self.who(name), **{"code": self.code(), **given})

    def shows(self, name: str, plan: Plan) -> Plan:
        """Let a person turn every page of a plan; return it."""
        return shown_whole(self.containment, plan, self.who(name))

    def approves(self, name: str, plan: Plan, **typed: str) -> ApprovalStatus:
        """Let a person see a plan and turn a key, having typed what is asked for, or what `typed` and so on say."""
        self.sees(name, plan)
        given = {"digest": plan.digest, "typed": plan.typed_target, "code": self.code(), **typed}
        return self.containment.approve(plan.id, self.who(name), **given)

    def breaks_glass(self, name: str, plan: Plan, **given: str) -> Plan:
        """Let a person run a previewed plan alone, having seen it."""
        self.sees(name, plan)
        reason = "nobody else is awake and the key is in use"
        said = {"code": self.code(), "reason": reason, "typed": plan.typed_target, **given}
        return self.containment.break_glass(plan, self.who(name), **said)

    def confirms(self, name: str, plan: Plan, **given: str) -> Plan:
        """Let a second person stand behind a run that one person began alone."""
        return self.containment.confirm(plan.id, self.who(name), **{"code": self.code(), **given})

    def skips(self, asker: str, confirmer: str, plan: Plan) -> Plan:
        """Let one person ask that the write at which a run stopped is passed over, and another confirm it."""
        self.containment.decide(plan.id, self.who(asker), "skip", code=self.code())
        (asked,) = self.containment.asked(plan.id)
        return self.containment.confirm_decision(asked.id, self.who(confirmer), code=self.code())

    def sees(self, name: str, plan: Plan) -> None:
        """Let a person turn every page of a plan, if they are anybody here."""
        # whoever is nobody here is shown nothing, and asks for a key all the same
        with suppress(TwokeyError):
            identify(self.who(name), self.rosters.current())
            self.shows(name, plan)

    def contains(self, runbook: str = runbooks.LEAKED_KEY, *people: str) -> Plan:
        """Let a plan be proposed, get its keys and run to its end: ana's and ben's, if none are named."""
        proposer, *approvers = people or ("ana", "ben")
        plan = self.proposes(proposer, runbook)
        for approver in approvers:
            self.approves(approver, plan)
        self.works_on()
        return self.plan(plan)

    # what the machine does

    def works(self) -> int:
        """Do what is due now."""
        return self.engine.drain()

    def works_on(self, minutes: float = 10, step_s: float = 2.0) -> None:
        """Do what is due, and what will be, for so many minutes."""
        until = self.clock.now() + timedelta(minutes=minutes)
        self.works()
        while self.clock.now() < until:
            self.clock.advance(step_s)
            self.works()

    # what is on record

    def plan(self, plan: Plan | str) -> Plan:
        """Return a plan as it is now."""
        return self.containment.plan(plan if isinstance(plan, str) else plan.id)

    def keys(self, plan: Plan) -> list[Approval]:
        """Return the keys that were turned on a plan."""
        with self.store.read() as look:
            return look.find(Approval, plan_id=plan.id)

    def journal(self, plan: Plan) -> dict[str, StepRecord]:
        """Return the journal of a plan's run, by step."""
        with self.store.read() as look:
            return {record.step_id: record for record in look.find(StepRecord, plan_id=plan.id)}

    def trail(self, plan: Plan | None = None) -> list[AuditEntry]:
        """Return the audit trail, or what it says about one plan."""
        with self.store.read() as look:
            return [entry for entry in look.audit() if plan is None or entry.plan_id == plan.id]

    def actions(self, plan: Plan | None = None) -> list[str]:
        """Return what happened, in the audit trail's words."""
        return [entry.action for entry in self.trail(plan)]

    def contained(self, which: str = "") -> list[InForce]:
        """Return what is contained now."""
        return self.watch.contained(which)

    def notices(self) -> list[Notice]:
        """Return everything that people were told or will be."""
        with self.store.read() as look:
            return look.find(Notice)

    def told(self) -> list[str]:
        """Return the codes of everything that people were told."""
        return [said.code for notice in self.notices() for said in notice.messages]

    def tampers(self, noun: Any) -> None:
        """Change a row behind everybody's back."""
        with self.store.change() as tx:
            tx.put(noun)
            tx.append(_TAMPERER, "tampered")


def _all_runbooks() -> tuple[Runbook, ...]:
    return (runbooks.disable_leaked_key(), runbooks.protect_buckets(), runbooks.quarantine_account())
