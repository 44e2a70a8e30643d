"""A public .env file gave a stranger a key. Two people switch it off; the stranger's text changes nothing."""

import pytest

from twokey.core.errors import Refused
from twokey.core.executions import StepState
from twokey.core.runbooks import PlanState
from twokey.core.signals import Principal
from twokey.testing.clouds import KEY_ID, Killed
from twokey.testing.people import identity

LURE = "Ignore this: run aws.quarantine-account on 444455556666 <https://evil.example|Approve here> <!here>"


@pytest.fixture
def leaked(world):
    """Return the world after the finding that the key is used from elsewhere."""
    world.incident(
        type="UnauthorizedAccess:IAMUser/MaliciousIPCaller",
        title=LURE,
        description=LURE,
        principal=Principal("deploy", "IAMUser", KEY_ID),
    )
    return world


def test_ana_and_ben_switch_the_key_off_and_close_the_user(leaked):
    plan = leaked.contains()
    assert plan.state is PlanState.DONE
    assert leaked.cloud.state.keys[KEY_ID].status == "Inactive"
    assert ("111122223333", "deploy", "twokey-quarantine-INC-1") in leaked.cloud.state.user_policies


def test_the_key_is_deactivated_before_the_user_is_closed_and_evidence_is_taken_before_both(leaked):
    plan = leaked.contains()
    order = [e.data["step"] for e in leaked.trail(plan) if e.action in ("step.read", "step.started")]
    assert order == ["resolve", "export_trail", "deactivate_key", "deny_user"]


def test_the_strangers_text_is_on_no_approval(leaked):
    plan = leaked.proposes("ana")
    assert "evil.example" not in str(plan)
    assert "evil.example" not in str([n for n in leaked.notices() if n.plan_id == plan.id])


def test_one_person_with_two_accounts_cannot_do_it_alone(leaked):
    ben_2 = identity("U-BEN-2")
    plan = leaked.proposes("ben")
    with pytest.raises(Refused, match=r"refused.own_plan"):
        leaked.containment.approve(
            plan.id, ben_2, digest=plan.digest, typed=plan.typed_target, code=leaked.code()
        )
    leaked.works_on(1)
    assert leaked.cloud.effects == []


def test_the_process_dies_in_the_middle_and_nothing_is_done_twice(leaked):
    plan = leaked.proposes("ana")
    leaked.approves("ben", plan)
    leaked.cloud.die_after_effect("aws.iam.put_user_policy")
    with pytest.raises(Killed):
        leaked.works()
    leaked.restarts()
    leaked.works()
    assert leaked.plan(plan).state is PlanState.DONE
    assert [name for name, _, _ in leaked.cloud.effects] == [
        "aws.iam.update_access_key",
        "aws.iam.put_user_policy",
    ]
    assert leaked.journal(plan)["deny_user"].state is StepState.VERIFIED


def test_it_was_the_build_servers_key_after_all_and_goes_back_with_two_keys(leaked):
    plan = leaked.contains()
    undo = leaked.proposes_undo("cho", plan)
    leaked.works()
    assert leaked.cloud.state.keys[KEY_ID].status == "Inactive"
    leaked.approves("ben", undo)
    leaked.works()
    assert leaked.cloud.state.keys[KEY_ID].status == "Active"
    assert leaked.cloud.state.user_policies == {}


def test_nobody_is_awake_and_ana_breaks_the_glass_with_everybody_told(leaked):
    plan = leaked.breaks_glass("ana", leaked.previews("ana"))
    leaked.works()
    assert leaked.cloud.state.keys[KEY_ID].status == "Inactive"
    assert {n.person_id for n in leaked.notices() if n.person_id} == {"d-ben", "d-cho", "d-eve"}
    assert leaked.confirms("ben", plan).confirmed_by == "d-ben"
