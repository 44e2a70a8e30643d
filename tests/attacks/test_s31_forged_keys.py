"""S31: where a key is a signature, nobody makes one but its person's own device: no database, no Slack account, no page
that looks like ours."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.lab.authenticator import Device
from tests.lab.trials import Proof
from twokey.core.approvals import Approval, Showing, approval_id
from twokey.core.audit import GENESIS, content
from twokey.core.errors import Refused
from twokey.core.jobs import Job, JobKind
from twokey.core.passkeys import SIGNED_FIELDS, SigningRequest, link_id, signing_challenge
from twokey.core.runbooks import Plan, PlanState, canonical
from twokey.flow.containment.signing import Signed
from twokey.history import judge, read
from twokey.history.signatures import public_keys
from twokey.passkeys import WebPasskeys
from twokey.store import open_store
from twokey.testing.clocks import SettableClock
from twokey.testing.runbooks import LEAKED_KEY
from twokey.testing.world import World

URL = "https://twokey.example"


class Signing(World):
    """A world in which the plan for a leaked key takes signatures only; ana, ben and cho have a device each."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(passkeys=WebPasskeys(URL), **parts)
        self.devices = {name: Device() for name in ("ana", "ben", "cho")}
        for name, device in self.devices.items():
            self.rosters.change(f"d-{name}", passkeys=(device.passkey,))
        book = self.library.runbooks[LEAKED_KEY]
        self.library.edit(LEAKED_KEY, approval=replace(book.approval, step_up="passkey"))
        self.incident()

    def link(self, name: str, plan: Plan) -> str:
        """Let a person ask for a link, and return its secret."""
        self.sees(name, plan)
        address = self.containment.signing_link(plan.id, self.who(name))
        assert address.startswith(f"{URL}/passkey/sign/")
        return address.rpartition("/")[2]

    def challenge(self, token: str) -> bytes:
        request, _, _ = self.containment.to_sign(token)
        return signing_challenge(request.plan_id, request.digest, request.person_id, request.nonce)

    def signs(self, name: str, plan: Plan, device: Device | None = None) -> Any:
        """Let a person sign a plan on the page, with their own device or another."""
        token = self.link(name, plan)
        signed = (device or self.devices[name]).sign(self.challenge(token))
        return self.containment.sign(token, Signed(plan.typed_target, signed))


def refused(code: str) -> Any:
    return pytest.raises(Refused, match=f"^{code}")


@pytest.fixture
def world() -> Signing:
    return Signing()


def test_s31_two_signatures_are_two_keys_and_a_proposal_is_none(world: Signing) -> None:
    plan = world.proposes("dia")
    assert world.keys(plan) == []
    assert not world.signs("ana", plan).is_satisfied
    assert world.signs("ben", plan).is_satisfied
    world.works_on(1)
    assert world.plan(plan).state is PlanState.DONE
    approved: list[Any] = [entry.data["passkey"] for entry in world.trail(plan) if entry.action == "approved"]
    assert [said["credential"] for said in approved] == [
        world.devices[name].passkey.id for name in ("ana", "ben")
    ]


def test_s31_a_code_is_no_signature(world: Signing) -> None:
    plan = world.proposes("dia")
    with refused("refused.passkey_needed"):
        world.approves("ben", plan)
    with refused("refused.no_break_glass"):
        world.breaks_glass("ben", world.previews("ben"))
    assert world.keys(plan) == []


def _another_device(world: Signing, plan: Plan) -> None:
    world.signs("ben", plan, Device())


def _of_another_person(world: Signing, plan: Plan) -> None:
    world.signs("ben", plan, world.devices["cho"])


def _on_a_page_that_looks_like_ours(world: Signing, plan: Plan) -> None:
    world.signs("ben", plan, world.devices["ben"].elsewhere("https://twokey-example.test"))


def _without_its_person(world: Signing, plan: Plan) -> None:
    world.devices["ben"].verifies = False
    world.signs("ben", plan)


def _of_another_plan(world: Signing, plan: Plan) -> None:
    token = world.link("ben", plan)
    request, _, _ = world.containment.to_sign(token)
    other = signing_challenge("plan-other", request.digest, request.person_id, request.nonce)
    world.containment.sign(token, Signed(plan.typed_target, world.devices["ben"].sign(other)))


