"""R11: whatever happens, in any order, the history that is handed out keeps every promise.

Twice: the whole flow on a record on disk with a cloud in memory, where a day takes a second; and the whole program
as a process of its own, with kills, a Slack and a cloud that fail, repeats and clicks. One seed repeats a run's acts.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.lab.installation import Installation
from tests.lab.installation.recorded import record
from twokey.core.errors import TwokeyError
from twokey.core.incidents import State
from twokey.core.people import ChatAccount
from twokey.core.runbooks import Plan, PlanState
from twokey.demo import notifications
from twokey.demo.proxy import Call
from twokey.history import judge, read
from twokey.store import open_store
from twokey.testing.clocks import SettableClock
from twokey.testing.clouds import ACCOUNT, Killed, denied, die, throttled
from twokey.testing.runbooks import LEAKED_KEY, PROTECT_BUCKETS, QUARANTINE_ACCOUNT
from twokey.testing.world import World

PEOPLE = ("ana", "ben", "ben", "cho", "dia", "eve", "far")
OVER = (
    PlanState.DONE,
    PlanState.FAILED,
    PlanState.REFUSED,
    PlanState.WITHDRAWN,
    PlanState.EXPIRED,
    PlanState.VOIDED,
)


def divide_by_zero() -> None:
    """Fail as a defect would, with an exception that nobody expects."""
    _ = 1 / 0


class Day:
    """One day of a small company, with everything that can go wrong in it."""

    def __init__(self, random: Random, folder: Path) -> None:
        self.random = random
        clock = SettableClock()
        self.store = open_store(f"sqlite:///{folder}/record.db", clock, migrate=True)
        self.world = World(store=self.store, queue=self.store.jobs(), clock=clock)
        self.cloud: list[str] = []
        self.plans: list[str] = []
        self.found = 1
        self.world.incident(severity=5.0)

    def passes(self, acts: int) -> None:
        """Let so many things happen, and bring everything to its end."""
        choices = (
            *(self.finding, self.proposes, self.proposes, self.breaks_glass),
            *(self.approves,) * 6,
            *(self.acts, self.decides, self.takes_command, self.moves, self.accident, self.accident),
            *(self.stops, self.lifts, self.lifts, self.lifts),
            *(self.time_passes, self.time_passes, self.works, self.works, self.works),
        )
        for _ in range(acts):
            with self.trying():
                self.random.choice(choices)()
            self.logs()
        self.settles()

    @contextlib.contextmanager
    def trying(self) -> Iterator[None]:
        try:
            yield
        except (TwokeyError, ZeroDivisionError):
            return
        except Killed:
            self.world.restarts()

    def logs(self) -> None:
        """Keep the cloud's log as the cloud would: what took effect, and when."""
        at = self.world.clock.now().isoformat()
        for action, inputs, key in self.world.cloud.effects[len(self.cloud) :]:
            row = {"at": at, "operation": action, "status": 200, "request": f"{json.dumps(inputs)} {key}"}
            self.cloud.append(json.dumps(row))

    def settles(self) -> None:
        world = self.world
        world.cloud._at, world.cloud._on, world.cloud._after = [], [], []
        world.restarts()
        for _ in range(12):
            world.works()
            self.logs()
            world.clock.advance(330)
        world.clock.advance(26 * 3600)  # what was started on one key is asked for again after a day
        world.works()
        self.logs()

    # what happens

    def who(self) -> str:
        return self.random.choice(PEOPLE)

    def plan(self) -> Plan | None:
        return self.world.plan(self.random.choice(self.plans[-4:])) if self.plans else None

    def finding(self) -> None:
        self.found += self.random.randint(0, 1)
        self.world.arrives(self.world.finding(f"f{self.found}"))

    def proposes(self) -> None:
        runbook = self.random.choice((LEAKED_KEY, PROTECT_BUCKETS, QUARANTINE_ACCOUNT))
        self.plans.append(self.world.proposes(self.who(), runbook).id)

    def breaks_glass(self) -> None:
        name = self.who()
        if self.random.random() < 0.4:
            self.plans.append(self.world.breaks_glass(name, self.world.previews(name)).id)

    def approves(self) -> None:
        if plan := self.plan():
            right = self.random.random() < 0.9
            self.world.approves(self.who(), plan, **({} if right else {"typed": "nope"}))

    def acts(self) -> None:
        if plan := self.plan():
            name = self.who()
            containment, me = self.world.containment, self.world.who(name)
            match self.random.choice(("refuse", "withdraw", "confirm", "undo")):
                case "refuse":
                    containment.reject(plan.id, me, "no")
                case "withdraw":
                    containment.withdraw(plan.id, me)
                case "confirm":
                    containment.confirm(plan.id, me, code=self.world.code())
                case _:
                    self.plans.append(self.world.asks_for(name, containment.preview_undo(plan.id, me)).id)

    def decides(self) -> None:
        if plan := self.plan():
            decision = self.random.choice(("retry", "skip", "stop"))
            self.world.containment.decide(plan.id, self.world.who(self.who()), decision)

    def stops(self) -> None:
        if self.random.random() < 0.5:
            where = self.random.choice((ACCOUNT, "all"))
            self.world.containment.stops.stop(where, self.world.who(self.who()), "what is this?")

    def lifts(self) -> None:
        flow, name = self.world.containment.stops, self.who()
        for stop in flow.listed():
            code = self.world.code()
            flow.resume(stop.where, self.world.who(name), shown=stop.seq, code=code)

    def takes_command(self) -> None:
        account = ChatAccount("T1", f"U-{self.who().upper()}")
        self.world.response.assign("INC-1", "ic", account, self.world.who(self.who()))

    def moves(self) -> None:
        state = self.random.choice([*State])
        if state is not State.CANCELLED:
            self.world.response.change_state("INC-1", state, self.world.who(self.who()), "benign")

    def accident(self) -> None:
        cloud = self.world.cloud
        if self.random.random() < 0.5:
            cloud.fault_at(
                len(cloud.calls) + self.random.randint(1, 12),
                self.random.choice((throttled, denied, die, divide_by_zero)),
            )
            return
        action = self.random.choice(
            ("aws.iam.update_access_key", "aws.s3.merge_bucket_policy", "aws.organizations.create_policy")
        )
        (cloud.die_after_effect if self.random.random() < 0.5 else cloud.lose_answer)(action)

    def time_passes(self) -> None:
        self.world.clock.advance(self.random.choice((1, 10, 100, 1000)))

    def works(self) -> None:
        self.world.works()


