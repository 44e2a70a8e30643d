"""S20: whatever people, the clock, the cloud and the process do, in whatever order, the promises hold."""

import contextlib

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from twokey.core.approvals import Approval
from twokey.core.errors import TwokeyError
from twokey.core.incidents import MOVES, State
from twokey.core.people import ChatAccount
from twokey.core.runbooks import PlanState, Risk
from twokey.testing.clouds import Killed, denied, die, throttled
from twokey.testing.runbooks import LEAKED_KEY, PROTECT_BUCKETS, QUARANTINE_ACCOUNT
from twokey.testing.world import World

PEOPLE = st.sampled_from(["ana", "ben", "ben", "cho", "dia", "eve", "far"])
RUNBOOKS = st.sampled_from([LEAKED_KEY, PROTECT_BUCKETS, QUARANTINE_ACCOUNT])
WHICH = st.integers(0, 3)
OVER = (
    PlanState.DONE,
    PlanState.FAILED,
    PlanState.REFUSED,
    PlanState.WITHDRAWN,
    PlanState.EXPIRED,
    PlanState.VOIDED,
)


class Machine(RuleBasedStateMachine):
    """People and accidents, in any order."""

    @initialize()
    def something_arrives(self):
        self.world = World()
        self.world.incident(severity=5.0)
        self.plans = []
        self.ended = {}
        self.found = 1

    @contextlib.contextmanager
    def trying(self):
        try:
            yield
        except (TwokeyError, ZeroDivisionError):
            return
        except Killed:
            self.world.restarts()

    def plan(self, which):
        return self.world.plan(self.plans[which % len(self.plans)]) if self.plans else None

    @rule(same=st.booleans())
    def a_finding_arrives(self, same):
        self.found += 1
        self.world.arrives(self.world.finding("f1" if same else f"f{self.found}"))

    @rule(who=PEOPLE, runbook=RUNBOOKS)
    def somebody_proposes(self, who, runbook):
        with self.trying():
            self.plans.append(self.world.proposes(who, runbook).id)

    @rule(who=PEOPLE)
    def somebody_breaks_the_glass(self, who):
        with self.trying():
            self.plans.append(self.world.breaks_glass(who, self.world.previews(who)).id)

    @rule(who=PEOPLE, which=WHICH, typed=st.sampled_from(["right", "right", "right", "wrong"]))
    def somebody_approves(self, who, which, typed):
        if plan := self.plan(which):
            with self.trying():
                self.world.approves(who, plan, **({} if typed == "right" else {"typed": "nope"}))

    @rule(who=PEOPLE, which=WHICH, act=st.sampled_from(["refuse", "withdraw", "confirm", "undo"]))
    def somebody_acts(self, who, which, act):
        plan, containment, me = self.plan(which), self.world.containment, self.world.who(who)
        if plan is None:
            return
        with self.trying():
            if act == "refuse":
                containment.reject(plan.id, me, "no")
            elif act == "withdraw":
                containment.withdraw(plan.id, me)
            elif act == "confirm":
                self.world.containment.confirm(plan.id, me, code=self.world.code())
            else:
                self.plans.append(self.world.proposes_undo(who, plan).id)

    @rule(who=PEOPLE, which=WHICH, decision=st.sampled_from(["retry", "skip", "stop"]))
    def somebody_decides(self, who, which, decision):
        if plan := self.plan(which):
            with self.trying():
                flow, code = self.world.containment, self.world.code()
                flow.decide(plan.id, self.world.who(who), decision, code=code)

    @rule(who=PEOPLE, which=WHICH)
    def somebody_confirms_a_decision(self, who, which):
        plan = self.plan(which)
        for asked in self.world.containment.asked(plan.id) if plan else ():
            with self.trying():
                self.world.containment.confirm_decision(asked.id, self.world.who(who), code=self.world.code())

    @rule(who=PEOPLE, named=PEOPLE)
    def somebody_takes_command(self, who, named):
        account = ChatAccount("T1", f"U-{named.upper()}")
        with self.trying():
            self.world.response.assign("INC-1", "ic", account, self.world.who(who))

    @rule(who=PEOPLE, state=st.sampled_from(list(State)))
    def somebody_moves_the_incident(self, who, state):
        with self.trying():
            self.world.response.change_state("INC-1", state, self.world.who(who), "benign")

    @rule(number=st.integers(1, 12), fault=st.sampled_from([throttled, denied, die, lambda: 1 / 0]))
    def the_cloud_has_an_accident(self, number, fault):
        self.world.cloud.fault_at(number, fault)

    @rule(
        action=st.sampled_from(
            ["aws.iam.update_access_key", "aws.s3.merge_bucket_policy", "aws.organizations.create_policy"]
        ),
        dies=st.booleans(),
    )
    def an_answer_is_lost(self, action, dies):
        (self.world.cloud.die_after_effect if dies else self.world.cloud.lose_answer)(action)

    @rule(seconds=st.sampled_from([1, 10, 100, 1000]))
    def time_passes(self, seconds):
        self.world.clock.advance(seconds)

    @rule()
    def the_engine_works(self):
        with self.trying():
            self.world.works()

    @invariant()
    def nothing_is_done_without_its_people(self):
        if not hasattr(self, "world"):
            return
        for _, _, key in self.world.cloud.effects:
            plan = self.world.plan(key.partition("/")[0])
            with self.world.store.read() as look:
                keys = look.find(Approval, plan_id=plan.id)
            people = {one.person_id for one in keys if one.digest == plan.digest}
            people -= {plan.requester} if plan.risk is Risk.CRITICAL else set()
            assert len(people) >= 2 or (plan.break_glass_by and plan.break_glass_allowed)
            assert plan.risk is not Risk.CRITICAL or not plan.break_glass_by

    @invariant()
    def no_effect_happens_twice(self):
        if hasattr(self, "world"):
            keys = [key for _, _, key in self.world.cloud.effects]
            assert len(keys) == len(set(keys))

    @invariant()
    def the_root_is_never_denied(self):
        if hasattr(self, "world"):
            attached = self.world.cloud.state.attached
            assert [t for p, t in attached if p != "p-FullAWSAccess" and t.startswith("r-")] == []

    @invariant()
    def what_is_over_stays_over(self):
        if not hasattr(self, "world"):
            return
        for plan in map(self.world.plan, self.plans):
            assert self.ended.get(plan.id, plan.state) is plan.state
            if plan.state in OVER:
                self.ended[plan.id] = plan.state

    @invariant()
    def an_incident_moves_only_as_it_may(self):
        if hasattr(self, "world"):
            incident = self.world.incidents()[0]
            before = self.ended.get("INC-1", incident.state)
            reachable = {before}
            for _ in MOVES:
                reachable |= {after for state in reachable for after in MOVES[state]}
            assert incident.state in reachable
            if not incident.is_open:
                self.ended["INC-1"] = incident.state

    def teardown(self):
        """When all accidents are over, nothing hangs: every plan ends or asks, and the trail proves itself."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.cloud._at, world.cloud._on, world.cloud._after = [], [], []
        world.restarts()
        for _ in range(12):
            world.works()
            world.clock.advance(330)
        world.works()
        for plan in map(world.plan, self.plans):
            assert plan.state in (*OVER, PlanState.ASKING), plan.state
        self.no_effect_happens_twice()
        self.nothing_is_done_without_its_people()
        world.store.verify()  # type: ignore[attr-defined]  # both stores of a World have it


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
