"""S38: containments cannot run away: too many in a few minutes stop by themselves, and one person stops all acting.

Whoever has two people's sessions, or a script that approves what an alarm proposes, contains one account after the
other. And whoever sees that must be able to stop it at once, alone.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.message_lint import audit_lint, message_lint
from tests.lab.trials import Proof
from twokey import app as wiring
from twokey.core.audit import content
from twokey.core.errors import Invalid, Refused
from twokey.core.executions import Execution
from twokey.core.notices import NoticeKind
from twokey.core.people import system
from twokey.core.runbooks import Plan, PlanState
from twokey.core.signals import Principal, Resource
from twokey.core.stops import Limits, StopKind
from twokey.flow.execution.claim import claim
from twokey.history import judge, read
from twokey.settings import load
from twokey.store import SqlStore, open_store
from twokey.testing.clocks import SettableClock
from twokey.testing.clouds import ACCOUNT, Killed, die
from twokey.testing.runbooks import LEAKED_KEY, PROTECT_BUCKETS
from twokey.testing.world import World

__all__ = ["audit_lint", "message_lint"]

ALL, OTHER = "all", "444455556666"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Return what makes a world on SQLite in which so many runs may begin."""
    opened: list[SqlStore] = []

    def made(everywhere: int = 20, in_account: int = 10, url: str = "") -> World:
        clock = SettableClock()
        store = open_store(url or f"sqlite:///{tmp_path / f'record-{len(opened)}.db'}", clock)
        opened.append(store)
        return World(store=store, queue=store.jobs(), clock=clock, limits=Limits(everywhere, in_account))

    yield made
    for store in opened:
        store.close()


def found(w: World, bucket: str, account: str = ACCOUNT) -> str:
    """Let a finding about a bucket arrive; return its incident."""
    w.cloud.state.buckets[bucket], w.cloud.state.bucket_policies[bucket] = account, []
    thief = Principal(bucket, "IAMUser", f"AKIA-{bucket}")
    named = (Resource(f"arn:aws:s3:::{bucket}", "AwsS3Bucket"),)
    return w.incident(bucket, account=account, resources=named, principal=thief).id


def approved(w: World, incident: str, runbook: str = PROTECT_BUCKETS) -> Plan:
    """Let a plan get its two keys; it has not run yet."""
    plan = w.proposes("ana", runbook, incident)
    w.approves("ben", plan)
    return plan


def contained(w: World, name: str, account: str = ACCOUNT) -> Plan:
    """Let a plan for a bucket run as far as it comes."""
    plan = approved(w, found(w, name, account))
    w.works()
    return w.plan(plan)


def looks_and_lifts(w: World, named: str, *people: str) -> None:
    """Let people say that acting may go on, each having looked, with a code."""
    for name in people:
        stop, _ = w.containment.stops.to_lift(named, w.who(name))
        w.containment.stops.resume(named, w.who(name), shown=stop.seq, code=w.code())


def in_force(w: World) -> list[tuple[str, StopKind]]:
    return [(stop.where, stop.kind) for stop in w.containment.stops.listed()]


def loud(w: World) -> list[str]:
    """Return what was told in the security channel."""
    return [
        said.code
        for notice in w.notices()
        if notice.kind is NoticeKind.DUTY and notice.context.get("security")
        for said in notice.messages
    ]


def judged(w: World) -> set[str]:
    """Return the promises that the exported trail breaks, by itself."""
    with w.store.read() as look:
        lines = [json.dumps({**content(entry), "hash": entry.hash}) for entry in look.audit()]
    # Nothing is sent in these worlds; the letters of the lines are not those of an export.
    return {broken.promise for broken in judge(read(lines))} - {"chain"}


def why(plan: Plan) -> str:
    return plan.reason.code if plan.reason else ""


# the breaker


def test_s38_the_twenty_first_containment_in_five_minutes_does_not_begin(
    world: Callable[..., World], proof: Proof
) -> None:
    for _ in (trials := proof("S38", "one containment more than the limit does not begin")):
        w = world(in_account=100)
        for number in range(20):
            assert contained(w, f"bucket-{number}").state is PlanState.DONE
            w.clock.advance(10)
        effects = len(w.cloud.effects)
        plan = contained(w, "one-too-many")
        assert (plan.state, why(plan)) == (PlanState.APPROVED, "execution.held_by_breaker")
        assert in_force(w) == [(ALL, StopKind.BREAKER)]
        assert loud(w) == ["stops.breaker_opened"]
        w.works_on(4)
        assert w.actions(plan).count("run.held") == 1, "the thread is told once"
        assert len(w.cloud.effects) == effects
        trials.outcome("held back")


