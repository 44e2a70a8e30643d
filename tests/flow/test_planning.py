"""A plan is what a runbook, an incident and the cloud make of each other: always the same for the same."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twokey.core.errors import Invalid, Refused
from twokey.core.runbooks import digest_of
from twokey.core.signals import Principal, Resource
from twokey.flow.planning.parameters import typed_value
from twokey.testing.clouds import (
    ACCOUNT,
    KEY_ID,
    MANAGEMENT,
    OWN_ACCOUNT,
    PARAMETER_TYPES,
    QUARANTINE,
    ROOT,
    WORKLOADS,
)
from twokey.testing.runbooks import LEAKED_KEY, PROTECT_BUCKETS, QUARANTINE_ACCOUNT
from twokey.testing.world import CONFIG, World


def test_the_same_things_make_the_same_plan(world):
    world.incident()
    one, two = world.previews("ana"), world.previews("ben")
    assert one.digest == two.digest == digest_of(one)


def test_a_plan_shows_what_it_touches_read_fresh_and_not_from_the_finding(world):
    world.incident(title="please touch admin instead", principal=Principal("admin", "IAMUser", KEY_ID))
    plan = world.previews("ana")
    assert {(t.kind, t.id) for t in plan.touches} == {("principal", "deploy"), ("access-key", KEY_ID)}
    assert plan.blast == {"principals": 1}
    assert plan.typed_target == KEY_ID[-4:]


def test_a_plan_holds_rendered_documents_and_no_templates(world):
    world.incident()
    step = next(s for s in world.previews("ana").steps if s.id == "deny_user")
    assert "template" not in step.inputs
    assert step.inputs["document"].startswith('{"Statement":[{"Action":"*","Effect":"Deny"')


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"access_key_id": "ASIATEMPORARY1234567"}, "plan.param_type"),
        ({"access_key_id": "AKIA; rm -rf /"}, "plan.param_type"),
        ({"access_key_id": "AKIAIOSFODNN7EXAMPLE\n"}, "plan.param_type"),
        ({"account_id": "12345"}, "plan.param_type"),
        ({"account_id": "１１１１２２２２３３３３"}, "plan.param_type"),
        ({"contain_user": "perhaps"}, "plan.param_type"),
        ({"contain_user": 1}, "plan.param_type"),
        ({"nonsense": "1"}, "plan.unknown_param"),
    ],
)
def test_a_parameter_is_of_its_type_or_refused(world, given, code):
    world.incident()
    with pytest.raises(Invalid, match=f"^{code}"):
        world.previews("ana", **given)


def test_a_parameter_that_nothing_knows_is_asked_for(world):
    world.incident(principal=Principal("deploy"))
    before = len(world.trail())
    with pytest.raises(Refused, match=r"refused.param_missing"):
        world.previews("ana")
    assert len(world.trail()) == before  # a form that is not filled in is no refusal to keep


def test_a_step_that_is_switched_off_is_not_in_the_plan(world):
    world.incident()
    assert [s.id for s in world.previews("ana", contain_user=False).steps][-1] == "deactivate_key"


@pytest.mark.parametrize("account", [MANAGEMENT, OWN_ACCOUNT])
def test_the_management_account_and_our_own_are_never_contained(world, account):
    world.incident()
    with pytest.raises(Refused):
        world.previews("ana", QUARANTINE_ACCOUNT, account_id=account)
    assert world.trail()[-1].action == "preview.refused"


def test_the_root_is_never_a_target(world):
    world.incident()
    world.changes_settings(quarantine_parent_ou=ROOT)
    with pytest.raises(Refused, match=r"refused.guard|aws.org.is_root"):
        world.previews("ana", QUARANTINE_ACCOUNT)


def test_more_than_the_runbook_allows_is_refused(world):
    resources = tuple(Resource(f"arn:aws:s3:::b{n}", "AwsS3Bucket") for n in range(11))
    for n in range(11):
        world.cloud.state.buckets[f"b{n}0"] = ACCOUNT
        world.cloud.state.bucket_policies[f"b{n}0"] = []
    world.incident(resources=tuple(replace(r, id=r.id + "0") for r in resources))
    with pytest.raises(Refused, match=r"refused.blast_radius"):
        world.previews("ana", PROTECT_BUCKETS)


def test_a_runbook_of_another_cloud_does_not_fit(world):
    world.incident(provider="azure")
    with pytest.raises(Refused, match=r"refused.other_cloud"):
        world.previews("ana", LEAKED_KEY)
    assert world.containment.suggestions("INC-1") == []


TREES = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["unit", "account", "account"])), min_size=1, max_size=12
)


@settings(max_examples=300, deadline=None)
@given(tree=TREES, parent=st.integers(0, 12), target=st.integers(0, 13))
def test_whatever_the_organisation_looks_like_only_one_account_is_ever_behind_the_deny(tree, parent, target):
    """S14: never Root, never the management account, never our own; what was shown is what is executed."""
    world = World()
    cloud = world.cloud.state
    units = [ROOT, WORKLOADS, QUARANTINE]
    for number, (under, kind) in enumerate(tree):
        where = units[under % len(units)]
        if kind == "unit":
            unit = f"ou-exmp-tree{number:04d}"
            cloud.units[unit] = type(cloud.units[WORKLOADS])(f"t{number}", where)
            units.append(unit)
        else:
            cloud.accounts[f"7777000000{number:02d}"] = where
    accounts = [*cloud.accounts, ROOT]
    account, under = accounts[target % len(accounts)], units[parent % len(units)]
    config: Any = CONFIG["aws"]
    world.planner = replace(world.planner, config={"aws": {**config, "quarantine_parent_ou": under}})
    world.containment = replace(world.containment, planner=world.planner)
    world.executor = replace(world.executor, planner=world.planner)
    world.incident(account=account)
    before = dict(cloud.accounts)
    try:
        plan = world.proposes("ana", QUARANTINE_ACCOUNT)
    except (Refused, Invalid):
        assert world.cloud.effects == []
        assert account in (ROOT, MANAGEMENT, OWN_ACCOUNT) or under == ROOT
        return
    for name in ("ben", "cho"):
        world.approves(name, plan)
    world.executor.execute(plan.id)
    assert account not in (ROOT, MANAGEMENT, OWN_ACCOUNT)
    denied = {t for p, t in cloud.attached if p != "p-FullAWSAccess"}
    assert ROOT not in denied
    moved = {a for a, where in cloud.accounts.items() if before[a] != where}
    assert moved == {account} == {a for a, where in cloud.accounts.items() if where in denied}
    assert {t.id for t in plan.touches if t.kind == "account"} == moved


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        ("a-bucket, b-bucket", "aws.buckets", ["a-bucket", "b-bucket"]),
        (["a-bucket"], "aws.buckets", ["a-bucket"]),
        ("true", "bool", True),
        (False, "bool", False),
        ("some words", "text", "some words"),
        ("some, words", "texts", ["some", "words"]),
    ],
)
def test_a_value_is_read_by_its_type(value, kind, found):
    assert typed_value(value, kind, PARAMETER_TYPES, "p") == found


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("A_BUCKET", "aws.buckets"),
        (["ok-bucket", "../x"], "aws.buckets"),
        ([["nested"]], "aws.buckets"),
        (["one-bucket"], "aws.bucket"),
        ({"a": 1}, "aws.bucket"),
        ("x\ny", "text"),
        ("x", "no.such_type"),
        ("", "aws.bucket"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(value, kind):
    with pytest.raises(Invalid, match=r"plan.param_type"):
        typed_value(value, kind, PARAMETER_TYPES, "p")
