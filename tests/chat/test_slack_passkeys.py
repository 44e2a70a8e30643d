"""Passkeys from Slack's side: the link to sign is in the modal, the link to make one in a private answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.lab.authenticator import Device
from twokey.core.passkeys import enrolment_challenge, fingerprint, signing_challenge
from twokey.core.runbooks import PlanState
from twokey.demo.slack import as_text
from twokey.flow.containment.signing import Signed
from twokey.passkeys import WebPasskeys
from twokey.testing import runbooks

URL = "https://twokey.example"


@pytest.fixture
def world(make_world: Any) -> Any:
    made = make_world(passkeys=WebPasskeys(URL)).start()
    made.send()
    return made


def signed_only(world: Any) -> None:
    book = world.library.runbooks[runbooks.LEAKED_KEY]
    world.library.edit(runbooks.LEAKED_KEY, approval=replace(book.approval, step_up="passkey"))


def gets(world: Any, name: str) -> Device:
    device = Device()
    world.rosters.change(f"d-{name}", passkeys=(device.passkey,))
    return device


def urls(view: Any) -> list[str]:
    return [
        element["url"]
        for block in view.blocks
        for element in block.get("elements", ())
        if element.get("action_id") == "passkey_open"
    ]


def reviewed(world: Any, name: str) -> Any:
    """Press Review & approve on the newest approval card."""
    world.wake()

    def newest() -> Any:
        cards = [one for one in world.thread(1) if one.blocks and one.blocks[0]["type"] == "header"]
        return cards[-1] if cards else None

    world.people[name].click(world.slack.wait_for(newest), "plan_review")

    def drawn() -> Any:
        view = world.slack.view_of(world.people[name])
        return view if view is not None and view.callback_id in ("told", "plan_approve") else None

    return world.slack.wait_for(drawn)


def sign(world: Any, name: str, device: Device) -> Any:
    """Open the plan, follow the link of the modal, and sign."""
    view = reviewed(world, name)
    (url,) = urls(view)
    world.people[name].close(view)
    token = url.rpartition("/")[2]
    request, plan, _ = world.containment.to_sign(token)
    challenge = signing_challenge(plan.id, plan.digest, request.person_id, request.nonce)
    return world.containment.sign(token, Signed(plan.typed_target, device.sign(challenge)))


def test_a_plan_that_takes_signatures_only_is_opened_with_a_link_and_no_form(world: Any) -> None:
    world.incident()
    signed_only(world)
    devices = {name: gets(world, name) for name in ("ben", "cho")}
    plan = world.plan()
    assert not sign(world, "ben", devices["ben"]).is_satisfied
    view = reviewed(world, "cho")
    assert not [block for block in view.blocks if block["type"] == "input"]
    world.people["cho"].close(view)
    assert sign(world, "cho", devices["cho"]).is_satisfied
    world.executor.execute(plan.id)
    assert world.containment.plan(plan.id).state is PlanState.DONE


def test_who_cannot_sign_is_told_why_in_the_plan(world: Any) -> None:
    world.incident()
    signed_only(world)
    world.plan()
    view = reviewed(world, "ben")
    assert urls(view) == []
    assert "has no passkey in the roster" in " ".join(as_text(view).replace("│", " ").split())
    world.people["ben"].close(view)
    view = reviewed(world, "ana")
    assert urls(view) == []
    assert "your own plan" in " ".join(as_text(view).replace("│", " ").split())


def test_where_a_code_is_enough_a_passkey_is_offered_to_whoever_has_one(world: Any) -> None:
    world.incident()
    device = gets(world, "ben")
    world.plan()
    view = reviewed(world, "cho")
    assert urls(view) == []
    world.people["cho"].close(view)
    view = reviewed(world, "ben")
    assert {block["block_id"] for block in view.blocks if block["type"] == "input"} >= {"typed", "code"}
    assert len(urls(view)) == 1
    world.people["ben"].close(view)
    assert sign(world, "ben", device).is_satisfied


def test_a_passkey_is_asked_for_and_confirmed_by_a_command(world: Any) -> None:
    ben, device = world.people["ben"], Device()
    ben.command("/twokey", "link", world.channel)
    (told,) = world.slack.wait_for(lambda: world.told("ben"))
    (url,) = urls(told)
    enrolling, token = world.containment.enrolling, url.rpartition("/")[2]
    asked, _ = enrolling.to_add(token)
    printed = enrolling.made(token, device.make(enrolment_challenge("d-ben", asked.nonce)))
    assert printed == fingerprint(device.passkey.public_key)
    world.people["cho"].command("/twokey", f"link {printed}", world.channel)
    told = world.slack.wait_for(lambda: world.told("cho"))
    assert "You have confirmed the passkey of Ben" in " ".join(as_text(told[-1]).replace("│", " ").split())
    world.wake()
    said = world.slack.wait_for(
        lambda: [m for m in world.slack.messages(world.security) if "confirmed" in m.text]
    )
    assert printed in said[-1].text
