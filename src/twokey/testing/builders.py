"""Builders of the nouns with sensible defaults: tests name only what matters to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from twokey.core.approvals import Approval, approval_id
from twokey.core.audit import GENESIS, AuditEntry, seal
from twokey.core.errors import Json
from twokey.core.executions import StepRecord, StepState, record_id
from twokey.core.incidents import Incident, Severity, State, Times
from twokey.core.people import Actor, ChatAccount, ChatIdentity, Person, Role, Roster, system
from twokey.core.postmortems import ContainmentRecord, Postmortem, Record, metrics, postmortem_id
from twokey.core.responsibility import ActionOwner, Confidence, Label, Origin, Planned, Verdict
from twokey.core.runbooks import (
    ActionCall,
    ApprovalProfile,
    CheckCall,
    Effect,
    Plan,
    PlanState,
    Risk,
    Step,
    Target,
    Touch,
    digest_of,
)
from twokey.core.sightings import Sighting
from twokey.core.signals import Principal, Resource, Signal, SignalKind
from twokey.providers.aws import answers as aws_answers
from twokey.providers.azure import answers as azure_answers

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ACCOUNT = "111122223333"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
TEAM = "T0ACME"
_ANSWERS = {"aws": aws_answers, "azure": azure_answers}


def at(minutes: float = 0) -> datetime:
    """Return a moment so many minutes after noon of the tests' day."""
    return NOON + timedelta(minutes=minutes)


def answered(signal: Signal) -> Signal:
    """Give a signal the typed answers that its cloud's reader would give; another cloud's stays as it is."""
    cloud = _ANSWERS.get(signal.provider)
    return cloud.complete_signal(signal) if cloud else signal


def answered_incident(incident: Incident) -> Incident:
    """Give an incident the typed answers that it has from its cloud's reader."""
    cloud = _ANSWERS.get(incident.provider)
    return cloud.complete_incident(incident) if cloud else incident


def a_person(id: str = "d-aoi", name: str = "Aoi Sato", **changes: Any) -> Person:
    """Make a person who may do everything everywhere."""
    person = Person(
        id=id,
        name=name,
        accounts=(ChatAccount(TEAM, "U" + id.removeprefix("d-").upper()),),
        roles=frozenset(Role),
        scopes=("*",),
        has_step_up=True,
    )
    return replace(person, **changes)


def a_roster(*people: Person) -> Roster:
    """Make a roster; of two people when none are named."""
    return Roster(people or (a_person(), a_person("d-ben", "Ben Okafor")), digest="0" * 64)


def an_identity(person: Person | None = None, **changes: Any) -> ChatIdentity:
    """Make what the chat says about a person's first account."""
    account = (person or a_person()).accounts[0]
    return replace(ChatIdentity(account, channel="C0INCIDENTS"), **changes)


def a_verdict(label: Label = Label.CUSTOMER_SECURITY, **changes: Any) -> Verdict:
    """Make a verdict that fits its label."""
    provider = label.value.startswith("provider-")
    verdict = Verdict(
        label=label,
        origin=Origin.PROVIDER if provider else Origin.CUSTOMER,
        plan=Planned.PLANNED if label is Label.PROVIDER_MAINTENANCE else Planned.UNPLANNED,
        action_owner=ActionOwner.PROVIDER if provider else ActionOwner.CUSTOMER,
        confidence=Confidence.HIGH,
        rule="aws-health-issue" if provider else "guardduty-finding",
        reason="AWS says so about itself" if provider else "GuardDuty reports on what customers do",
        service_model="IaaS",
        fields={"source": "aws.health"} if provider else {"source": "aws.guardduty"},
    )
    return replace(verdict, **changes)


def a_signal(id: str = "sig-1", **changes: Any) -> Signal:
    """Make a GuardDuty finding about a leaked key."""
    signal = Signal(
        id=id,
        subject="arn:aws:guardduty:us-east-1:111122223333:detector/d/finding/f1",
        kind=SignalKind.FINDING,
        provider="aws",
        family="guardduty",
        type="UnauthorizedAccess:IAMUser/MaliciousIPCaller",
        title="API calls from a known malicious address with key " + KEY_ID,
        service="iam",
        region="us-east-1",
        account=ACCOUNT,
        severity=8.0,
        started_at=at(-30),
        detected_at=at(-5),
        resources=(Resource(f"arn:aws:iam::{ACCOUNT}:user/deploy", "AwsIamUser", "us-east-1"),),
        principal=Principal("deploy", "IAMUser", KEY_ID, f"arn:aws:iam::{ACCOUNT}:user/deploy"),
        raw_id="raw-" + "a" * 32,
    )
    return answered(replace(signal, **changes))