def _of_another_digest(world: Signing, plan: Plan) -> None:
    token = world.link("ben", plan)
    request, _, _ = world.containment.to_sign(token)
    other = signing_challenge(request.plan_id, "0" * 64, request.person_id, request.nonce)
    world.containment.sign(token, Signed(plan.typed_target, world.devices["ben"].sign(other)))


def _of_an_earlier_link(world: Signing, plan: Plan) -> None:
    signed = world.devices["ben"].sign(world.challenge(world.link("ben", plan)))
    later = world.link("ben", plan)
    world.challenge(later)  # its page was opened
    world.containment.sign(later, Signed(plan.typed_target, signed))


SIGNATURES: tuple[Callable[[Signing, Plan], None], ...] = (
    _another_device,
    _of_another_person,
    _on_a_page_that_looks_like_ours,
    _without_its_person,
    _of_another_plan,
    _of_another_digest,
    _of_an_earlier_link,
)


@pytest.mark.parametrize("forge", SIGNATURES, ids=lambda forge: forge.__name__.strip("_"))
def test_s31_a_signature_that_is_not_this_persons_for_this_plan_is_no_key(
    forge: Callable[[Signing, Plan], None], proof: Proof
) -> None:
    for _ in (trials := proof("S31", "a signature of another device, page, plan, digest or link: no key")):
        world = Signing()
        plan = world.proposes("dia")
        with refused("refused.passkey_wrong"):
            forge(world, plan)
        assert world.trail()[-1].action == "approval.refused"
        assert world.keys(plan) == []
        trials.outcome("refused, and on record")


SPOILT: tuple[Callable[[str, Random], str], ...] = (
    lambda text, random: text[: random.randrange(len(text))],
    lambda text, random: random.randbytes(random.randrange(200)).hex(),
    lambda text, random: text + "00",
    lambda text, random: "".join(random.choice("0123456789abcdef") for _ in text),
    lambda text, random: "\u0000\uffff" + text,
)


def test_s31_bytes_that_no_device_makes_are_no_key(proof: Proof) -> None:
    world = Signing()
    plan = world.proposes("dia")
    token = world.link("ben", plan)
    good = world.devices["ben"].sign(world.challenge(token))
    for random in (
        trials := proof("S31", "a signature with bytes changed, cut or made up: no key", ci=60, release=2000)
    ):
        name = random.choice(sorted(good))
        spoilt = {**good, name: random.choice(SPOILT)(good[name], random)}
        with refused("refused.passkey_wrong"):
            world.containment.sign(token, Signed(plan.typed_target, spoilt))
        trials.outcome(name)
    assert world.keys(plan) == []
    assert not world.containment.sign(token, Signed(plan.typed_target, good)).is_satisfied, (
        "the same link, and right"
    )


def test_s31_a_link_is_one_persons_once_and_for_minutes(world: Signing) -> None:
    plan = world.proposes("dia")
    token = world.link("ben", plan)
    signed = world.devices["ben"].sign(world.challenge(token))
    with refused("refused.typed_wrong"):
        world.containment.sign(token, Signed("XXXX", signed))
    world.containment.sign(token, Signed(plan.typed_target, signed))
    for wrong in (token, token + "x", ""):
        with refused("refused.link_over"):
            world.containment.sign(wrong, Signed(plan.typed_target, signed))
    late = world.link("cho", plan)
    with world.store.read() as look:
        assert look.get(SigningRequest, late) is None
        assert look.get(SigningRequest, link_id(late)) is not None
    world.clock.advance(301)
    with refused("refused.link_over"):
        world.containment.to_sign(late)


def test_s31_a_key_stands_on_the_page_it_was_signed_on_which_showed_the_plan_whole(world: Signing) -> None:
    """Slack's own view of such a plan has no form: the page is what its person had before them."""
    plan = world.proposes("dia")
    token = world.containment.signing_link(plan.id, world.who("ben")).rpartition("/")[2]
    with world.store.read() as look:
        request = look.get(SigningRequest, link_id(token))
    assert request is not None
    signed = world.devices["ben"].sign(
        signing_challenge(
            plan.id, plan.digest, "d-ben", request.nonce
        )  # who reads the record knows the number
    )
    with refused("refused.not_shown"):
        world.containment.sign(token, Signed(plan.typed_target, signed))
    for _ in range(3):
        world.challenge(token)
    (said,) = [entry for entry in world.trail(plan) if entry.action == "shown"]
    assert (said.actor.id, said.data["page"]) == ("d-ben", "all")
    world.containment.sign(token, Signed(plan.typed_target, signed))
    (key,) = world.keys(plan)
    with world.store.read() as look:
        showing = look.get(Showing, key.showing)
    assert showing is not None
    assert (showing.view, showing.details) == (said.data["view"], True)


