"""The shipped runbooks with their two keys, the emulator behind them, and somebody who lifts what they contained."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.providers.aws.test_runbooks import runbook
from twokey.core.containments import InForceState
from twokey.core.incidents import State
from twokey.core.runbooks import Plan, PlanState
from twokey.core.signals import Principal, Resource
from twokey.flow.planning.planner import Planner
from twokey.providers.aws.resource_types import resource_of
from twokey.testing.people import FixedLibrary
from twokey.testing.world import World

HARMLESS = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "iam:TagUser", "Resource": "*"}]}
)


def contained(aws: Any, name: str, *people: str, account: str = "", **found: Any) -> tuple[World, Plan]:
    """Let a shipped runbook run with its keys, and return the world with the run."""
    world = World(clock=aws.clock)
    world.cloud, world.library = aws.cloud, FixedLibrary(runbook(aws, name))
    world.restarts()
    config = {"quarantine_parent_ou": found.pop("parent", "ou-none-00000000"), "role_name": "TwokeyResponder"}
    planner = Planner({"aws": aws.cloud}, {"aws": dict(config)})
    for stage in (world.containment, world.executor, world.watch):
        object.__setattr__(stage, "planner", planner)
    region: dict[str, Any] = {"region": "us-east-1", "account": account or aws.victim}
    world.incident(**region, **found)
    plan = world.contains(name, *people)
    assert plan.state is PlanState.DONE
    assert {row.step_id for row in world.contained()} == {step.id for step in plan.writes}
    return world, plan


def lifted(world: World, lift: Callable[[], object]) -> dict[str, InForceState]:
    """Say what quiet hours show, lift something, and return what the looks of the next hours found."""
    world.works_on(6 * 60, step_s=600)
    assert {row.state for row in world.contained()} == {InForceState.IN_FORCE}
    assert world.incidents()[0].state is State.CONTAINED
    lift()
    world.works_on(120, step_s=300)
    assert world.incidents()[0].state is State.INVESTIGATING
    return {row.step_id: row.state for row in world.contained()}


def test_b15_the_attacker_switches_the_key_on_again_and_everybody_knows(aws: Any, leak: Any) -> None:
    world, _ = contained(
        aws, "aws.disable-leaked-access-key", principal=Principal(leak.user, "IAMUser", leak.key)
    )
    iam = aws.admin("iam", aws.victim)
    found = lifted(
        world, lambda: iam.update_access_key(UserName=leak.user, AccessKeyId=leak.key, Status="Active")
    )
    assert found == {"deactivate_key": InForceState.DRIFTED, "deny_user": InForceState.IN_FORCE}
    assert "watch.drifted" in world.told()
    iam.update_access_key(UserName=leak.user, AccessKeyId=leak.key, Status="Inactive")
    world.works_on(120, step_s=300)
    assert "watch.back" in world.told()


def test_a_policy_of_the_same_name_that_denies_nothing_is_seen(aws: Any, leak: Any) -> None:
    world, _ = contained(
        aws, "aws.disable-leaked-access-key", principal=Principal(leak.user, "IAMUser", leak.key)
    )
    iam = aws.admin("iam", aws.victim)
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    found = lifted(
        world,
        lambda: iam.put_user_policy(
            UserName=leak.user, PolicyName="twokey-quarantine-INC-1", PolicyDocument=json.dumps(allow)
        ),
    )
    assert found["deny_user"] is InForceState.DRIFTED


def test_a_bucket_policy_that_is_deleted_is_seen_and_the_other_bucket_is_left_in_peace(aws: Any) -> None:
    s3 = aws.admin("s3", aws.victim)
    names = ("backups-one", "backups-two")
    for name in names:
        s3.create_bucket(Bucket=name)
    resources: tuple[Resource, ...] = tuple(
        resource_of(f"arn:aws:s3:::{name}", "AwsS3Bucket") for name in names
    )
    world, _ = contained(aws, "aws.protect-buckets", resources=resources)
    found = lifted(world, lambda: s3.delete_bucket_policy(Bucket="backups-two"))
    assert found == {"protect[1]": InForceState.IN_FORCE, "protect[2]": InForceState.DRIFTED}


@pytest.mark.parametrize("how", ["moved", "detached", "emptied"])
def test_a_quarantine_stands_for_hours_and_what_leaves_it_is_seen(
    aws: Any, organization: Any, how: str
) -> None:
    org = aws.admin("organizations")
    world, plan = contained(
        aws,
        "aws.quarantine-account",
        *("ana", "ben", "cho"),
        account=organization.account,
        parent=organization.quarantine,
    )
    journal = world.journal(plan)
    unit = str(journal["create_ou"].outputs["ou_id"])
    policy = str(journal["create_scp"].outputs["policy_id"])

    def lift() -> None:
        if how == "moved":
            org.move_account(
                AccountId=organization.account,
                SourceParentId=unit,
                DestinationParentId=organization.workloads,
            )
        elif how == "detached":
            org.detach_policy(PolicyId=policy, TargetId=unit)
        else:
            org.update_policy(PolicyId=policy, Content=HARMLESS)

    found = lifted(world, lift)
    wanted = {"moved": "move_account", "detached": "attach_scp", "emptied": "create_scp"}
    assert {step for step, state in found.items() if state is InForceState.DRIFTED} == {wanted[how]}
