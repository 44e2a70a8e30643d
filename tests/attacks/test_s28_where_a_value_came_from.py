"""S28: nobody puts a value of their own into a plan in the place of what the settings say, or unseen."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.lab.trials import Proof
from twokey.chat.slack.views import modals
from twokey.chat.slack.views.text import Words
from twokey.core.approvals import ApprovalStatus
from twokey.core.errors import Refused
from twokey.core.runbooks import Plan, PlanState, Target, digest_of
from twokey.core.signals import Resource
from twokey.providers.aws import AwsOptions, provider
from twokey.testing import runbooks
from twokey.testing.clocks import SettableClock
from twokey.testing.clouds import ACCOUNT
from twokey.testing.clouds.company import WORKLOADS
from twokey.testing.clouds.organizations_api import MemoryOrganizations
from twokey.testing.runbooks import LEAKED_KEY, PROTECT_BUCKETS, QUARANTINE_ACCOUNT
from twokey.testing.world import World

ATTACKERS = "arn:aws:iam::111122223333:role/AttackersRole"


@pytest.fixture
def world() -> World:
    made = World()
    made.incident()
    return made


def refusals(world: World) -> list[str]:
    return [str(one.data.get("code")) for one in world.trail() if one.action.endswith(".refused")]


def shown(plan: Plan, language: str = "en") -> str:
    made = modals.approve(
        plan,
        ApprovalStatus((), 2),
        lambda person: f"<{person}>",
        Words(language),
        viewer="d-ben",
        channel="C1",
    )
    return json.dumps(made, ensure_ascii=False)


@pytest.mark.parametrize(
    "given",
    [{"quarantine_parent_id": WORKLOADS}, {"responder_role_arn": ATTACKERS}],
    ids=lambda one: next(iter(one)),
)
def test_s28_what_comes_from_the_settings_nobody_gives_and_the_try_is_on_record(
    given: dict[str, Any], proof: Proof
) -> None:
    for _ in (trials := proof("S28", "what comes from the settings nobody gives by hand")):
        world = World()
        world.incident()
        with pytest.raises(Refused, match=r"refused.param_from_settings"):
            world.proposes("ana", QUARANTINE_ACCOUNT, **given)
        assert refusals(world) == ["refused.param_from_settings"]
        assert world.cloud.effects == []
        trials.outcome(next(iter(given)).replace("_", " "))


def test_s28_nor_does_anybody_fill_in_what_the_settings_leave_out(world: World) -> None:
    world.changes_settings(quarantine_parent_ou="")
    with pytest.raises(Refused, match=r"refused.param_from_settings"):
        world.proposes("ana", QUARANTINE_ACCOUNT, quarantine_parent_id=WORKLOADS)
    with pytest.raises(Refused, match=r"refused.param_missing"):
        world.proposes("ana", QUARANTINE_ACCOUNT)


def test_s28_giving_what_the_settings_say_is_no_override(world: World) -> None:
    plain = world.previews("ana", QUARANTINE_ACCOUNT)
    given: dict[str, Any] = dict(plain.params)
    again = world.previews("ana", QUARANTINE_ACCOUNT, **given)
    assert again.provenance == plain.provenance
    assert again.provenance["quarantine_parent_id"] == "config"
    assert again.digest == plain.digest


def test_s28_a_runbook_may_allow_it_and_then_everybody_sees_whose_value_it_is() -> None:
    book = runbooks.quarantine_account()
    params = tuple(replace(param, may_override=param.source.startswith("config.")) for param in book.params)
    world = World(replace(book, params=params))
    world.incident()
    plan = world.proposes("ana", QUARANTINE_ACCOUNT, quarantine_parent_id=WORKLOADS)
    assert plan.provenance["quarantine_parent_id"] == "person"
    assert "typed by" in shown(plan)
    world.approves("ben", plan)
    world.approves("cho", plan)
    world.works_on(2)
    assert world.plan(plan).state is PlanState.DONE


def test_s28_a_value_that_the_incident_does_not_say_is_shown_beside_what_it_says(world: World) -> None:
    other = "444455556666"
    plan = world.proposes("ana", QUARANTINE_ACCOUNT, account_id=other)
    assert plan.provenance["account_id"] == "person"
    (note,) = [note for note in plan.warnings if note.code == "plan.param_said_otherwise"]
    assert note.params == {"param": "account_id", "said": ACCOUNT}
    text = shown(plan)
    assert "typed by &lt;d-ana&gt;" in text
    assert f"say: {ACCOUNT}" in text
    assert "from the settings" in text
    assert "d-ana" in shown(plan, "ja")


def test_s28_a_setting_that_changed_after_the_keys_voids_them(world: World) -> None:
    plan = world.proposes("ana", QUARANTINE_ACCOUNT)
    world.approves("ben", plan)
    world.approves("cho", plan)
    world.changes_settings(quarantine_parent_ou=WORKLOADS)
    world.works_on(1)
    assert world.plan(plan).state is PlanState.VOIDED
    assert world.cloud.effects == []


def test_s28_what_the_incident_learns_after_the_keys_voids_nothing(world: World) -> None:
    plan = world.proposes("ana", PROTECT_BUCKETS)
    world.approves("ben", plan)
    more = (Resource("arn:aws:s3:::acme-photos", "AwsS3Bucket"),)
    world.arrives(world.finding("f1", resources=more, updated_at=world.clock.now()))
    world.works_on(2)
    assert world.plan(plan).state is PlanState.DONE
    assert [one["bucket"] for one in world.cloud.done()] == ["acme-invoices"]


@pytest.mark.parametrize("source", ["incident", "config", "default", ""])
@pytest.mark.parametrize("runbook", [LEAKED_KEY, QUARANTINE_ACCOUNT])
def test_s28_a_stored_plan_that_lies_about_whose_value_it_is_does_not_run(
    world: World, runbook: str, source: str
) -> None:
    """Rows rewritten so that every digest fits: the value was typed, and the row says that it was not."""
    if runbook == LEAKED_KEY:
        world.cloud.state.keys["AKIAIOSFODNN7OTHERS1"] = type(world.cloud.state.keys["AKIAIOSFODNN7EXAMPLE"])(
            ACCOUNT, "admin"
        )
        plan, name = world.proposes("ana", runbook, access_key_id="AKIAIOSFODNN7OTHERS1"), "access_key_id"
        world.approves("ben", plan)
    else:
        plan, name = world.proposes("ana", runbook, account_id="444455556666"), "account_id"
        world.approves("ben", plan)
        world.approves("cho", plan)
    lies = {**plan.provenance, name: source} if source else {}
    forged = replace(plan, provenance=lies, state=PlanState.APPROVED)
    forged = replace(forged, digest=digest_of(forged))
    world.tampers(forged)
    for key in world.keys(plan):
        world.tampers(replace(key, digest=forged.digest))
    world.works_on(1)
    assert world.plan(plan).state is PlanState.VOIDED
    assert world.cloud.effects == []


SPARED = [
    {"ArnNotLike": {"aws:PrincipalArn": [ATTACKERS]}},
    {"ArnNotLike": {"aws:PrincipalArn": [f"arn:aws:iam::{ACCOUNT}:role/TwokeyResponder", ATTACKERS]}},
    {"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/*"}},
    {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::999900001111:role/TwokeyResponder"}},
    {"ArnNotEquals": {"AWS:principalARN": ATTACKERS}},
    {"ArnNotLikeIfExists": {"aws:PrincipalArn": ATTACKERS}},
    {"ForAnyValue:ArnNotLike": {"aws:PrincipalArn": ATTACKERS}},
    {"StringNotEquals": {"aws:PrincipalArn": ATTACKERS}},
    {"StringNotLike": {"aws:PrincipalTag/team": "red"}},
    {"StringNotEquals": {"aws:userid": "AROAEXAMPLE:x"}},
    {"ArnLike": {"aws:PrincipalArn": ATTACKERS}},
    {"StringEquals": {"aws:PrincipalAccount": "999900009999"}},
]


@pytest.mark.parametrize("condition", SPARED, ids=[json.dumps(one)[:60] for one in SPARED])
def test_s28_a_deny_that_spares_anybody_but_our_own_role_there_is_refused_and_refused_again(
    condition: dict[str, Any],
) -> None:
    org = MemoryOrganizations(AwsOptions(), SettableClock(), "999900001111", "999900002222")
    create = provider(AwsOptions(), org.clock, session=org).actions["aws.organizations.create_policy"]  # type: ignore[arg-type]
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    inputs: dict[str, Any] = {"name": "q", "type": "SERVICE_CONTROL_POLICY", "document": document}
    target = Target(ACCOUNT)
    preview = create.preview(target, inputs)
    assert preview.refusal is not None
    with pytest.raises(Refused):
        create.apply(target, inputs, "plan-1/create_scp")
    assert org.done == []