@pytest.mark.parametrize(("name", "code"), [("dia", "refused.own_plan"), ("eve", "refused.not_approver")])
def test_s31_who_may_not_turn_a_key_gets_no_link(world: Signing, name: str, code: str) -> None:
    plan = world.proposes("dia")
    with refused(code):
        world.link(name, plan)
    assert world.trail()[-1].action == "signing.refused"


def test_s31_no_passkey_or_no_page_no_link(world: Signing) -> None:
    plan = world.proposes("dia")
    world.rosters.change("d-cho", passkeys=())
    with refused("refused.no_passkey"):
        world.link("cho", plan)
    unset = World()
    unset.incident()
    with refused("refused.passkeys_off"):
        unset.containment.signing_link(unset.proposes("ana").id, unset.who("ben"))


def test_s31_signatures_stand_on_a_real_record_as_they_were_made(tmp_path: Path) -> None:
    clock = SettableClock()
    with closing(open_store(f"sqlite:///{tmp_path / 'record.db'}", clock)) as store:
        world = Signing(store=store, queue=store.jobs(), clock=clock)
        plan = world.proposes("dia")
        for name in ("ana", "ben"):
            world.signs(name, plan)
        assert all(set(key.assertion) == set(SIGNED_FIELDS) for key in world.keys(plan))
        world.containment.enrolling.link(world.who("dia"))
        world.works_on(1)
        assert world.plan(plan).state is PlanState.DONE
        store.verify()


# the database is the attacker's


def a_key(plan: Plan, person: str, world: Signing, **assertion: str) -> Approval:
    return Approval(
        approval_id(plan.id, person), plan.id, plan.digest, person, "approver", world.clock.now(),
        f"passkey:{assertion.get('credential', '')}", assertion=assertion,
    )  # fmt: skip


def _a_row(world: Signing, plan: Plan) -> Approval:
    """As in the review: the row of a key, its plan approved, a job owed."""
    return replace(a_key(plan, "d-ben", world), step_up="totp:d-ben:000007")


def _made_up(world: Signing, plan: Plan) -> Approval:
    made = dict.fromkeys(("nonce", "client_data", "authenticator_data", "signature"), "00" * 64)
    return a_key(plan, "d-ben", world, credential=world.devices["ben"].passkey.id, **made)


def _copied(world: Signing, plan: Plan) -> Approval:
    """Ana's own signature, under another name."""
    (own,) = world.keys(plan)
    return a_key(plan, "d-ben", world, **own.assertion)


def _by_a_device_of_the_forgers(world: Signing, plan: Plan) -> Approval:
    device, nonce = Device(), hashlib.sha256(b"n").hexdigest()
    signed = device.sign(signing_challenge(plan.id, plan.digest, "d-ben", nonce))
    return a_key(plan, "d-ben", world, **signed, nonce=nonce)


ROWS: tuple[Callable[[Signing, Plan], Approval], ...] = (
    _a_row,
    _made_up,
    _copied,
    _by_a_device_of_the_forgers,
)


@pytest.mark.parametrize("forge", ROWS, ids=lambda forge: forge.__name__.strip("_"))
def test_s31_a_key_that_somebody_wrote_into_the_database_starts_nothing(
    forge: Callable[[Signing, Plan], Approval], proof: Proof
) -> None:
    for _ in (trials := proof("S31", "a forged row of a key, its plan approved and its run owed: no write")):
        world = Signing()
        plan = world.proposes("dia")
        world.signs("ana", plan)
        world.tampers(forge(world, plan))
        world.tampers(replace(world.plan(plan), state=PlanState.APPROVED))
        with world.store.change() as tx:
            tx.enqueue(
                Job(f"execute:{plan.id}", JobKind.EXECUTE, {"plan_id": plan.id}, lock=plan.incident_id)
            )
            tx.append(world.trail()[-1].actor, "tampered")
        world.works_on(1)
        assert (world.plan(plan).state, world.cloud.effects) == (PlanState.VOIDED, [])
        trials.outcome("void")


