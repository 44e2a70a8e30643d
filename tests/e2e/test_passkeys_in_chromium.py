"""A real browser on the bot's own pages: passkeys are made and plans signed there, by a device that Chromium plays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.test_s31_through_the_doors import (
    SIGNED,
    confirmed,
    judged,
    to_add,
    to_sign,
    wants_signatures,
)  # fmt: skip
from tests.lab.chromium import CHROMIUM, Browser, Tab, running
from tests.lab.installation import Installation
from twokey.core.approvals import Approval
from twokey.core.passkeys import SIGNED_FIELDS, Enrolment
from twokey.core.runbooks import Plan
from twokey.demo.bot import free_port
from twokey.demo.company import SHOP

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs a Chromium on the path, which opens the pages"
)

# A page somebody changed, or a browser of an attacker's own making: it asks the device for no finger.
CARELESS = (
    "((own) => { navigator.credentials.get = asked => own({publicKey: {...asked.publicKey, "
    "userVerification: 'discouraged'}}); })(navigator.credentials.get.bind(navigator.credentials))"
)
# As Windows Hello answers on many machines: of the kinds that the page takes, with the last one.
MAKES_RSA = (
    "((own) => { navigator.credentials.create = asked => own({publicKey: {...asked.publicKey, "
    "pubKeyCredParams: asked.publicKey.pubKeyCredParams.toReversed()}}); })"
    "(navigator.credentials.create.bind(navigator.credentials))"
)
UNDONE = "Nothing was sent"


@dataclass
class Stage:
    """A bot at work, with a tab for each of two people who made their passkeys there."""

    world: Installation
    browser: Browser
    tabs: dict[str, Tab]

    def plan(self, bucket: str) -> tuple[Any, Plan]:
        """Let Ana propose a plan that takes signatures only."""
        card = self.world.propose(SIGNED, buckets=bucket)
        with self.world.record.read() as look:
            return card, look.get(Plan, self.world.plan_id(card))

    def keys(self, plan: Plan) -> list[Approval]:
        return self.world.find(Approval, plan_id=plan.id)

    def opens(self, name: str, card: Any) -> Tab:
        """Press Review & approve in Slack and open the page that it leads to."""
        tab = self.tabs[name]
        assert tab.open(to_sign(self.world, getattr(self.world, name), card)) == 200
        return tab


def pressed(tab: Tab) -> str:
    """Press the page's button and return what the page says when it is over."""
    tab.js("document.getElementById('says').textContent = ''")
    tab.click("#go")
    return str(tab.until("document.getElementById('says').textContent"))


def signs(tab: Tab, typed: str = SHOP) -> str:
    """Type the target and sign."""
    tab.type("#typed", typed)
    return pressed(tab)


@pytest.fixture
def stage(worlds: Callable[..., Installation], tmp_path: Path) -> Iterator[Stage]:
    port = free_port()
    world = worlds("sqlite", TWOKEY_PUBLIC_URL=f"http://localhost:{port}")
    wants_signatures(world)
    bot = world.bot(start=False)
    bot.port = port
    bot.start()
    world.attack()
    with running(tmp_path) as browser:
        made = Stage(world, browser, {name: browser.tab() for name in ("ben", "cy")})
        for name, other in (("ben", "cy"), ("cy", "ben")):
            person, tab = getattr(world, name), made.tabs[name]
            assert tab.open(to_add(world, person)) == 200
            tab.picture(tmp_path / "add.png")
            if name == "cy":
                tab.js(MAKES_RSA)
            says = pressed(tab)
            tab.picture(tmp_path / "made.png")
            confirmed(world, person, getattr(world, other), says)
        world.proxy.calls.clear()
        (rsa,) = [row.public_key for row in world.find(Enrolment, person_id="p-cy")]
        assert rsa.startswith("a4010303390100")
        yield made
        assert browser.complaints() == []


def test_two_people_sign_in_their_browsers_and_the_plan_runs(stage: Stage, tmp_path: Path) -> None:
    world = stage.world
    card, plan = stage.plan("shop-orders")
    tab = stage.opens("ben", card)
    shown, address = tab.text(), tab.js("location.href")
    for part in (plan.title, plan.digest, plan.target.account, *(touch.id for touch in plan.touches)):
        assert part in shown
    for step in plan.steps:
        assert f"{step.id}: {step.action}" in shown
    tab.picture(tmp_path / "sign.png")
    assert "is not the target" in signs(tab, "000000000000")
    assert stage.keys(plan) == []
    assert signs(tab).startswith("Signed. 1 of 2")
    tab.picture(tmp_path / "signed.png")
    (key,) = stage.keys(plan)
    assert (key.person_id, key.digest, set(key.assertion)) == ("p-ben", plan.digest, set(SIGNED_FIELDS))
    assert tab.open(address) == 404
    tab.picture(tmp_path / "over.png")
    assert signs(stage.opens("cy", card)).startswith("Signed. 2 of 2")
    world.ends(plan.id, "done")
    assert set(world.writes()) == {"PutBucketPolicy"}
    world.quiet()
    judged(world, world.folder)


def test_without_its_person_a_device_turns_no_key(stage: Stage) -> None:
    world = stage.world
    card, plan = stage.plan("shop-images")
    tab = stage.opens("ben", card)
    tab.verifies(False)
    assert signs(tab).startswith(UNDONE)
    tab.js(CARELESS)
    assert signs(tab).startswith("This is no signature")
    stranger = stage.tabs["cy"]
    assert stranger.open(tab.js("location.href")) == 200
    assert signs(stranger).startswith(UNDONE)
    assert (stage.keys(plan), world.writes()) == ([], [])
    tab.verifies(True)
    assert tab.open(tab.js("location.href")) == 200
    assert signs(tab).startswith("Signed. 1 of 2"), "the same link, and right"
    assert world.state(plan.id) == "proposed"
