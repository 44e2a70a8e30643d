"""S27: whoever holds the account cannot stop a containment by touching what it is about."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from tests.lab.aws.account import ATTACKER, MemoryAccount
from tests.lab.trials import Proof
from twokey.catalog.library import FileLibrary
from twokey.core.errors import Refused
from twokey.core.runbooks import Plan, PlanState, digest_of
from twokey.providers.aws import AwsOptions, provider
from twokey.settings import data_folder
from twokey.testing.clocks import SystemClock
from twokey.testing.clouds import ACCOUNT, KEY_ID
from twokey.testing.runbooks import LEAKED_KEY, PROTECT_BUCKETS
from twokey.testing.world import World

TAG = "twokey:never-contain"
BUCKET = "acme-invoices"


@dataclass
class Scene:
    """People, the shipped runbooks with the real actions, and an account that somebody else holds too."""

    world: World
    account: MemoryAccount

    def latest(self) -> Plan:
        with self.world.store.read() as look:
            return look.find(Plan)[-1]

    def is_contained(self, runbook: str) -> None:
        if runbook == LEAKED_KEY:
            assert self.account.keys[KEY_ID][1] == "Inactive"
            assert ("deploy", "twokey-quarantine-INC-1") in self.account.user_policies
        else:
            assert "TwokeyProtect" in self.account.policies[BUCKET]

    def refusal(self, runbook: str) -> str:
        with pytest.raises(Refused) as caught:
            self.world.previews("ana", runbook)
        return str(caught.value)


def scene(**options: tuple[str, ...]) -> Scene:
    clouds = {"aws": provider(AwsOptions(), SystemClock())}
    library = FileLibrary(data_folder("runbooks"), clouds)
    world = World(library.runbook(LEAKED_KEY), library.runbook(PROTECT_BUCKETS))
    account = MemoryAccount(ACCOUNT, world.clock)
    account.options = replace(account.options, **options)  # type: ignore[arg-type]
    account.keys = {KEY_ID: ("deploy", "Active")}
    account.policies = {BUCKET: policy(0)}
    world.cloud = provider(account.options, world.clock, session=account)  # type: ignore[assignment, arg-type]
    world._restarted()
    world.incident()
    return Scene(world, account)


def policy(number: int) -> str:
    """Return a bucket policy that an attacker wrote: other statements every time."""
    statement = {
        "Sid": f"Mine{number}",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/{number}/*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def touches_policy(attacked: Scene, random: Random) -> None:
    attacked.account.policies[BUCKET] = policy(random.randrange(1, 1_000_000))


def drops_policy(attacked: Scene, _: Random) -> None:
    attacked.account.policies[BUCKET] = ""


def puts_our_statement(attacked: Scene, _: Random) -> None:
    document = str(attacked.latest().steps[0].inputs["document"])
    attacked.account.policies[BUCKET] = document


def tags_bucket(attacked: Scene, _: Random) -> None:
    attacked.account.tag(BUCKET, TAG)


def tags_user(attacked: Scene, _: Random) -> None:
    attacked.account.tag("deploy", TAG)


def tags_otherwise(attacked: Scene, random: Random) -> None:
    attacked.account.tag("deploy", f"x{random.randrange(1000)}")


def switches_off(attacked: Scene, _: Random) -> None:
    attacked.account.keys[KEY_ID] = ("deploy", "Inactive")


def puts_the_deny(attacked: Scene, _: Random) -> None:
    step = next(step for step in attacked.latest().steps if step.id == "deny_user")
    name, document = str(step.inputs["policy_name"]), str(step.inputs["document"])
    attacked.account.user_policies["deploy", name] = document


def puts_another_policy(attacked: Scene, random: Random) -> None:
    attacked.account.user_policies["deploy", f"mine-{random.randrange(1000)}"] = policy(1)


TOUCHES: tuple[tuple[str, Callable[[Scene, Random], None]], ...] = (
    (PROTECT_BUCKETS, touches_policy),
    (PROTECT_BUCKETS, drops_policy),
    (PROTECT_BUCKETS, puts_our_statement),
    (PROTECT_BUCKETS, tags_bucket),
    (LEAKED_KEY, tags_user),
    (LEAKED_KEY, tags_otherwise),
    (LEAKED_KEY, switches_off),
    (LEAKED_KEY, puts_the_deny),
    (LEAKED_KEY, puts_another_policy),
)


@pytest.mark.parametrize(("runbook", "touch"), TOUCHES, ids=lambda one: getattr(one, "__name__", None))
def test_s27_what_is_touched_after_the_keys_voids_nothing(
    runbook: str, touch: Callable[[Scene, Random], None], proof: Proof
) -> None:
    promise = "what somebody in the account touches after a key voids nothing"
    for random in (trials := proof("S27", promise)):
        attacked = scene()
        plan = attacked.world.proposes("ana", runbook)
        if random.random() < 0.5:
            touch(attacked, random)
        attacked.world.approves("ben", plan)
        touch(attacked, random)
        attacked.world.works_on(3)
        assert attacked.world.plan(plan).state is PlanState.DONE, attacked.world.plan(plan).reason
        attacked.is_contained(runbook)
        trials.outcome(touch.__name__.replace("_", " "))


def test_s27_a_policy_rewritten_after_every_key_is_merged_as_it_is_then_and_the_difference_is_told() -> None:
    attacked = scene()
    plan = attacked.world.proposes("ana", PROTECT_BUCKETS)
    attacked.world.approves("ben", plan)
    attacked.account.policies[BUCKET] = policy(7)
    attacked.world.works_on(3)
    sids = [one["Sid"] for one in json.loads(attacked.account.policies[BUCKET])["Statement"]]
    assert sids == ["Mine7", "TwokeyProtect"]
    (entry,) = [one for one in attacked.world.trail(plan) if one.action == "run.shown_differs"]
    said: Any = entry.data
    assert said["steps"] == ["protect[1]"]
    assert said["now"]["protect[1]"]["statements"] == ["Mine7"]
    assert "execution.shown_differs" in attacked.world.told()


@pytest.mark.parametrize(("runbook", "what"), [(LEAKED_KEY, "deploy"), (PROTECT_BUCKETS, BUCKET)])
def test_s27_a_tag_from_before_the_incident_keeps_out_and_says_who_set_it(runbook: str, what: str) -> None:
    attacked = scene()
    began = attacked.world.incidents()[0].opened_at
    attacked.account.tag(what, TAG, at=began - timedelta(days=40), by="arn:aws:iam::1:role/platform")
    refusal = attacked.refusal(runbook)
    assert "aws.tag.was_before" in refusal
    assert "arn:aws:iam::1:role/platform" in refusal
    # ... and setting it once more does not make it a younger one.
    attacked.account.tag(what, TAG)
    assert "aws.tag.was_before" in attacked.refusal(runbook)


@pytest.mark.parametrize(("runbook", "what"), [(LEAKED_KEY, "deploy"), (PROTECT_BUCKETS, BUCKET)])
def test_s27_a_tag_that_nobody_can_date_keeps_out(runbook: str, what: str) -> None:
    """It is older than CloudTrail keeps, CloudTrail may not be asked, or tells of an attempt that failed alone."""
    attacked = scene()
    attacked.account.tags[what] = {TAG: ""}
    assert "aws.tag.not_told" in attacked.refusal(runbook)
    attacked.account.notes(
        "TagUser", {"userName": what, "tags": [{"key": TAG, "value": ""}]}, error="AccessDenied"
    )
    attacked.account.notes("PutBucketTagging", {"bucketName": "another", "Tagging": TAG})
    assert "aws.tag.not_told" in attacked.refusal(runbook)
    attacked.account.denied = {"lookup_events"}
    assert "aws.tag.cannot_tell" in attacked.refusal(runbook)


def test_s27_a_flood_of_tagging_calls_is_not_read_for_ever_and_does_not_count_as_an_answer() -> None:
    attacked = scene()
    attacked.account.tags["deploy"] = {TAG: ""}
    for number in range(501):
        attacked.account.notes("TagUser", {"userName": f"u{number}", "tags": [{"key": "x", "value": ""}]})
    assert "aws.tag.too_many_events" in attacked.refusal(LEAKED_KEY)


@pytest.mark.parametrize(("runbook", "touch"), [(LEAKED_KEY, tags_user), (PROTECT_BUCKETS, tags_bucket)])
def test_s27_a_tag_that_cloudtrail_does_not_tell_of_yet_holds_a_run_up_and_voids_nothing(
    runbook: str, touch: Callable[[Scene, Random], None]
) -> None:
    attacked = scene()
    attacked.account.lag = timedelta(minutes=10)
    plan = attacked.world.proposes("ana", runbook)
    attacked.world.approves("ben", plan)
    touch(attacked, Random(1))
    attacked.world.works_on(3)
    assert attacked.account.done == []
    assert "run.waits" in attacked.world.actions(plan)
    assert "aws.tag.not_told" in attacked.refusal(runbook)  # a new plan is not made on it
    attacked.world.works_on(12)
    assert attacked.world.plan(plan).state is PlanState.DONE
    attacked.is_contained(runbook)


def test_s27_a_tag_of_after_the_beginning_is_shown_with_who_set_it() -> None:
    attacked = scene()
    attacked.account.tag("deploy", TAG)
    plan = attacked.world.previews("ana", LEAKED_KEY)
    (note,) = [note for note in plan.warnings if note.code == "aws.tag.came_after"]
    assert note.params["by"] == ATTACKER


@pytest.mark.parametrize(
    ("runbook", "entry"),
    [
        (LEAKED_KEY, "deploy"),
        (LEAKED_KEY, f"arn:aws:iam::{ACCOUNT}:user/ci/deploy"),
        (LEAKED_KEY, KEY_ID),
        (LEAKED_KEY, ACCOUNT),
        (PROTECT_BUCKETS, BUCKET),
        (PROTECT_BUCKETS, f"arn:aws:s3:::{BUCKET}"),
        (PROTECT_BUCKETS, ACCOUNT),
    ],
)
def test_s27_what_the_settings_list_is_refused_when_it_is_planned_and_when_it_runs(
    runbook: str, entry: str
) -> None:
    attacked = scene()
    plan = attacked.world.proposes("ana", runbook)
    attacked.world.approves("ben", plan)
    attacked.account.options = replace(attacked.account.options, never_contain=(entry,))
    attacked.world.works_on(3)
    assert attacked.world.plan(plan).state is PlanState.VOIDED
    assert attacked.account.done == []
    assert "aws.never_contain" in attacked.refusal(runbook)


def test_s27_the_settings_can_set_a_tag_aside_and_nobody_else_can() -> None:
    attacked = scene(contain_despite_tag=("deploy",))
    attacked.account.tags["deploy"] = {TAG: ""}
    plan = attacked.world.previews("ana", LEAKED_KEY)
    assert "aws.tag.set_aside" in [note.code for note in plan.warnings]
    attacked.account.tags[BUCKET] = {TAG: ""}
    assert "aws.tag.not_told" in attacked.refusal(PROTECT_BUCKETS)


def test_s27_a_signal_that_comes_late_moves_no_beginning_under_the_keys() -> None:
    attacked = scene()
    plan = attacked.world.proposes("ana", LEAKED_KEY)
    attacked.world.approves("ben", plan)
    early = attacked.world.clock.now() - timedelta(hours=9)
    attacked.world.arrives(
        attacked.world.finding("f1", started_at=early, updated_at=attacked.world.clock.now())
    )
    attacked.world.works_on(3)
    assert attacked.world.plan(plan).state is PlanState.DONE


def test_s27_a_stored_beginning_that_no_signal_told_is_void() -> None:
    """Moved back in the database, it would make a tag of before the incident count for nothing."""
    attacked = scene()
    attacked.account.tag("deploy", TAG)
    plan = attacked.world.proposes("ana", LEAKED_KEY)
    attacked.world.approves("ben", plan)
    changed = replace(plan, began="2020-01-01T00:00:00+00:00", state=PlanState.APPROVED)
    changed = replace(changed, digest=digest_of(changed))
    attacked.world.tampers(changed)
    for key in attacked.world.keys(plan):
        attacked.world.tampers(replace(key, digest=changed.digest))
    attacked.world.works_on(3)
    assert attacked.world.plan(plan).state is PlanState.VOIDED
    assert attacked.account.done == []
