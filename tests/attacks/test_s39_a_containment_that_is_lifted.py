"""S39: what an attacker lifts behind our back is seen by a later look: the incident opens again, and people are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lab.trials import Proof
from twokey.core.containments import InForceState
from twokey.core.incidents import State
from twokey.core.notices import NoticeKind
from twokey.core.people import ChatAccount
from twokey.testing import runbooks
from twokey.testing.clouds import ACCOUNT, KEY_ID, QUARANTINE, WORKLOADS
from twokey.testing.world import World


def key_on(world: World) -> None:
    world.cloud.state.keys[KEY_ID].status = "Active"


def policy_away(world: World) -> None:
    world.cloud.state.user_policies.clear()


def policy_of_another_content(world: World) -> None:
    policies = world.cloud.state.user_policies
    policies.update(dict.fromkeys(policies, '{"Statement": []}'))


def protection_away(world: World) -> None:
    world.cloud.state.bucket_policies["acme-invoices"].pop()


def account_moved_out(world: World) -> None:
    world.cloud.state.accounts[ACCOUNT] = WORKLOADS


def policy_detached(world: World) -> None:
    world.cloud.state.attached = [pair for pair in world.cloud.state.attached if pair[0] == "p-FullAWSAccess"]


LIFTED: dict[str, tuple[str, Callable[[World], None], tuple[str, ...]]] = {
    "the key is switched on": (runbooks.LEAKED_KEY, key_on, ("ana", "ben")),
    "the user's policy is deleted": (runbooks.LEAKED_KEY, policy_away, ("ana", "ben")),
    "the user's policy is emptied": (runbooks.LEAKED_KEY, policy_of_another_content, ("ana", "ben")),
    "the bucket's statement is deleted": (runbooks.PROTECT_BUCKETS, protection_away, ("ana", "ben")),
    "the account is moved out": (runbooks.QUARANTINE_ACCOUNT, account_moved_out, ("ana", "ben", "cho")),
    "the policy is detached": (runbooks.QUARANTINE_ACCOUNT, policy_detached, ("ana", "ben", "cho")),
}


@pytest.mark.parametrize("how", LIFTED)
@pytest.mark.parametrize("state", [State.CONTAINED, State.MONITORING, State.RESOLVED, State.CLOSED])
def test_s39_what_is_lifted_opens_the_incident_again_and_everybody_is_told(
    how: str, state: State, proof: Proof
) -> None:
    runbook, lift, people = LIFTED[how]
    for _ in (trials := proof("S39", "a containment that is lifted is seen, told, and opens its incident")):
        world = World()
        world.incident()
        world.response.assign("INC-1", "ic", ChatAccount("T1", "U-EVE"), world.who("eve"))
        plan = world.contains(runbook, *people)
        assert world.incidents()[0].state is State.CONTAINED
        wait = 60.0
        if state is not State.CONTAINED:
            way = (State.RESOLVED, State.POSTMORTEM, State.CLOSED)
            for next_state in way if state is State.CLOSED else (state,):
                world.response.change_state("INC-1", next_state, world.who("dia"))
        if state in (State.RESOLVED, State.CLOSED):
            wait *= 3
        before = len(world.notices())
        lift(world)
        world.works_on(wait, step_s=60)

        incident = world.incidents()[0]
        assert incident.state is State.INVESTIGATING
        assert InForceState.DRIFTED in {row.state for row in world.contained("INC-1")}
        drifted = [entry for entry in world.trail(plan) if entry.action == "containment.drifted"]
        assert len(drifted) == 1
        told = world.notices()[before:]
        news = [notice for notice in told if any(m.code == "watch.drifted" for m in notice.messages)]
        assert any(notice.kind is NoticeKind.BROADCAST for notice in news)
        private = {notice.person_id for notice in news if notice.kind is NoticeKind.PRIVATE}
        assert private == {f"d-{name}" for name in people} | {"d-eve"}
        # and it can be contained anew: a plan of its own
        assert world.previews("ana", runbooks.PROTECT_BUCKETS).digest
        trials.outcome("seen")


def test_s39_the_looks_of_a_quiet_day_are_few_entries_and_no_message(proof: Proof) -> None:
    for _ in (trials := proof("S39", "an account that is quarantined and stays so is never called lifted")):
        for runbook, people in (
            (runbooks.LEAKED_KEY, ("ana", "ben")),
            (runbooks.QUARANTINE_ACCOUNT, ("ana", "ben", "cho")),
        ):
            world = World()
            world.incident()
            plan = world.contains(runbook, *people)
            told, actions = len(world.told()), world.actions(plan)
            world.works_on(24 * 60, step_s=60)
            assert len(world.told()) == told
            since = [one for one in world.actions(plan)[len(actions) :] if one != "expiry.checked"]
            assert set(since) == {"containment.seen"}
            assert len(since) <= 25
            assert QUARANTINE in world.cloud.state.units
            trials.outcome("quiet")