def test_s38_an_account_has_a_limit_of_its_own_and_the_others_go_on(world: Callable[..., World]) -> None:
    w = world(in_account=2)
    contained(w, "no-1")
    contained(w, "no-2")
    held = contained(w, "no-3")
    assert (held.state, in_force(w)) == (PlanState.APPROVED, [(ACCOUNT, StopKind.BREAKER)])
    assert contained(w, "no-4", OTHER).state is PlanState.DONE


def test_s38_slow_containments_and_what_only_takes_back_are_not_counted(world: Callable[..., World]) -> None:
    w = world(everywhere=2)
    done = []
    for number in range(4):
        done.append(contained(w, f"no-{number}"))
        w.clock.advance(151)  # two within five minutes, never three
    assert {plan.state for plan in done} == {PlanState.DONE}
    w.clock.advance(600)
    for plan in done:
        undo = w.proposes_undo("cho", plan)
        w.approves("ana", undo)
        w.works()
        assert w.plan(undo).state is PlanState.DONE, "people can take back as fast as they like"
    assert contained(w, "no-8").state is PlanState.DONE
    assert in_force(w) == []


def test_s38_an_undo_of_the_same_incident_gets_through_an_open_breaker(world: Callable[..., World]) -> None:
    w = world(everywhere=1)
    incident = w.incident().id
    done = approved(w, incident)
    w.works()
    again = approved(w, incident, LEAKED_KEY)
    w.works()
    assert w.plan(again).state is PlanState.APPROVED
    undo = w.proposes_undo("cho", done)
    w.approves("ana", undo)
    w.works()
    assert (w.plan(undo).state, w.plan(again).state) == (PlanState.DONE, PlanState.APPROVED)


def test_s38_one_run_that_is_under_way_is_not_cut_by_the_breaker(world: Callable[..., World]) -> None:
    w = world(everywhere=1)
    w.incident()
    plan = w.proposes("ana")
    w.approves("ben", plan)
    w.cloud.fault_on("apply aws.iam.put_user_policy", times=1)
    w.works()
    assert contained(w, "no-1").state is PlanState.APPROVED
    w.works_on(2)
    assert (w.plan(plan).state, in_force(w)) == (PlanState.DONE, [(ALL, StopKind.BREAKER)])


def test_s38_two_people_let_it_go_on_and_what_waited_begins(world: Callable[..., World]) -> None:
    w = world(everywhere=2)
    contained(w, "no-1")
    contained(w, "no-2")
    held = contained(w, "no-3")
    looks_and_lifts(w, ALL, "ana")
    w.works()
    assert w.plan(held).state is PlanState.APPROVED, "one person asks, and that is all"
    looks_and_lifts(w, ALL, "ben")
    w.works()
    assert (w.plan(held).state, why(w.plan(held)), in_force(w)) == (PlanState.DONE, "", [])
    assert contained(w, "no-4").state is PlanState.DONE, "what they looked at is forgiven"
    assert contained(w, "no-5").state is PlanState.APPROVED, "and what comes after is counted again"
    assert [a for a in w.actions() if a.startswith("breaker")] == [
        *("breaker.opened", "breaker.lift_asked", "breaker.lifted", "breaker.opened"),
    ]
    assert judged(w) == set()


def test_s38_keys_that_grow_old_before_a_breaker_end_the_plan(world: Callable[..., World]) -> None:
    w = world(everywhere=1)
    contained(w, "no-1")
    held = contained(w, "no-2")
    w.works_on(29, 30)
    assert w.plan(held).state is PlanState.APPROVED
    w.works_on(2, 30)
    assert (w.plan(held).state, why(w.plan(held))) == (PlanState.VOIDED, "refused.plan_expired")
    looks_and_lifts(w, ALL, "ana", "ben")
    w.works()
    assert len(w.cloud.effects) == 1


def test_s38_nobody_runs_alone_before_an_open_breaker(world: Callable[..., World]) -> None:
    w = world(everywhere=1)
    contained(w, "no-1")
    contained(w, "no-2")
    w.incident()
    with pytest.raises(Refused, match=r"refused.breaker_open"):
        w.breaks_glass("ana", w.previews("ana"))


