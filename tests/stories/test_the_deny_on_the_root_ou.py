"""A Deny meant for a new quarantine unit was attached to the Root; a second person had looked and missed it."""

import pytest

from twokey.core.errors import Refused
from twokey.core.runbooks import PlanState
from twokey.testing.clouds import ACCOUNT, MANAGEMENT, OWN_ACCOUNT, QUARANTINE, ROOT, WORKLOADS
from twokey.testing.runbooks import QUARANTINE_ACCOUNT

OTHER = "444455556666"


@pytest.fixture
def quarantine(world):
    """Return the world with an account that must be cut off."""
    world.incident()
    return world


def denied(world):
    """Return where the Deny is attached."""
    return [target for policy, target in world.cloud.state.attached if policy != "p-FullAWSAccess"]


def test_three_people_put_one_account_behind_the_deny_and_no_other(quarantine):
    plan = quarantine.contains(QUARANTINE_ACCOUNT, "ana", "ben", "cho")
    assert plan.state is PlanState.DONE
    (unit,) = denied(quarantine)
    assert quarantine.cloud.state.units[unit].parent == QUARANTINE
    behind = [a for a, parent in quarantine.cloud.state.accounts.items() if parent == unit]
    assert behind == [ACCOUNT]


def test_the_unit_is_empty_when_the_deny_goes_on_and_the_account_moves_last(quarantine):
    quarantine.contains(QUARANTINE_ACCOUNT, "ana", "ben", "cho")
    assert [name.rpartition(".")[2] for name, _, _ in quarantine.cloud.effects] == [
        "create_organizational_unit",
        "create_policy",
        "attach_policy",
        "move_account",
    ]


def test_two_people_are_not_enough(quarantine):
    plan = quarantine.proposes("ana", QUARANTINE_ACCOUNT)
    quarantine.approves("ben", plan)
    quarantine.works_on(1)
    assert quarantine.cloud.effects == []


@pytest.mark.parametrize("parent", [ROOT, "r-abcd"])
def test_the_root_cannot_be_named_as_the_place(quarantine, parent):
    with pytest.raises(Refused, match=r"refused.param_from_settings"):
        quarantine.proposes("ana", QUARANTINE_ACCOUNT, quarantine_parent_id=parent)
    quarantine.changes_settings(quarantine_parent_ou=parent)
    with pytest.raises(Refused, match=r"refused.guard"):
        quarantine.proposes("ana", QUARANTINE_ACCOUNT)
    assert denied(quarantine) == []


@pytest.mark.parametrize("account", [MANAGEMENT, OWN_ACCOUNT])
def test_the_accounts_on_which_everything_hangs_are_refused(quarantine, account):
    with pytest.raises(Refused):
        quarantine.proposes("ana", QUARANTINE_ACCOUNT, account_id=account)


def test_the_second_person_types_the_account_and_sees_that_it_is_the_wrong_one(quarantine):
    """Ana picked the wrong account. Ben types the one from the finding: that is the moment it stops."""
    plan = quarantine.proposes("ana", QUARANTINE_ACCOUNT, account_id=OTHER)
    assert plan.typed_target == OTHER
    with pytest.raises(Refused, match=r"refused.typed_wrong"):
        quarantine.approves("ben", plan, typed=ACCOUNT)
    quarantine.containment.reject(plan.id, quarantine.who("ben"), "that is not the account in the finding")
    quarantine.works_on(1)
    assert quarantine.cloud.effects == []


def test_the_preview_shows_how_many_accounts_it_is_about(quarantine):
    plan = quarantine.previews("ana", QUARANTINE_ACCOUNT)
    assert plan.blast == {"accounts": 1}
    assert [touch.id for touch in plan.touches if touch.kind == "account"] == [ACCOUNT]


def test_an_account_that_was_moved_meanwhile_ends_the_plan(quarantine):
    plan = quarantine.proposes("ana", QUARANTINE_ACCOUNT)
    quarantine.approves("ben", plan)
    quarantine.approves("cho", plan)
    quarantine.cloud.state.accounts[ACCOUNT] = QUARANTINE
    quarantine.works_on(1)
    assert quarantine.plan(plan).state is PlanState.VOIDED
    assert quarantine.cloud.effects == []


def test_a_unit_that_is_not_empty_any_more_does_not_get_the_deny(quarantine):
    """Somebody moves another account into the new unit before the Deny is attached."""
    plan = quarantine.proposes("ana", QUARANTINE_ACCOUNT)
    quarantine.approves("ben", plan)
    quarantine.approves("cho", plan)

    def somebody_moves_another_account(name):
        if name == "attach_scp:before-intent":
            unit = quarantine.journal(plan)["create_ou"].outputs["ou_id"]
            quarantine.cloud.state.accounts[OTHER] = unit

    quarantine.stops_at(somebody_moves_another_account)
    quarantine.works_on(1)
    assert quarantine.plan(plan).state is PlanState.FAILED
    assert denied(quarantine) == []


def test_the_account_comes_back_with_three_keys(quarantine):
    plan = quarantine.contains(QUARANTINE_ACCOUNT, "ana", "ben", "cho")
    undo = quarantine.proposes_undo("cho", plan)
    quarantine.approves("ana", undo)
    assert quarantine.cloud.state.accounts[ACCOUNT] != WORKLOADS
    quarantine.approves("ben", undo)
    quarantine.works()
    assert quarantine.cloud.state.accounts[ACCOUNT] == WORKLOADS
    assert denied(quarantine) == []
