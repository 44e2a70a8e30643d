"""The runbook that closes a public storage account: read, planned, run and taken back, step by step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from tests.lab.arm import Arm, StorageAccount
from twokey.catalog.runbooks import read_runbook
from twokey.core.errors import Json, Refused
from twokey.core.executions import StepRecord, StepState
from twokey.core.incidents import Incident, Severity, State
from twokey.core.responsibility import ActionOwner, Confidence, Label, Origin, Planned, Verdict
from twokey.core.runbooks import Risk, Runbook, resolve
from twokey.flow.planning.planner import Planner
from twokey.ports import Cloud
from twokey.providers.azure.resource_types import resource_of

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "runbooks" / "azure.block-public-storage.yaml"
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
NOW = datetime(2026, 5, 14, 12, tzinfo=UTC)


@pytest.fixture
def runbook(azure: Cloud) -> Runbook:
    reading = read_runbook(FILE.read_bytes(), FILE.name, FILE.parent, {"azure": azure})
    assert reading.faults == ()
    assert reading.runbook is not None
    return reading.runbook


@pytest.fixture
def planner(azure: Cloud) -> Planner:
    return Planner({"azure": azure}, {})


def incident(resource: str) -> Incident:
    return Incident(
        id="INC-1",
        number=1,
        title="A storage account was opened",
        verdict=Verdict(
            Label.CUSTOMER_CONFIG,
            Origin.CUSTOMER,
            Planned.UNPLANNED,
            ActionOwner.CUSTOMER,
            Confidence.HIGH,
            "storage-opened",
            "an administrator allowed anonymous access",
        ),
        state=State.TRIAGE,
        severity=Severity.SEV2,
        opened_at=NOW,
        last_signal_at=NOW,
        provider="azure",
        account=SUBSCRIPTION,
        resources=(resource_of(resource),),
    )


def test_the_runbook_reads_without_a_fault(runbook: Runbook) -> None:
    assert runbook.risk is Risk.HIGH
    assert runbook.break_glass
    assert [step.id for step in runbook.steps] == ["snapshot", "list_open", "block", "snapshot_after"]


def test_the_approver_types_the_name_of_the_account(
    arm: Arm, account: StorageAccount, runbook: Runbook, planner: Planner
) -> None:
    plan = planner.plan(runbook, incident(account.id.upper()), {})
    assert plan.typed_target == "publicassets"
    assert [touch.id for touch in plan.touches] == [account.id]
    assert plan.blast == {"storage_accounts": 1}
    assert arm.writes == []


def test_the_same_state_gives_the_same_digest_and_another_gives_another(
    account: StorageAccount, runbook: Runbook, planner: Planner
) -> None:
    plan = planner.plan(runbook, incident(account.id), {})
    assert planner.plan(runbook, incident(account.id), {}).digest == plan.digest
    account.tags["unrelated"] = "changed"
    assert planner.plan(runbook, incident(account.id), {}).digest == plan.digest
    account.allow_blob_public_access = False  # whoever may write the account could flip it for ever
    again = planner.plan(runbook, incident(account.id), {})
    assert again.digest == plan.digest
    assert again.shown != plan.shown
    later = replace(incident(account.id), opened_at=NOW - timedelta(days=1))
    assert planner.plan(runbook, later, {}).digest != plan.digest


def test_a_name_that_is_not_the_targets_is_refused(
    account: StorageAccount, runbook: Runbook, planner: Planner
) -> None:
    with pytest.raises(Refused) as refused:
        planner.plan(runbook, incident(account.id), {"storage_account_name": "otheraccount"})
    assert refused.value.message.params["guard"] == "name-is-the-targets"


def test_a_container_in_the_finding_leads_to_its_account(
    account: StorageAccount, runbook: Runbook, planner: Planner
) -> None:
    plan = planner.plan(runbook, incident(f"{account.id}/blobServices/default/containers/images"), {})
    assert plan.params["storage_account_id"] == account.id


def test_an_account_that_must_never_be_contained_gets_no_plan(
    account: StorageAccount, runbook: Runbook, planner: Planner
) -> None:
    account.tags["twokey:never-contain"] = "backup vault"
    with pytest.raises(Refused) as refused:
        planner.plan(runbook, incident(account.id), {})
    assert refused.value.message.params["guard"] == "not-never-contain"


def test_an_account_of_another_subscription_gets_no_plan(
    arm: Arm, account: StorageAccount, runbook: Runbook, planner: Planner
) -> None:
    """S13: a finding that names somebody else's resource."""
    elsewhere = account.id.replace(SUBSCRIPTION, "99999999-2222-3333-4444-555555555555")
    with pytest.raises(Refused):
        planner.plan(runbook, incident(elsewhere), {})
    assert arm.calls == []


@pytest.mark.parametrize("before", [True, None])
def test_the_run_blocks_verifies_and_the_undo_brings_access_back(
    account: StorageAccount, azure: Cloud, runbook: Runbook, planner: Planner, before: bool | None
) -> None:
    account.allow_blob_public_access = before
    plan = planner.plan(runbook, incident(account.id), {})
    journal: dict[str, StepRecord] = {}
    for order, step in enumerate(plan.steps):
        action = azure.actions[step.action]
        prior = action.capture(plan.target, step.inputs)
        outputs = action.apply(plan.target, step.inputs, f"plan/{step.id}")
        journal[step.id] = StepRecord(
            f"plan/{step.id}", "plan", step.id, order, StepState.VERIFIED, "", prior=prior, outputs=outputs
        )
        if step.verify:
            scope = cast("dict[str, Json]", {"steps": {}})
            inputs = cast("dict[str, Json]", resolve(cast("Json", dict(step.verify.inputs)), scope))
            assert azure.checks[step.verify.check].holds(plan.target, inputs).holds
    assert account.allow_blob_public_access is False

    undo = planner.undo_plan(plan, journal)
    (back,) = undo.steps
    assert back.inputs["allow"] is True
    assert "azure.note.readers_return" in [note.code for note in undo.warnings]
    azure.actions[back.action].apply(undo.target, back.inputs, "undo")
    assert account.allow_blob_public_access is True