@pytest.mark.parametrize(
    ("people", "code"),
    [
        (("ana", "ana"), "refused.lift_alone"),
        (("ana", "dia"), "refused.not_approver"),
        (("ana", "eve"), "refused.not_approver"),
        (("far",), "refused.not_responder"),
    ],
)
def test_s38_a_breaker_is_lifted_by_two_who_may_and_by_nobody_else(
    world: Callable[..., World], people: tuple[str, ...], code: str
) -> None:
    w = world(everywhere=1)
    contained(w, "no-1")
    contained(w, "no-2")
    with pytest.raises(Refused, match=code):
        looks_and_lifts(w, ALL, *people)
    assert in_force(w) == [(ALL, StopKind.BREAKER)]
    assert "resume.refused" in w.actions()


def test_s38_to_ask_and_to_lift_want_a_code_that_was_not_used(world: Callable[..., World]) -> None:
    w = world()
    w.containment.stops.stop(ACCOUNT, w.who("dia"), "the bot is doing strange things")
    stop, _ = w.containment.stops.to_lift(ACCOUNT, w.who("ana"))
    for code in ("", "000000"):
        with pytest.raises(Refused, match=r"refused.step_up_wrong"):
            w.containment.stops.resume(ACCOUNT, w.who("ana"), shown=stop.seq, code=code)
    w.containment.stops.resume(ACCOUNT, w.who("ana"), shown=stop.seq, code="000017")
    with pytest.raises(Refused, match=r"refused.step_up_wrong"):
        w.containment.stops.resume(ACCOUNT, w.who("ben"), shown=stop.seq, code="123456")
    w.rosters.change("d-cho", has_step_up=False)
    with pytest.raises(Refused, match=r"refused.step_up_wrong"):
        w.containment.stops.resume(ACCOUNT, w.who("cho"), shown=stop.seq, code="")
    assert in_force(w) == [(ACCOUNT, StopKind.SWITCH)]


def test_s38_an_asking_that_is_old_or_whose_person_left_is_none(world: Callable[..., World]) -> None:
    w = world()
    w.containment.stops.stop(ACCOUNT, w.who("dia"), "the bot is doing strange things")
    looks_and_lifts(w, ACCOUNT, "ana")
    w.clock.advance(31 * 60)
    looks_and_lifts(w, ACCOUNT, "ben")
    assert in_force(w), "half an hour later, ben asks anew"
    w.rosters.without("d-ben")
    looks_and_lifts(w, ACCOUNT, "cho")
    assert in_force(w), "ben has left: cho asks anew"
    w.clock.advance(-3600)
    looks_and_lifts(w, ACCOUNT, "ana")
    assert in_force(w), "cho asked in the future"
    looks_and_lifts(w, ACCOUNT, "cho")
    assert not in_force(w)


def test_s38_what_is_lifted_is_the_stop_that_was_shown(world: Callable[..., World]) -> None:
    w = world()
    w.containment.stops.stop(ACCOUNT, w.who("dia"), "the bot is doing strange things")
    looks_and_lifts(w, ACCOUNT, "ana")
    shown, _ = w.containment.stops.to_lift(ACCOUNT, w.who("ben"))
    w.containment.stops.stop(ACCOUNT, w.who("eve"), "no, it really is")
    with pytest.raises(Refused, match=r"refused.stop_changed"):
        w.containment.stops.resume(ACCOUNT, w.who("ben"), shown=shown.seq, code=w.code())
    looks_and_lifts(w, ACCOUNT, "ben")
    assert in_force(w), "what ana asked for was about another stop"


# the clock, a crash, a record that cannot be read, the same moment


def test_s38_a_clock_that_goes_back_forgets_nothing_and_one_that_leaps_holds_nobody_for_ever(
    world: Callable[..., World],
) -> None:
    w = world(everywhere=2)
    contained(w, "no-1")
    contained(w, "no-2")
    w.clock.advance(-3600)
    held = contained(w, "no-3")
    assert (held.state, in_force(w)) == (PlanState.APPROVED, [(ALL, StopKind.BREAKER)])
    looks_and_lifts(w, ALL, "ana", "ben")
    w.works()
    assert w.plan(held).state is PlanState.DONE, "what began in the future is forgiven like the rest"
    assert contained(w, "no-4").state is PlanState.DONE
    w.clock.advance(86_400)
    assert contained(w, "no-5").state is PlanState.DONE


def test_s38_a_run_of_the_version_before_counts_everywhere(world: Callable[..., World]) -> None:
    w = world(in_account=1)
    with w.store.change() as tx:
        tx.put(Execution("plan-old", "INC-0", w.clock.now()))
        tx.append(system("test"), "noted")
    assert contained(w, "no-1").state is PlanState.APPROVED