def test_s31_a_passkey_that_left_the_roster_before_the_run_signs_nothing(world: Signing) -> None:
    plan = world.proposes("dia")
    world.signs("ana", plan)
    world.signs("ben", plan)
    world.rosters.change("d-ben", passkeys=())
    world.works_on(1)
    assert (world.plan(plan).state, world.cloud.effects) == (PlanState.VOIDED, [])


def test_s31_the_next_key_waits_for_a_passkey_too_where_codes_are_enough() -> None:
    """On a plan that asks for a code, a signature will do as well; a wrong one is no key there either."""
    world = World(passkeys=WebPasskeys(URL))
    device = Device()
    world.rosters.change("d-ben", passkeys=(device.passkey,))
    world.incident()
    plan = world.proposes("ana")
    world.sees("ben", plan)
    token = world.containment.signing_link(plan.id, world.who("ben")).rpartition("/")[2]
    request, _, _ = world.containment.to_sign(token)
    challenge = signing_challenge(plan.id, plan.digest, "d-ben", request.nonce)
    with refused("refused.passkey_wrong"):
        world.containment.sign(token, Signed(plan.typed_target, Device().sign(challenge)))
    assert world.containment.sign(token, Signed(plan.typed_target, device.sign(challenge))).is_satisfied
    world.works_on(1)
    assert world.plan(plan).state is PlanState.DONE


# and whoever judges the trail afterwards needs nobody's word


def handed_out(world: Signing, *more: dict[str, Any]) -> Any:
    """Export the trail as it is, or with entries that somebody sealed behind it, and judge it."""
    lines, previous = [], GENESIS
    entries = [content(entry) for entry in world.trail()]
    for number, entry in enumerate([*entries, *more], 1):
        made = {**entry, "seq": number, "previous": previous}
        previous = hashlib.sha256(canonical(made)).hexdigest()
        lines.append(canonical({**made, "hash": previous}).decode())
    keys = [
        json.dumps({"person": person.id, "id": key.id, "public_key": key.public_key})
        for person in world.rosters.current().people
        for key in person.passkeys
    ]
    return replace(read(lines), passkeys=public_keys(keys))


def broken(history: Any) -> set[str]:
    return {violation.promise for violation in judge(history)}


def test_s31_judge_verifies_each_signature_and_sees_one_that_is_none(world: Signing) -> None:
    world.devices["ben"] = Device.of_rsa()
    world.rosters.change("d-ben", passkeys=(world.devices["ben"].passkey,))
    plan = world.proposes("dia")
    world.signs("ana", plan)
    world.signs("ben", plan)
    world.works_on(1)
    assert world.plan(plan).state is PlanState.DONE
    history = handed_out(world)
    assert broken(history) == set()
    for name in ("signature", "nonce", "client_data", "authenticator_data", "credential"):
        spoilt = copy.deepcopy(history)
        (*_, key) = spoilt.of("approved")
        text = key["data"]["passkey"][name]
        key["data"]["passkey"][name] = f"{int(text[:2], 16) ^ 1:02x}{text[2:]}"
        assert "signed" in broken(spoilt), name
    nobodys = copy.deepcopy(history)
    (*_, key) = nobodys.of("approved")
    del key["data"]["passkey"]
    assert "signed" in broken(nobodys)
    swapped = copy.deepcopy(history)
    one, two = swapped.of("approved")
    one["data"]["passkey"], two["data"]["passkey"] = two["data"]["passkey"], one["data"]["passkey"]
    assert "signed" in broken(swapped)
    with pytest.raises(ValueError, match="--passkeys"):
        judge(replace(history, passkeys=None))


def test_s31_judge_sees_a_key_whose_entry_was_forged_with_its_row(world: Signing) -> None:
    """The forger appends to the trail too, in Ben's name: the chain holds, the signature does not."""
    plan = world.proposes("dia")
    world.signs("ana", plan)
    (own,) = [content(entry) for entry in world.trail(plan) if entry.action == "approved"]
    found = broken(handed_out(world, {**own, "actor": "d-ben", "user": "U-BEN"}))
    assert "signed" in found
    assert "chain" not in found
