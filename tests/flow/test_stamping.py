"""Time stamps of the trail's head: when one is owed, what it commits to, and that nothing waits for it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from twokey.core.audit import TimeStamp, leaf
from twokey.core.errors import Tampered, TwokeyError, Unavailable
from twokey.core.jobs import Job, JobKind
from twokey.core.people import system
from twokey.core.signals import Principal
from twokey.engine.embedded import EmbeddedEngine
from twokey.flow.handlers import job_handlers
from twokey.flow.stamping import require_stamp, stamps
from twokey.testing.clocks import SettableClock
from twokey.testing.stamps import RememberingStamper
from twokey.testing.world import World

HOUR = timedelta(hours=1)


class StampedWorld(World):
    """A world with an authority, whose process looks now and then whether a stamp is due."""

    def __init__(self) -> None:
        clock = SettableClock()
        self.authority = RememberingStamper(clock)
        super().__init__(clock=clock, stamper=self.authority)

    def looks(self) -> bool:
        is_owed = self.stamping.owe()
        self.works()
        return is_owed

    def stamps(self) -> list[TimeStamp]:
        with self.store.read() as look:
            return stamps(look)

    def is_proven(self, stamp: TimeStamp) -> datetime:
        with self.store.read() as look:
            return require_stamp(look, stamp, self.authority)


@pytest.fixture
def world() -> StampedWorld:
    return StampedWorld()


def test_the_head_is_stamped_and_on_record(world: StampedWorld) -> None:
    world.incident()
    assert world.looks()
    (stamp,) = world.stamps()
    assert world.actions()[-2:] == ["head.stamp_owed", "head.stamped"]
    entry = world.trail()[-1]
    assert (entry.data["seq"], entry.data["hash"]) == (stamp.seq, stamp.hash)
    assert world.is_proven(stamp) == world.clock.now()


def test_a_stamp_alone_is_no_reason_for_the_next(world: StampedWorld) -> None:
    world.incident()
    assert world.looks()
    before = world.actions()
    for _ in range(5):
        world.clock.advance(HOUR.total_seconds())
        assert not world.looks()
    assert world.actions() == before


def test_what_is_new_is_stamped_after_the_interval_and_not_before(world: StampedWorld) -> None:
    world.incident()
    world.looks()
    world.incident("f2")
    world.clock.advance(HOUR.total_seconds() - 60)
    assert not world.looks()
    world.clock.advance(60)
    assert world.looks()
    assert len(world.stamps()) == 2


@pytest.mark.parametrize("does_it_fail", [False, True])
def test_a_run_that_has_ended_is_stamped_at_once(world: StampedWorld, does_it_fail: bool) -> None:
    world.incident()
    world.looks()
    if does_it_fail:
        world.cloud.refuse_on("apply aws.iam.put_user_policy")
    plan = world.contains()
    assert world.looks()
    last = world.stamps()[-1]
    assert last.seq > max(entry.seq for entry in world.trail(plan))
    assert not world.looks()


def test_what_is_owed_is_not_owed_again(world: StampedWorld) -> None:
    world.incident()
    assert world.stamping.owe()
    assert not world.stamping.owe()
    world.works()
    assert len(world.stamps()) == 1


def test_a_clock_that_goes_back_does_not_put_off_the_stamps(world: StampedWorld) -> None:
    world.incident()
    world.looks()
    world.clock.advance(-86_400)
    world.incident("f2")
    assert world.looks()


def test_a_stamp_commits_to_every_entry_of_an_incident_that_has_grown_and_shows_none(
    world: StampedWorld,
) -> None:
    world.incident()
    world.looks()
    world.incident("f2", principal=Principal("another", "IAMUser", "AKIAANOTHERANOTHER00"))
    world.clock.advance(HOUR.total_seconds())
    world.looks()
    first, second = (json.loads(stamp.statement) for stamp in world.stamps())
    assert len(first["incidents"]) == len(second["incidents"]) == 1
    stamp = world.stamps()[1]
    hashes = [e.hash for e in world.trail() if e.incident_id == "INC-2" and e.seq <= stamp.seq]
    assert second["incidents"] == [leaf("INC-2", hashes)]
    assert second["head"] == {"seq": stamp.seq, "hash": stamp.hash}
    assert "INC-" not in stamp.statement


@pytest.mark.parametrize(
    "fault", [Unavailable("audit.authority_silent", why="503"), Tampered("audit.stamp_broken", why="-")]
)
def test_an_authority_that_gives_none_is_on_record_once_and_asked_again_and_nothing_waits(
    world: StampedWorld, fault: TwokeyError
) -> None:
    world.incident()
    world.authority.fault = fault
    assert world.looks()
    plan = world.contains()
    assert plan.state.value == "done"
    world.works_on(minutes=40, step_s=60)
    assert len(world.authority.asked) > 5
    assert world.actions().count("head.not_stamped") == 1
    assert "job.parked" not in world.actions()
    world.authority.fault = None
    world.works_on(minutes=10, step_s=60)
    (stamp,) = world.stamps()
    assert stamp.seq >= world.trail(plan)[-1].seq


def test_an_authority_that_is_silent_for_days_is_asked_for_all_the_time_and_told_of(
    world: StampedWorld,
) -> None:
    world.incident()
    world.authority.fault = Unavailable("audit.authority_silent", why="timeout")
    assert world.stamping.overdue() is None
    began = world.trail()[0].at
    for _ in range(48 * 60):
        world.clock.advance(60)
        world.looks()
    assert world.stamping.overdue() == began
    assert world.actions().count("head.stamp_owed") <= 48
    assert 400 < len(world.authority.asked) < 1000
    world.authority.fault = None
    world.works_on(minutes=60, step_s=60)
    world.looks()
    assert len(world.stamps()) == 1
    assert world.stamping.overdue() is None


def test_two_workers_that_stamp_one_head_keep_one_stamp(world: StampedWorld) -> None:
    world.incident()
    real = world.authority.stamp

    def twice(data: bytes) -> tuple[datetime, bytes]:
        world.authority.stamp = real  # type: ignore[method-assign]
        world.stamping.run(Job("stamp:0", JobKind.STAMP, {"until": world.clock.now().isoformat()}))
        return real(data)

    world.authority.stamp = twice  # type: ignore[method-assign]
    world.looks()
    assert len(world.stamps()) == 1
    assert world.actions()[-1] == "head.stamped.again"


def test_a_stamp_of_another_trail_is_found(world: StampedWorld) -> None:
    world.incident()
    world.looks()
    (stamp,) = world.stamps()
    other = StampedWorld()
    other.incident(title="quite another matter")
    other.authority = world.authority
    with pytest.raises(Tampered, match="stamp_differs"):
        other.is_proven(stamp)
    empty = StampedWorld()
    empty.authority = world.authority
    with pytest.raises(Tampered, match="stamp_differs"):
        empty.is_proven(stamp)


def test_a_statement_that_was_changed_is_found(world: StampedWorld) -> None:
    world.incident()
    world.looks()
    (stamp,) = world.stamps()
    with pytest.raises(Tampered, match="stamp_broken"):
        world.is_proven(TimeStamp("x", 1, stamp.hash, stamp.at, stamp.token, '{"head":1}'))
    world.authority.given[b"odd"] = (world.clock.now(), b"[]")
    with pytest.raises(Tampered, match="stamp_unreadable"):
        world.is_proven(TimeStamp("x", 1, stamp.hash, stamp.at, b"odd", "[]"))


def test_a_job_that_was_owed_before_stamps_were_turned_off_ends_quietly(world: StampedWorld) -> None:
    world.incident()
    world.stamping.owe()
    handle = job_handlers(world.intake, world.containment, world.executor, world.review, world.watch)
    world.engine = EmbeddedEngine(world.queue, handle, world.parked, world.clock, workers=1)
    world.works()
    assert world.stamps() == []
    assert "job.parked" not in world.actions()


def test_nothing_is_stamped_of_an_empty_trail(world: StampedWorld) -> None:
    assert not world.looks()
    with world.store.change() as tx:
        tx.append(system("test"), "noted")
    assert world.looks()