@pytest.mark.parametrize("at", ["run:claim", "run:claimed"])
def test_s38_a_process_that_dies_forgets_neither_what_began_nor_what_is_stopped(
    world: Callable[..., World], at: str
) -> None:
    w = world(everywhere=1)
    plan = approved(w, found(w, "no-1"))
    w.stops_at(lambda name: die() if name == at else None)
    with pytest.raises(Killed):
        w.works()
    w.stops_at(None)
    w.restarts()
    w.works()
    assert w.plan(plan).state is PlanState.DONE, "it counts once, and goes on"
    held = contained(w, "no-2")
    w.restarts()
    w.works_on(1)
    assert (w.plan(held).state, in_force(w)) == (PlanState.APPROVED, [(ALL, StopKind.BREAKER)])


def test_s38_what_cannot_be_counted_does_not_begin(world: Callable[..., World], tmp_path: Path) -> None:
    w = world()
    contained(w, "no-1")
    with contextlib.closing(sqlite3.connect(tmp_path / "record-0.db")) as database:
        database.execute("UPDATE execution SET body = '{}'")
        database.commit()
    plan = approved(w, found(w, "no-2"))
    w.works_on(20)
    assert w.plan(plan).state in (PlanState.APPROVED, PlanState.ASKING)
    assert len(w.cloud.effects) == 1


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_s38_two_workers_cannot_both_take_the_last_place(
    world: Callable[..., World], database: str, request: pytest.FixtureRequest, proof: Proof
) -> None:
    workers, places = 8, 3
    for _ in (
        trials := proof(
            "S38", f"at the same moment no more begin than there are places, {database}", ci=2, release=50
        )
    ):
        url = request.getfixturevalue("postgres").migrated() if database == "postgres" else ""
        w = world(everywhere=places, url=url)
        incidents = [found(w, f"no-{number}") for number in range(workers)]
        plans = [approved(w, incident) for incident in incidents]
        start, began = threading.Barrier(workers), list[bool]()

        def worker(
            plan: Plan, w: World = w, start: threading.Barrier = start, began: list[bool] = began
        ) -> None:
            start.wait()
            began.append(claim(w.store, w.clock, w.rosters, w.limits, w.passkeys, plan.id) is not None)

        threads = [threading.Thread(target=worker, args=(plan,)) for plan in plans]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert sorted(began) == [False] * (workers - places) + [True] * places
        assert w.actions().count("breaker.opened") == 1
        trials.outcome("held back", workers - places)


# the switch


def test_s38_one_person_stops_all_acting_in_an_account(world: Callable[..., World], proof: Proof) -> None:
    for _ in (trials := proof("S38", "what one person stops, nobody begins and nobody approves there")):
        w = world()
        here, there, key = found(w, "no-1"), found(w, "no-2", OTHER), w.incident().id
        waiting, elsewhere = approved(w, here), approved(w, there)
        proposed = w.proposes("ana", LEAKED_KEY, key)
        w.containment.stops.stop(ACCOUNT, w.who("dia"), "the bot is doing strange things")
        w.works_on(1)
        assert (w.plan(waiting).state, why(w.plan(waiting))) == (
            PlanState.APPROVED,
            "execution.held_by_stop",
        )
        assert w.plan(elsewhere).state is PlanState.DONE
        with pytest.raises(Refused, match=r"refused.stopped"):
            w.approves("ben", proposed)
        with pytest.raises(Refused, match=r"refused.stopped"):
            w.breaks_glass("ana", w.previews("ana"))
        undo = w.containment.preview_undo(elsewhere.id, w.who("cho"))
        assert undo.target.account == OTHER
        assert loud(w) == ["stops.stopped"]
        looks_and_lifts(w, ACCOUNT, "dia", "ben")
        w.works()
        w.approves("ben", proposed)
        w.works()
        assert {w.plan(one).state for one in (waiting, proposed)} == {PlanState.DONE}
        assert judged(w) == set()
        trials.outcome("stopped", 4)


def test_s38_a_stop_of_the_whole_installation_holds_an_undo_too(world: Callable[..., World]) -> None:
    w = world()
    done = contained(w, "no-1")
    undo = w.proposes_undo("cho", done)
    w.approves("ana", undo)
    w.containment.stops.stop("ALL", w.who("dia"), "somebody else's plans run here")
    w.works()
    assert (w.plan(undo).state, len(w.cloud.effects)) == (PlanState.APPROVED, 1)


