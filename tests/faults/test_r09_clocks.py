"""R9: clocks that leap, go back or change to summer time neither lengthen a key's life nor disturb the trail's order.

Every moment comes from the Clock port, which is driven here; what is stored is UTC. Where libfaketime is installed
a whole process runs through a leap as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from twokey.core.errors import Refused, TwokeyError
from twokey.core.runbooks import PlanState
from twokey.history import judge, read
from twokey.store import open_store
from twokey.testing.clocks import SettableClock
from twokey.testing.runbooks import LEAKED_KEY, PROTECT_BUCKETS, QUARANTINE_ACCOUNT
from twokey.testing.world import World

FIVE_MINUTES = timedelta(minutes=5)
LEAPS = (3600, -3600, 1801, -1800, -7200, 86_400, *(61, -61, 200, -200, 5, -5, 1, -1, 30, -30) * 2)
# the hour that is missing in spring and the one that comes twice in autumn
CHANGES = (
    datetime(2026, 3, 29, 0, 50, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 50, tzinfo=UTC),
)
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "UTC")


@contextlib.contextmanager
def living_in(zone: str) -> Any:
    """Let this process live in a time zone, as a server does whose owner never heard of UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


def on_disk(folder: Path, start: datetime) -> tuple[World, Any]:
    clock = SettableClock(start)
    store = open_store(f"sqlite:///{folder}/record.db", clock, migrate=True)
    return World(store=store, queue=store.jobs(), clock=clock), store


def judged(world: World, store: Any, cloud: list[str]) -> list[Any]:
    lines: list[str] = []
    store.export(lines.append)
    return judge(read(lines, cloud))


def test_a_leaping_clock_never_lengthens_the_life_of_a_key(proof: Any, tmp_path: Path) -> None:
    """A key turned before a leap is worth what the stored UTC says; none is good for longer than its time."""
    trials = proof(
        "R9", "leaps of the clock neither lengthen a key's life nor disturb the trail", ci=20, release=400
    )
    for random in trials:
        folder = tmp_path / str(random.getrandbits(48))
        folder.mkdir()
        with living_in(random.choice(ZONES)):
            world, store = on_disk(folder, random.choice(CHANGES))
            try:
                outcome = through_leaps(random, world)
                assert judged(world, store, []) == []
                seqs = [entry.seq for entry in world.trail()]
                assert seqs == list(range(1, len(seqs) + 1))
                store.verify()
                trials.outcome(outcome)
            finally:
                store.close()


def through_leaps(random: Random, world: World) -> str:
    world.incident()
    runbook = random.choice((LEAKED_KEY, PROTECT_BUCKETS, QUARANTINE_ACCOUNT))
    plan = world.proposes("ana", runbook)
    assert plan.expires_at is not None
    assert plan.expires_at.utcoffset() == timedelta(0)
    assert plan.requested_at is not None
    names = ["ben", "cho"] if runbook == QUARANTINE_ACCOUNT else ["ben"]
    for name in names:
        for _ in range(random.randint(1, 3)):
            world.clock.advance(random.choice(LEAPS))
            if random.random() < 0.5:
                world.works()
        now, before = world.clock.now(), world.plan(plan)
        try:
            world.approves(name, plan)
        except Refused:
            over = now >= plan.expires_at or plan.requested_at - now > FIVE_MINUTES
            assert over or before.state is not PlanState.PROPOSED
            return "refused: its time was over, or the clock went back"
        assert now < plan.expires_at, "a key was turned after its end"
        assert now >= plan.requested_at - FIVE_MINUTES, "a leap back gave the plan more time than it had"
        assert before.state is PlanState.PROPOSED, "what has expired does not come back with the clock"
    world.works()
    run = world.plan(plan)
    if run.state is PlanState.VOIDED:  # a key that was turned before the last leap lies in the future now
        return "voided: the clock went back between the keys"
    assert run.state in (PlanState.DONE, PlanState.RUNNING, PlanState.ASKING), run.reason
    return "ran in its time"


def test_what_has_expired_stays_expired_when_the_clock_goes_back(proof: Any) -> None:
    trials = proof("R9", "what expired stays expired when the clock goes back", ci=20, release=400)
    for random in trials:
        world = World()
        world.incident()
        plan = world.proposes("ana", random.choice((LEAKED_KEY, PROTECT_BUCKETS)))
        assert plan.expires_at is not None
        world.clock.set(plan.expires_at + timedelta(seconds=random.randint(0, 600)))
        world.works()
        assert world.plan(plan).state is PlanState.EXPIRED
        world.clock.advance(-random.choice((60, 1800, 3600, 86_400)))
        world.works()
        with pytest.raises(Refused, match=r"refused\.plan_expired"):
            world.approves("ben", plan)
        assert world.cloud.effects == []
        trials.outcome("stayed expired")