def a_sighting(id: str = "sig-1", incident_id: str = "INC-12", **changes: Any) -> Sighting:
    """Make a sighting of the signal with this id."""
    signal = a_signal(id)
    return replace(Sighting(id, signal.subject, incident_id, at(-4), signal, a_verdict()), **changes)


def an_incident(id: str = "INC-12", **changes: Any) -> Incident:
    """Make an incident that was worked through: every one of its seven times is known."""
    signal = a_signal()
    incident = Incident(
        id=id,
        number=int(id.rpartition("-")[2]),
        title=signal.title,
        verdict=a_verdict(),
        state=State.RESOLVED,
        severity=Severity.SEV2,
        opened_at=at(-4),
        last_signal_at=at(-4),
        provider="aws",
        family=signal.family,
        service=signal.service,
        region=signal.region,
        account=signal.account,
        tenant="o-exampleorgid",
        workspace=TEAM,
        subject=signal.subject,
        group=f"aws|{ACCOUNT}|{KEY_ID}",
        resources=signal.resources,
        principal=signal.principal,
        commander="d-aoi",
        times=Times(at(-30), at(-5), at(-3), at(0), at(14), at(20), at(60)),
    )
    return answered_incident(replace(incident, **changes))


def a_step(id: str = "deactivate_key", **changes: Any) -> Step:
    """Make a step that writes, is verified and can be undone."""
    inputs: dict[str, Json] = {"user_name": "deploy", "access_key_id": KEY_ID, "status": "Inactive"}
    step = Step(
        id=id,
        phase="contain",
        action="aws.update_access_key",
        effect=Effect.MODIFY,
        inputs=inputs,
        verify=CheckCall("aws.key_status_equals", {"access_key_id": KEY_ID, "status": "Inactive"}),
        undo=ActionCall("aws.update_access_key", {**inputs, "status": "Active"}),
    )
    return replace(step, **changes)


def an_evidence_step(id: str = "export_trail", **changes: Any) -> Step:
    """Make a step that only collects evidence."""
    step = Step(id, "evidence", "aws.export_trail", Effect.READ, {"access_key_id": KEY_ID})
    return replace(step, **changes)


def a_plan(id: str = "plan-1", **changes: Any) -> Plan:
    """Make a proposed plan for the leaked key, with its digest."""
    plan = Plan(
        id=id,
        incident_id="INC-12",
        runbook_id="aws.disable-leaked-access-key",
        runbook_version="1.0.0",
        runbook_digest="b" * 64,
        title="Deactivate a leaked access key",
        provider="aws",
        target=Target(ACCOUNT, "us-east-1"),
        risk=Risk.HIGH,
        reversible="full",
        params={"account_id": ACCOUNT, "access_key_id": KEY_ID},
        steps=(an_evidence_step(), a_step()),
        guards=(),
        approval=ApprovalProfile(),
        observed={"deactivate_key": {"status": "Active", "user_name": "deploy"}},
        touches=(Touch("access-key", KEY_ID, "deploy"),),
        blast={"principals": 1},
        typed_target=KEY_ID[-4:],
        requester="d-aoi",
        requested_at=at(5),
        expires_at=at(35),
        state=PlanState.PROPOSED,
    )
    plan = replace(plan, **changes)
    return plan if plan.digest else replace(plan, digest=digest_of(plan))


def an_approval(plan: Plan, person_id: str = "d-ben", role: str = "approver", **changes: Any) -> Approval:
    """Make a key that a person turned on exactly this plan."""
    user = "U" + person_id.removeprefix("d-").upper()
    key = Approval(approval_id(plan.id, person_id), plan.id, plan.digest, person_id, role, at(11))
    return replace(key, **{"account": ChatAccount(TEAM, user), **changes})