def test_days_full_of_accidents_keep_every_promise(proof: Any, tmp_path: Path) -> None:
    trials = proof(
        "R11", "any order of people, clock and accidents keeps every promise", ci=25, release=2_000
    )
    for number, random in enumerate(trials):
        folder = tmp_path / str(number)
        folder.mkdir()
        day = Day(random, folder)
        try:
            day.passes(acts=70)
            lines: list[str] = []
            day.store.export(lines.append)
            assert judge(read(lines, day.cloud)) == []
            for name in day.plans:
                assert day.world.plan(name).state in (*OVER, PlanState.ASKING)
                trials.outcome(f"plans {day.world.plan(name).state.value}")
            trials.outcome("effects", len(day.cloud))
        finally:
            day.store.close()
    if trials.only is None:
        assert trials.outcomes["plans done"] > 5, "a soak in which nothing happens proves nothing"
        assert trials.outcomes["effects"] > 10


MOST_BUCKETS = 60  # an incident keeps a hundred resources


class Chaos:
    """The whole program in a bad hour: each act is drawn from the trial's randomness."""

    def __init__(self, world: Installation, random: Random) -> None:
        self.world, self.random = world, random
        self.done: list[str] = []
        self.buckets = ["shop-images", "shop-exports", "shop-backups", "shop-logs", "shop-invoices"]
        self.cards: list[Any] = []
        self.found = 0

    def rages(self, seconds: float) -> None:
        """Act until the time is over, and say what was done."""
        acts: tuple[Callable[[], None], ...] = (
            self.findings,
            self.repeat,
            self.webhook,
            self.garbage,
            self.propose,
            self.propose,
            self.keys,
            self.keys,
            self.keys,
            self.clicks,
            self.note,
            self.kill,
            self.slack_fails,
            self.slack_fails,
            self.cloud_fails,
            self.socket_drops,
        )
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            act = self.random.choice(acts)
            self.done.append(act.__name__)
            # a person's click may meet a bot that was just killed, or a Slack that does not answer
            with contextlib.suppress(AssertionError, OSError):
                act()

    def findings(self) -> None:
        self.found += 1
        bucket = self.random.choice(self.buckets)
        body = notifications.findings(self.world.company.key_id, [bucket], datetime.now(UTC))
        self.world.company.notify(body)

    def repeat(self) -> None:
        body = notifications.findings(self.world.company.key_id, self.buckets[:1], datetime.now(UTC))
        for _ in range(self.random.randint(2, 10)):
            self.world.company.notify(body)

    def webhook(self) -> None:
        body = notifications.planned_maintenance(datetime.now(UTC)).encode()
        for _ in range(self.random.randint(1, 4)):
            self.world.webhook(body)

    def garbage(self) -> None:
        self.world.webhook(f"{{ no JSON {self.random.randint(0, 3)}".encode())

    def another_bucket(self) -> None:
        """Make one more and have it found, so that a long hour has something to protect to its end."""
        bucket = f"shop-more-{len(self.buckets)}"
        self.world.company.make_bucket(bucket)
        self.buckets.append(bucket)
        self.world.company.notify(
            notifications.findings(self.world.company.key_id, [bucket], datetime.now(UTC))
        )

    def propose(self) -> None:
        if len(self.cards) == len(self.buckets) < MOST_BUCKETS:
            self.another_bucket()
        if len(self.cards) < len(self.buckets):
            world, bucket = self.world, self.buckets[len(self.cards)]
            world.ana.command(
                "/twokey", f"contain INC-1 aws.protect-buckets buckets={bucket}", world.security
            )
            seen = world.slack.wait_for(lambda: world.view(world.ana, "contain_propose"), 8)
            known = len(world.plan_cards())
            world.fill(world.ana, seen)
            world.slack.wait_for(lambda: len(world.plan_cards()) > known, 8)
            card = world.plan_cards()[-1]
            world.drawn[card.ts] = card.blocks
            self.cards.append(card)

    def person(self) -> Any:
        world = self.world
        return self.random.choice((world.ben, world.cy, world.dee, world.eve, world.ana, world.stranger))

    def keys(self) -> None:
        if self.cards:
            # mostly those that are still asked about
            person, card = self.person(), self.random.choice(self.cards[-4:] * 4 + self.cards)
            person.click(self.world.fresh(card), "plan_review")
            view = self.world.slack.wait_for(lambda: self.world.view(person, "plan_approve"), 4)
            self.world.fill(person, view, typed="222222222222")

    def clicks(self) -> None:
        if self.cards:
            person, card = self.person(), self.random.choice(self.cards)
            for _ in range(5):
                person.click(card, "plan_review", blocks=self.world.drawn[card.ts])

    def note(self) -> None:
        number = self.random.randint(0, 99)
        self.world.ana.command("/twokey", f"note INC-1 note {number}", self.world.security)

    def kill(self) -> None:
        bot = self.world.bots[0]
        bot.kill()
        bot.start(ready_within=0)
        time.sleep(self.random.random())

    def slack_fails(self) -> None:
        faults = self.world.slack.faults
        match self.random.choice(("429", "5xx", "lost", "cut", "hang")):
            case "429":
                faults.rate_limited("chat.*", retry_after=1, times=self.random.randint(1, 3))
            case "5xx":
                faults.server_error("chat.*", status=self.random.choice((500, 503)), times=2)
            case "lost":
                faults.lose_reply("chat.postMessage")
            case "cut":
                faults.cut("chat.*")
            case _:
                faults.hang("chat.*", delay=0.5)

    def cloud_fails(self) -> None:
        """Cut the answer of the next write, its effect having happened; or the call before it arrives."""
        hooks = self.world.proxy.after if self.random.random() < 0.5 else self.world.proxy.before

        def cut_once(call: Call) -> bool:
            if call.operation != "PutBucketPolicy":
                return True
            hooks.remove(cut_once)
            return False

        hooks.append(cut_once)

    def socket_drops(self) -> None:
        self.world.slack.socket.drop()

    def settles(self) -> None:
        """Let everything work again, and wait until nothing is owed."""
        world = self.world
        world.slack.faults.clear()
        world.proxy.before.clear()
        world.proxy.after.clear()
        if not world.bots[0].is_running:
            world.bots[0].start(ready_within=0)
        world.bots[0].wait_ready(120)
        world.until(lambda: not world.queued(), 180)
        live = (PlanState.APPROVED, PlanState.RUNNING)
        world.until(lambda: not [p for p in world.find(Plan) if p.state in live], 240)
        world.quiet(240)


@pytest.mark.timeout(0)
def test_a_bad_hour_of_the_whole_program_keeps_every_promise(
    worlds: Callable[..., Installation], proof: Any
) -> None:
    seconds = float(os.environ.get("SOAK_S", "1800" if proof.is_release else "45"))
    trials = proof("R11", "a soak of the whole program with kills, faults, repeats and clicks", ci=1)
    for random in trials:
        world = worlds(TWOKEY_SLACK_PER_SECOND="25", TWOKEY_LEASE_S="4")
        world.bot()
        world.attack(buckets=("shop-orders",))
        chaos = Chaos(world, random)
        chaos.rages(seconds)
        chaos.settles()
        files = record(world)
        broken = files.judged()
        assert broken == [], f"{broken}\n{chaos.done}"
        world.proven()
        world.harmless()
        history = files.history()
        trials.outcome("acts", len(chaos.done))
        trials.outcome("kills", chaos.done.count("kill"))
        trials.outcome("effects", sum(call.is_effect for call in history.cloud))
        trials.outcome("entries", len(history.entries))