def test_keys_that_waited_too_long_do_not_run_whatever_the_clock_did_meanwhile(proof: Any) -> None:
    """The engine stood still: what was confirmed in the evening does not begin in the morning."""
    trials = proof("R9", "keys that grew old do not start a run", ci=20, release=400)
    for random in trials:
        world = World()
        world.incident()
        plan = world.proposes("ana", LEAKED_KEY)
        world.clock.advance(random.choice((0, 60, -60)))
        world.approves("ben", plan)
        night = random.choice((1801 + 60, 3600, 8 * 3600))
        leap = random.choice((0, 3600, -600))
        world.clock.advance(night + max(0, leap))
        world.works_on(minutes=1)
        assert world.plan(plan).state is PlanState.VOIDED
        assert world.cloud.effects == []
        trials.outcome("voided")


def test_keys_from_the_future_do_not_start_a_run(proof: Any) -> None:
    """The clock went back behind the keys: how old they are nobody can say."""
    trials = proof("R9", "keys from the future do not start a run", ci=20, release=400)
    for random in trials:
        world = World()
        world.incident()
        plan = world.proposes("ana", LEAKED_KEY)
        world.approves("ben", plan)
        world.clock.advance(-random.choice((301, 1800, 3600, 86_400)))
        world.executor.execute(plan.id)  # an engine on another machine, whose clock never was ahead
        assert world.plan(plan).state is PlanState.VOIDED
        assert world.cloud.effects == []
        trials.outcome("voided")


def test_a_plan_that_is_owed_its_end_gets_it_although_the_clock_went_back(proof: Any) -> None:
    """The job that ends a plan is asked too early after a leap back; it comes again, and the plan still ends."""
    trials = proof("R9", "a leap back does not save a plan from its end", ci=20, release=400)
    for random in trials:
        world = World()
        world.incident()
        plan = world.proposes("ana", LEAKED_KEY)
        assert plan.expires_at is not None
        world.clock.set(plan.expires_at - timedelta(seconds=1))
        world.clock.advance(-random.choice((60, 3600)))
        world.works()
        assert world.plan(plan).state is PlanState.PROPOSED
        world.clock.set(plan.expires_at + timedelta(seconds=random.choice((0, 5, 3600))))
        world.works_on(minutes=2)
        assert world.plan(plan).state is PlanState.EXPIRED
        trials.outcome("ended")


def test_moments_are_the_same_in_every_time_zone_and_in_the_doubled_hour(tmp_path: Path) -> None:
    """01:30 in Berlin comes twice on that night; what is stored is neither of them but UTC."""
    said: set[str] = set()
    for zone in ZONES:
        folder = tmp_path / zone.replace("/", "-")
        folder.mkdir()
        with living_in(zone):
            world, store = on_disk(folder, CHANGES[1])
            try:
                world.incident()
                for _ in range(6):
                    world.clock.advance(1200)
                    with contextlib.suppress(TwokeyError):
                        world.proposes("ana", LEAKED_KEY)
                times = [entry.at for entry in world.trail()]
                assert times == sorted(times)
                assert all(at.utcoffset() == timedelta(0) for at in times)
                said.add(json.dumps([at.isoformat() for at in times]))
            finally:
                store.close()
    assert len(said) == 1
    local = [
        datetime(2026, 10, 25, hour, 30, tzinfo=UTC).astimezone(ZoneInfo("Europe/Berlin")) for hour in (0, 1)
    ]
    assert local[0].replace(tzinfo=None, fold=0) == local[1].replace(tzinfo=None, fold=0)


_RUN = """
import sys
from datetime import timedelta
from twokey.app import SystemClock
from twokey.store import open_store
from twokey.testing.world import World
clock = SystemClock()
store = open_store(sys.argv[1], clock, migrate=True)
world = World(store=store, queue=store.jobs(), clock=clock)
world.incident()
if sys.argv[2] == "propose":
    print(world.proposes("ana").id)
else:
    try:
        world.approves("ben", world.plan(sys.argv[3]))
        print("turned")
    except Exception as refused:
        print(refused)
store.verify()
"""


@pytest.mark.parametrize(
    ("leap", "said"), [("+0h", "turned"), ("-1h", "refused.plan_expired"), ("+1h", "refused.plan_expired")]
)
def test_a_process_whose_machine_leaps_says_the_same(leap: str, said: str, tmp_path: Path) -> None:
    """With libfaketime, where it is installed; else with the same leap of a clock that is handed in."""
    url = f"sqlite:///{tmp_path}/record.db"
    faketime = shutil.which("faketime")

    def run(*arguments: str, shift: str = "+0h") -> str:
        command = [sys.executable, "-c", _RUN, url, *arguments]
        command = [faketime, "-f", shift, *command] if faketime else command
        code = _RUN
        if not faketime:
            seconds = {"+0h": 0, "+1h": 3600, "-1h": -3600}[shift]
            code = _RUN.replace("SystemClock()", f"Skewed({seconds})")
            code = f"{_SHIFTED}{code}"
            command = [sys.executable, "-c", code, url, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    plan = run("propose")
    assert said in run("approve", plan, shift=leap)


_SHIFTED = """
from datetime import UTC, datetime, timedelta
class Skewed:
    def __init__(self, seconds):
        self.by = timedelta(seconds=seconds)
    def now(self):
        return datetime.now(UTC) + self.by
"""
