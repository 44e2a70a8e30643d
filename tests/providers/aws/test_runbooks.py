"""The three AWS runbooks from their files, through the real planner, to the emulator and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.stub import Stubber

from twokey.catalog.runbooks import load_runbook
from twokey.core.errors import Json, Refused, TwokeyError
from twokey.core.executions import StepRecord, StepState, record_id, step_scope
from twokey.core.runbooks import OnFailure, Plan, Runbook, references, resolve
from twokey.core.signals import Principal
from twokey.flow.planning.planner import Planner
from twokey.providers.aws.resource_types import resource_of
from twokey.testing.builders import an_incident

FOLDER = Path(__file__).parents[3] / "runbooks"
FILES = sorted(path.name for path in FOLDER.glob("aws.*.yaml"))


def runbook(aws: Any, name: str) -> Runbook:
    path = FOLDER / f"{name}.yaml"
    return load_runbook(path.read_bytes(), str(path), FOLDER, {"aws": aws.cloud})


def run(aws: Any, plan: Plan, plan_id: str) -> dict[str, StepRecord]:
    """Do a plan's steps as the executor does, without its journal: inputs, pre, capture, apply, find, verify."""
    plan = replace(plan, id=plan_id)
    journal: dict[str, StepRecord] = {}
    for order, step in enumerate(plan.steps):
        scope: dict[str, Json] = {"steps": cast("Json", step_scope(journal))}

        def inputs_of(value: Mapping[str, Json], scope: dict[str, Json] = scope) -> dict[str, Json]:
            return cast("dict[str, Json]", resolve(cast("Json", dict(value)), scope))

        action = aws.cloud.actions[step.action]
        inputs, key = inputs_of(step.inputs), f"{plan_id}/{step.id}"
        for check in step.pre:
            assert aws.cloud.checks[check.check].holds(plan.target, inputs_of(check.inputs)).holds, check
        prior = action.capture(plan.target, inputs)
        try:
            outputs = action.apply(plan.target, inputs, key)
        except TwokeyError:
            assert step.on_failure is OnFailure.CONTINUE, step.id
            continue
        kept = (
            {name: outputs.get(source) for name, source in step.outputs.items()} if step.outputs else outputs
        )
        record = StepRecord(
            record_id(plan_id, step.id), plan_id, step.id, order, StepState.VERIFIED, key,
            inputs=inputs, prior=prior, outputs=kept,
        )  # fmt: skip
        journal[step.id] = record
        if step.verify:
            scope["steps"] = cast("Json", step_scope(journal))
            result = aws.cloud.checks[step.verify.check].holds(
                plan.target, inputs_of(step.verify.inputs, scope)
            )
            assert result.holds, (step.id, str(result.reason))
    return journal


def go_and_come_back(aws: Any, plan: Plan, planner: Planner, world: Any) -> Any:
    """Run a plan and its undo; return what the world was in between."""
    before = world()
    journal = run(aws, plan, "plan-1")
    between = world()
    assert between != before
    undo = planner.undo_plan(replace(plan, id="plan-1"), journal)
    assert planner.undo_plan(replace(plan, id="plan-1"), journal).digest == undo.digest
    run(aws, undo, "plan-2")
    assert world() == before
    return between


@pytest.mark.parametrize("name", FILES)
def test_every_runbook_loads_and_watches_end_soon(aws: Any, name: str) -> None:
    book = runbook(aws, name.removesuffix(".yaml"))
    assert book.provider == "aws"
    for step in book.steps:
        if step.phase == "verify" and "cloudtrail" in step.action:
            assert step.on_failure is OnFailure.CONTINUE
            assert step.timeout_s <= 120


@pytest.mark.parametrize("name", FILES)
def test_what_attaches_a_policy_takes_its_target_from_the_unit_that_was_just_made(
    aws: Any, name: str
) -> None:
    book = runbook(aws, name.removesuffix(".yaml"))
    creators = {s.id for s in book.steps if s.action == "aws.organizations.create_organizational_unit"}
    for step in book.steps:
        if step.action == "aws.organizations.attach_policy":
            assert references(step.inputs["target_id"])[0].split(".")[1] in creators


