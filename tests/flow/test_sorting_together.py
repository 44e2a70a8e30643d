"""What arrives together is sorted in one change; what would hold up the others is sorted by itself."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from twokey.core.errors import Unavailable
from twokey.core.jobs import MOST_TOGETHER, JobKind, sort_jobs, sorted_by
from twokey.core.signals import Principal, RawNotification, RawState, raw_id
from twokey.testing.world import World

SOURCE = "aws.sqs:findings"


def together(world: World, *bodies: str) -> list[str]:
    """Let notifications arrive in one delivery."""
    now = world.clock.now()
    raws = [RawNotification(raw_id(SOURCE, body.encode()), SOURCE, body.encode(), now) for body in bodies]
    return world.intake.receive(raws)


def findings(world: World, count: int, **changes: Any) -> list[str]:
    """Make known so many findings about different people, and return their names."""
    for number in range(count):
        one = world.finding(
            f"f{number}", principal=Principal(f"u{number}", "IAMUser", f"AKIA{number}"), **changes
        )
        world.signals.known[one.id] = one
    return [f"f{number}" for number in range(count)]


def fails_for(world: World, name: str, fault: Callable[[], Exception]) -> None:
    """Have the rules fail for one finding."""
    verdict = world.signals.verdict

    def failing(signal: Any, raw: Any) -> Any:
        if signal.id == name:
            raise fault()
        return verdict(signal, raw)

    world.signals.verdict = failing  # type: ignore[method-assign]


def states(world: World, ids: list[str]) -> list[RawState]:
    with world.store.read() as look:
        return [look.get(RawNotification, one).state for one in ids]


def test_a_delivery_of_ten_is_one_job_and_ten_incidents(world):
    ids = together(world, *findings(world, 10))
    assert world.works() == 1
    assert len(world.incidents()) == 10
    assert states(world, ids) == [RawState.SORTED] * 10
    assert world.actions().count("sorted") == 10


def test_a_delivery_about_one_key_is_one_incident(world):
    for number in range(10):
        world.signals.known[f"f{number}"] = world.finding(f"f{number}")
    together(world, *(f"f{number}" for number in range(10)))
    world.works()
    (incident,) = world.incidents()
    assert incident.signals == 10


def test_what_cannot_be_read_is_shown_and_the_others_are_sorted_in_the_same_change(world):
    ids = together(world, *findings(world, 3), "unheard of")
    assert world.works() == 1
    assert states(world, ids) == [RawState.SORTED] * 3 + [RawState.UNREADABLE]
    assert "intake.unreadable" in world.told()


def test_one_that_fails_takes_no_other_with_it_and_is_shown_when_it_is_given_up(world):
    ids = together(world, *findings(world, 5))
    fails_for(world, "f2", lambda: ZeroDivisionError("a bug"))
    world.works()
    assert len(world.incidents()) == 4
    assert states(world, ids)[2] is RawState.NEW
    assert "sorting.parted" in world.actions()
    world.works_on(60, step_s=60)
    assert states(world, ids)[2] is RawState.UNREADABLE
    assert "intake.unreadable" in world.told()


def test_one_that_fails_and_is_mended_in_time_is_not_lost(world):
    ids = together(world, *findings(world, 5))
    verdict = world.signals.verdict
    fails_for(world, "f2", lambda: ZeroDivisionError("a bug"))
    world.works()
    world.signals.verdict = verdict
    world.works_on(1)
    assert states(world, ids) == [RawState.SORTED] * 5
    assert len(world.incidents()) == 5


def test_one_that_fails_inside_the_change_leaves_nothing_of_itself(world, monkeypatch):
    """Its incident is open and its number given when it fails: all of that is taken back."""
    together(world, *findings(world, 4))
    kept = type(world.intake)._take_in

    def failing(self: Any, tx: Any, signal: Any, verdict: Any) -> None:
        kept(self, tx, signal, verdict)
        if signal.id == "f1":
            raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(type(world.intake), "_take_in", failing)
        world.works()
    assert len(world.incidents()) == 3
    world.works_on(1)
    assert [incident.number for incident in world.incidents()] == [1, 2, 3, 4]


def test_a_record_that_does_not_answer_parts_nobody(world):
    ids = together(world, *findings(world, 3))
    verdict = world.signals.verdict
    fails_for(world, "f1", lambda: Unavailable("store.unavailable", reason="locked"))
    world.works()
    assert "sorting.parted" not in world.actions()
    world.signals.verdict = verdict
    world.works_on(1)
    assert states(world, ids) == [RawState.SORTED] * 3


def test_a_job_that_is_given_up_owes_each_of_its_notifications_by_itself(world):
    """One of them killed every worker that took the job: which one shows when each is alone."""
    ids = together(world, *findings(world, 3))
    taken = world.queue.take("dies", world.clock.now(), world.clock.now() + timedelta(hours=1))
    world.parked(taken.job, Unavailable("engine.died", job=taken.job.id, attempts=8))
    assert states(world, ids) == [RawState.NEW] * 3
    assert world.works() == 3
    assert states(world, ids) == [RawState.SORTED] * 3


def test_sorting_together_twice_is_sorting_once(world):
    ids = together(world, *findings(world, 3))
    world.works()
    world.intake.sort_together([*ids, "raw-nobody"])
    assert world.actions().count("sorted") == 3
    assert len(world.incidents()) == 3


def test_a_delivery_that_was_sorted_by_halves_before_a_crash_is_finished(world):
    ids = together(world, *findings(world, 4))
    world.intake.sort(ids[1])
    world.works()
    assert states(world, ids) == [RawState.SORTED] * 4
    assert len(world.incidents()) == 4


@given(st.lists(st.integers(0, 10**6), unique=True, max_size=70))
def test_every_notification_is_in_one_job(numbers):
    ids = [raw_id(SOURCE, str(number).encode()) for number in numbers]
    jobs = sort_jobs(ids)
    assert [one for job in jobs for one in sorted_by(job)] == ids
    assert len({job.id for job in jobs}) == len(jobs)
    assert not {job.id for job in jobs if len(sorted_by(job)) > 1} & {f"sort:{one}" for one in ids}
    assert all(job.kind is JobKind.SORT and len(sorted_by(job)) <= MOST_TOGETHER for job in jobs)