@pytest.mark.parametrize(
    "at", ["deactivate_key:before-intent", "deny_user:before-intent", "deny_user:after-intent"]
)
def test_s38_a_run_that_is_under_way_stops_before_its_next_write(
    world: Callable[..., World], at: str, proof: Proof
) -> None:
    for _ in (trials := proof("S38", "a run that is under way stops before its next write, and can go on")):
        w = world()
        w.incident()
        plan = w.proposes("ana")
        w.approves("ben", plan)
        written = list[int]()

        def stops(name: str, w: World = w, written: list[int] = written) -> None:
            if name == at:
                written.append(len(w.cloud.effects))
                w.containment.stops.stop(ACCOUNT, w.who("dia"), "that is the wrong user")

        w.stops_at(stops)
        w.works_on(1)
        w.stops_at(None)
        assert (w.plan(plan).state, why(w.plan(plan))) == (PlanState.ASKING, "execution.parked_by_stop")
        assert [len(w.cloud.effects)] == written, "nothing more was written"
        step, _, moment = at.partition(":")
        is_intended = step in [e.data.get("step") for e in w.trail(plan) if e.action == "step.started"]
        assert is_intended is (moment == "after-intent"), "what will not be done is not intended"
        w.containment.decide(plan.id, w.who("ben"), "retry")
        w.works_on(1)
        assert w.plan(plan).state is PlanState.ASKING, "nobody talks it out of it"
        assert [len(w.cloud.effects)] == written
        looks_and_lifts(w, ACCOUNT, "ana", "ben")
        w.containment.decide(plan.id, w.who("ben"), "retry")
        w.works_on(1)
        assert (w.plan(plan).state, len(w.cloud.effects)) == (PlanState.DONE, 2)
        assert judged(w) == set()
        trials.outcome("stopped")


def test_s38_what_was_written_is_still_read_back_and_kept_under_a_stop(world: Callable[..., World]) -> None:
    w = world()
    w.incident()
    plan = w.proposes("ana")
    w.approves("ben", plan)

    def stops(name: str) -> None:
        if name == "deny_user:after-call":
            w.containment.stops.stop(ACCOUNT, w.who("dia"), "that is the wrong user")

    w.stops_at(stops)
    w.works_on(1)
    assert w.plan(plan).state is PlanState.DONE, "it was the last write"


def test_s38_a_stop_that_was_taken_out_of_the_database_is_seen_in_the_trail(
    world: Callable[..., World],
) -> None:
    w = world()
    w.containment.stops.stop(ACCOUNT, w.who("dia"), "the bot is doing strange things")
    w.tampers(replace(w.containment.stops.listed()[0], is_lifted=True))
    assert contained(w, "no-1").state is PlanState.DONE
    assert judged(w) == {"stopped"}


@pytest.mark.parametrize(
    "variable", ["TWOKEY_BREAKER_RUNS", "TWOKEY_BREAKER_ACCOUNT_RUNS", "TWOKEY_BREAKER_MINUTES"]
)
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e9"])
def test_s38_the_breaker_cannot_be_turned_off(variable: str, value: str) -> None:
    with pytest.raises(Invalid, match=variable):
        load({variable: value})


def test_s38_what_the_settings_say_is_what_the_executor_keeps_to(tmp_path: Path) -> None:
    given = {"RUNS": "7", "ACCOUNT_RUNS": "3", "MINUTES": "2"}
    settings = load(
        {"TWOKEY_CLOUDS": "", "TWOKEY_DATABASE_URL": f"sqlite:///{tmp_path}/record.db"}
        | {f"TWOKEY_BREAKER_{name}": value for name, value in given.items()}
    )
    built = wiring.build(settings)
    assert built.executor.limits == Limits(7, 3, 120.0)
    built.store.close()


@pytest.mark.parametrize("named", ["1111", "acme", "", "11112222333３", "all; drop", "1111-2222-3333"])
def test_s38_what_is_no_account_is_not_stopped(world: Callable[..., World], named: str) -> None:
    w = world()
    with pytest.raises(Refused, match=r"refused.no_such_place"):
        w.containment.stops.stop(named, w.who("dia"), "the bot is doing strange things")
    assert w.actions()[-1] == "stop.refused"


def test_s38_who_has_no_role_there_stops_nothing(world: Callable[..., World]) -> None:
    w = world()
    for who, named in (("far", ACCOUNT), ("far", ALL), ("mallory", ACCOUNT)):
        with pytest.raises(Refused, match=r"refused\.(not_responder|unknown_identity)"):
            w.containment.stops.stop(named, w.who(who), "the bot is doing strange things")
    with pytest.raises(Refused, match=r"refused.reason_missing"):
        w.containment.stops.stop(ACCOUNT, w.who("dia"), "  ")
    w.containment.stops.stop("000011112222", w.who("far"), "the bot is doing strange things")
    assert in_force(w) == [("000011112222", StopKind.SWITCH)]