def key_plan(aws: Any, leak: Any) -> tuple[Plan, Planner]:
    planner = Planner({"aws": aws.cloud}, {})
    incident = replace(
        an_incident(),
        account=aws.victim,
        region="us-east-1",
        principal=Principal(name=leak.user, access_key_id=leak.key),
    )
    return planner.plan(runbook(aws, "aws.disable-leaked-access-key"), incident, {}), planner


def test_a_leaked_key_is_switched_off_and_its_user_denied_and_both_come_back(aws: Any, leak: Any) -> None:
    plan, planner = key_plan(aws, leak)
    assert plan.typed_target == leak.key[-4:]
    assert plan.blast == {"principals": 1}
    iam = aws.admin("iam", aws.victim)

    def world() -> Any:
        keys = iam.list_access_keys(UserName=leak.user)["AccessKeyMetadata"]
        return {k["AccessKeyId"]: k["Status"] for k in keys}, iam.list_user_policies(UserName=leak.user)[
            "PolicyNames"
        ]

    keys, policies = go_and_come_back(aws, plan, planner, world)
    assert keys == {leak.key: "Inactive", leak.other_key: "Active"}
    assert policies == ["its-own", "twokey-quarantine-INC-12"]


def test_a_key_plan_is_the_same_plan_when_it_is_looked_at_again(aws: Any, leak: Any) -> None:
    """A use of the key in between must not void the keys that people have turned."""
    first, _ = key_plan(aws, leak)
    aws.clock.advance(600)
    second, _ = key_plan(aws, leak)
    assert first.digest == second.digest
    aws.admin("iam", aws.victim).update_access_key(
        UserName=leak.user, AccessKeyId=leak.key, Status="Inactive"
    )
    third, _ = key_plan(aws, leak)  # nor must whoever holds the key, and switches it on and off
    assert third.digest == first.digest
    assert third.shown != first.shown


def test_a_user_with_the_never_tag_is_not_planned_for(aws: Any, leak: Any) -> None:
    aws.admin("iam", aws.victim).tag_user(
        UserName=leak.user, Tags=[{"Key": "twokey:never-contain", "Value": "break glass"}]
    )
    told = {
        "userIdentity": {"arn": "arn:aws:iam::222222222222:role/platform"},
        "requestParameters": {"userName": leak.user, "tags": [{"key": "twokey:never-contain", "value": "x"}]},
    }
    event = {"EventTime": an_incident().opened_at - timedelta(days=9), "CloudTrailEvent": json.dumps(told)}
    with Stubber(
        aws.session.client("cloudtrail", aws.victim, "us-east-1")
    ) as trail:  # moto has no such events
        trail.add_response("lookup_events", {"Events": [event]})
        with pytest.raises(Refused) as caught:
            key_plan(aws, leak)
    assert caught.value.message.params["guard"] == "user-not-break-glass"
    assert caught.value.message.nested["why"].code == "aws.tag.was_before"


def buckets_plan(aws: Any, names: list[str]) -> tuple[Plan, Planner]:
    planner = Planner({"aws": aws.cloud}, {"aws": {"role_name": "TwokeyResponder"}})
    incident = replace(
        an_incident(),
        account=aws.victim,
        region="us-east-1",
        resources=tuple(resource_of(f"arn:aws:s3:::{name}", "AwsS3Bucket") for name in names),
    )
    return planner.plan(runbook(aws, "aws.protect-buckets"), incident, {}), planner