def a_step_record(step_id: str = "deactivate_key", plan_id: str = "plan-1", **changes: Any) -> StepRecord:
    """Make the journal row of a step that took effect and was seen to."""
    row = StepRecord(
        id=record_id(plan_id, step_id),
        plan_id=plan_id,
        step_id=step_id,
        order=1,
        state=StepState.VERIFIED,
        key=f"{plan_id}-{step_id}",
        inputs={"access_key_id": KEY_ID, "status": "Inactive"},
        prior={"status": "Active"},
        seen={"status": "Inactive"},
        started_at=at(12),
        ended_at=at(13),
    )
    return replace(row, **changes)


def an_entry(seq: int = 1, action: str = "noted", **changes: Any) -> AuditEntry:
    """Make an audit entry that stands alone (use `a_trail` for a chain that proves itself)."""
    entry = AuditEntry(seq, at(seq), Actor("d-aoi"), action, "INC-12")
    return replace(entry, **changes)


def a_trail(entries: Sequence[AuditEntry]) -> tuple[AuditEntry, ...]:
    """Seal entries into a chain, numbered from 1."""
    sealed: list[AuditEntry] = []
    for number, entry in enumerate(entries, start=1):
        previous = sealed[-1].hash if sealed else GENESIS
        sealed.append(seal(replace(entry, seq=number), previous))
    return tuple(sealed)


def the_story() -> tuple[AuditEntry, ...]:
    """Return the trail of the leaked key, from the finding to the resolution."""
    aoi, ben = Actor("d-aoi", ChatAccount(TEAM, "UAOI")), Actor("d-ben", ChatAccount(TEAM, "UBEN"))
    plan: Mapping[str, str] = {"plan_id": "plan-1"}
    told: list[AuditEntry] = [
        an_entry(1, "opened", at=at(-4), actor=system("intake"), data={"rule": "guardduty-finding"}),
        an_entry(2, "announced", at=at(-3), actor=system("chat")),
        an_entry(3, "acknowledged", at=at(0), actor=aoi),
        an_entry(4, "noted", at=at(2), actor=aoi, data={"text": "the key was in a public .env file"}),
        an_entry(5, "proposed", at=at(5), actor=aoi, **plan),
        an_entry(
            6,
            "approval.refused",
            at=at(6),
            actor=aoi,
            data={"code": "refused.own_plan", "person": "Aoi Sato"},
            **plan,
        ),
        an_entry(7, "approved", at=at(11), actor=ben, data={"role": "approver"}, **plan),
        an_entry(
            8, "step.verified", at=at(13), actor=system("executor"), data={"step": "deactivate_key"}, **plan
        ),
        an_entry(9, "run.done", at=at(14), actor=system("executor"), **plan),
        an_entry(10, "moved", at=at(60), actor=aoi, data={"state": "resolved"}),
    ]
    return a_trail(told)


def a_containment(**changes: Any) -> ContainmentRecord:
    """Make the plan of the leaked key as it went: two keys, one missing log, one verified write."""
    plan = a_plan(state=PlanState.DONE)
    kept = ContainmentRecord(
        plan=plan,
        proposer="Aoi Sato",
        keys=(("Aoi Sato", "proposer", at(5)), ("Ben Okafor", "approver", at(11))),
        journal=(
            a_step_record("export_trail", state=StepState.FAILED, order=0, seen={}, prior={}),
            a_step_record(),
        ),
        started_at=at(12),
        ended_at=at(14),
        approved_at=at(11),
        events=tuple(entry for entry in the_story() if entry.action == "approval.refused"),
    )
    return replace(kept, **changes)


def a_record(**changes: Any) -> Record:
    """Make the whole record of the leaked key."""
    incident = changes.pop("incident", None) or an_incident()
    entries = the_story()
    record = Record(
        incident=incident,
        entries=entries,
        metrics=metrics(incident.times),
        containments=(a_containment(),),
        names={"d-aoi": "Aoi Sato", "d-ben": "Ben Okafor"},
        head=(entries[-1].seq, entries[-1].hash),
        sources=(a_signal().raw_id,),
        drafted_at=at(120),
        drafted_by="Aoi Sato",
    )
    return replace(record, **changes)


def a_postmortem(language: str = "en", audience: str = "internal", **changes: Any) -> Postmortem:
    """Make a drafted post-mortem."""
    draft = Postmortem(
        id=postmortem_id("INC-12", language, audience),
        incident_id="INC-12",
        language=language,
        audience=audience,
        text="# INC-12\n",
        drafted_at=at(120),
        drafted_by="d-aoi",
    )
    return replace(draft, **changes)
