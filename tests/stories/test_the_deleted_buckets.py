"""One leaked key deleted 45 buckets, and nobody noticed for five days. How it goes with twokey."""

from datetime import timedelta

from twokey.core.incidents import Severity, State
from twokey.core.notices import NoticeKind
from twokey.core.people import ChatAccount
from twokey.core.runbooks import PlanState
from twokey.core.signals import Resource
from twokey.testing.clouds import KEY_ID
from twokey.testing.runbooks import LEAKED_KEY, PROTECT_BUCKETS


def deletions(world, count):
    """Let one finding arrive for each bucket that is being deleted."""
    for number in range(count):
        bucket = f"acme-{number:02d}"
        world.cloud.state.buckets[bucket] = "111122223333"
        world.cloud.state.bucket_policies[bucket] = []
        world.arrives(
            world.finding(
                f"delete-{bucket}",
                type="Impact:S3/AnomalousBehavior.Delete",
                title=f"An unusual deletion: {bucket}",
                severity=8.0 if number else 9.1,
                started_at=world.clock.now() - timedelta(minutes=6),
                resources=(Resource(f"arn:aws:s3:::{bucket}", "AwsS3Bucket"),),
            )
        )
        world.works()
        world.clock.advance(1.3)


def test_the_storm_is_one_incident_before_the_minute_is_over(world):
    began = world.clock.now()
    deletions(world, 45)
    (incident,) = world.incidents()
    assert (incident.signals, incident.severity) == (45, Severity.SEV1)
    assert incident.opened_at - began < timedelta(seconds=2)
    posts = [notice for notice in world.notices() if notice.kind is NoticeKind.CARD]
    assert len(posts) == 1  # one message, updated; not 45


def test_the_key_goes_first_then_the_buckets_are_protected_and_the_story_has_its_times(world):
    deletions(world, 5)
    world.response.announced("INC-1")
    world.response.acknowledge("INC-1", world.who("ana"))
    world.response.assign("INC-1", "ic", ChatAccount("T1", "U-ANA"), world.who("ana"))
    assert LEAKED_KEY in [book.id for book in world.containment.suggestions("INC-1")]

    key = world.proposes("ana", LEAKED_KEY)
    assert key.typed_target == KEY_ID[-4:]
    world.approves("ben", key)
    world.works()
    assert world.cloud.state.keys[KEY_ID].status == "Inactive"
    assert world.incidents()[0].state is State.CONTAINED

    buckets = world.proposes("ana", PROTECT_BUCKETS)
    assert buckets.blast == {"buckets": 5}
    world.approves("cho", buckets)
    world.works()
    assert world.plan(buckets).state is PlanState.DONE
    for bucket in ("acme-00", "acme-04"):
        (statement,) = world.cloud.state.bucket_policies[bucket]
        assert "s3:DeleteBucket" in statement["Action"]

    times = world.incidents()[0].times
    assert times.started < times.detected < times.notified <= times.acked <= times.contained
    people = {entry.actor.id for entry in world.trail() if entry.action in ("proposed", "approved")}
    assert people == {"d-ana", "d-ben", "d-cho"}
    world.store.verify()


def test_the_bucket_policies_that_were_there_before_are_still_there(world):
    world.incident(resources=(Resource("arn:aws:s3:::acme-invoices", "AwsS3Bucket"),))
    world.contains(PROTECT_BUCKETS)
    sids = [statement["Sid"] for statement in world.cloud.state.bucket_policies["acme-invoices"]]
    assert sids == ["TlsOnly", "TwokeyProtect"]


def test_five_days_later_the_attack_is_not_lost_in_the_old_incident(world):
    deletions(world, 3)
    world.response.change_state("INC-1", State.CANCELLED, world.who("ana"), "benign")
    world.clock.advance(5 * 24 * 3600)
    deletions(world, 1)  # the same finding again, redelivered: known
    assert len(world.incidents()) == 1
    world.arrives(world.finding("delete-more", type="Impact:S3/AnomalousBehavior.Delete"))
    world.works()
    assert [incident.state for incident in world.incidents()] == [State.CANCELLED, State.TRIAGE]