def test_buckets_are_protected_each_by_its_own_step_and_get_their_own_policy_back(aws: Any) -> None:
    s3 = aws.admin("s3", aws.victim)
    theirs = {"Version": "2012-10-17", "Statement": [{"Sid": "Theirs", "Effect": "Deny", "Principal": "*",
              "Action": "s3:PutObject", "Resource": "arn:aws:s3:::backups-two/*"}]}  # fmt: skip
    for name in ("backups-one", "backups-two"):
        s3.create_bucket(Bucket=name)
    s3.put_bucket_policy(Bucket="backups-two", Policy=json.dumps(theirs))

    def world() -> Any:
        seen = {}
        for name in ("backups-one", "backups-two"):
            try:
                seen[name] = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])
            except s3.exceptions.ClientError:
                seen[name] = None
        return seen

    plan, planner = buckets_plan(aws, ["backups-one", "backups-two"])
    assert [step.id for step in plan.writes] == ["protect[1]", "protect[2]"]
    assert plan.blast == {"buckets": 2}
    between = go_and_come_back(aws, plan, planner, world)
    sids = {name: [s["Sid"] for s in policy["Statement"]] for name, policy in between.items()}
    assert sids == {"backups-one": ["TwokeyProtect"], "backups-two": ["Theirs", "TwokeyProtect"]}


def test_one_bucket_that_is_somebody_elses_stops_the_whole_plan(aws: Any) -> None:
    aws.admin("s3", aws.victim).create_bucket(Bucket="backups-one")
    aws.admin("s3").create_bucket(Bucket="not-theirs")
    with pytest.raises(Refused) as caught:
        buckets_plan(aws, ["backups-one", "not-theirs"])
    assert caught.value.message.params["guard"] == "buckets-belong-to-account"


def quarantine_plan(aws: Any, organization: Any, account: str, parent: str = "") -> tuple[Plan, Planner]:
    config = {"aws": {"quarantine_parent_ou": parent or organization.quarantine}}
    planner = Planner({"aws": aws.cloud}, cast("dict[str, Json]", config))
    incident = replace(an_incident(), account=account, region="us-east-1")
    return planner.plan(runbook(aws, "aws.quarantine-account"), incident, {}), planner


def test_one_account_is_quarantined_and_comes_back(aws: Any, organization: Any) -> None:
    plan, planner = quarantine_plan(aws, organization, organization.account)
    assert plan.typed_target == organization.account
    assert plan.blast == {"accounts": 1}
    notes = {note.code for note in (*plan.warnings, *plan.notes)}
    assert {"aws.scp.denies", "aws.org.moves", "aws.org.policies_change", "aws.org.attach_to_empty"} <= notes

    tree, _ = go_and_come_back(aws, plan, planner, organization.world)
    policies, accounts = tree["/Security/Quarantine/quarantine-INC-12"]
    assert accounts == [organization.account]
    assert "twokey-quarantine-INC-12" in policies
    assert organization.account not in tree["/Workloads"][1]
    for path, (attached, _) in tree.items():
        if path != "/Security/Quarantine/quarantine-INC-12":
            assert "twokey-quarantine-INC-12" not in attached, path


@pytest.mark.parametrize("who", ["own", "delegated", "tagged"])
def test_accounts_that_must_never_be_contained_have_no_plan(aws: Any, organization: Any, who: str) -> None:
    org = aws.admin("organizations")
    account = organization.account
    if who == "own":
        account = aws.own
    elif who == "delegated":
        org.register_delegated_administrator(AccountId=account, ServicePrincipal="guardduty.amazonaws.com")
    else:
        org.tag_resource(ResourceId=account, Tags=[{"Key": "twokey:never-contain", "Value": "x"}])
    before = organization.world()
    with pytest.raises(Refused):
        quarantine_plan(aws, organization, account)
    assert organization.world() == before


def test_a_quarantine_under_the_root_has_no_plan(aws: Any, organization: Any) -> None:
    """The first guard refuses, and the reason names the Root: a wrong setting is told, not run."""
    with pytest.raises(TwokeyError) as caught:
        quarantine_plan(aws, organization, organization.account, parent=organization.root)
    assert caught.value.message.params["guard"] == "parent-is-not-root"
    assert caught.value.message.nested["why"].code == "aws.org.is_root"


def test_an_account_that_somebody_moved_meanwhile_voids_the_plan(aws: Any, organization: Any) -> None:
    first, _ = quarantine_plan(aws, organization, organization.account)
    aws.admin("organizations").move_account(
        AccountId=organization.account,
        SourceParentId=organization.workloads,
        DestinationParentId=organization.root,
    )
    second, _ = quarantine_plan(aws, organization, organization.account)
    assert second.digest != first.digest
