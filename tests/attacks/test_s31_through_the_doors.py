"""S31, through the doors of a running bot: links in Slack, signatures on its own pages, and a forger at its database."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.lab.authenticator import Device
from tests.lab.installation import Installation
from twokey.core.passkeys import Enrolment
from twokey.demo.company import SHOP
from twokey.history.report import report

from .doors import keys
from .staging import approve, database, held_back

URL = "https://twokey.example"
SIGNED = "aws.protect-buckets-signed"


@pytest.fixture
def world(worlds: Callable[..., Installation]) -> Installation:
    made = worlds("sqlite", TWOKEY_PUBLIC_URL=URL)
    wants_signatures(made)
    made.bot()
    made.attack()
    return made


def wants_signatures(world: Installation) -> None:
    """Write and approve a runbook that takes signatures only."""
    text = (world.runbooks / "aws.protect-buckets.yaml").read_text()
    text = text.replace("id: aws.protect-buckets", f"id: {SIGNED}").replace(
        "    profile: high\n", "    profile: high\n    step_up: passkey\n"
    )
    (world.runbooks / f"{SIGNED}.yaml").write_text(text)
    approve(world, SIGNED)


def enrolled(world: Installation, person: Any, by: Any) -> Device:
    """Let a person make a passkey as people do: link, page, fingerprint, a second person, the roster's keeper."""
    device = Device(URL)
    status, told = answers(world, to_add(world, person).removeprefix(URL), device.make)
    assert (status, told["done"]) == (200, True), told
    confirmed(world, person, by, told["says"])
    assert device.credential.hex() in world.roster.read_text()
    return device


def to_add(world: Installation, person: Any) -> str:
    """Return the address that Slack tells somebody who wants to make a passkey."""
    world.private(person, lambda: person.command("/twokey", "link", world.security))
    return link_in(world, world.slack.ephemerals(person)[-1].blocks)


def confirmed(world: Installation, person: Any, by: Any, says: str) -> None:
    """Tell a second person the fingerprint that the page says, and put what they confirmed into the roster."""
    (printed,) = re.findall(r"[0-9a-f]{4}(?:-[0-9a-f]{4}){4}", says)
    assert "You have confirmed" in world.private(
        by, lambda: by.command("/twokey", f"link {printed}", world.security)
    )
    done = world.twokey("roster", "passkeys")
    assert done.returncode == 0, done.stderr
    (row,) = world.find(Enrolment, person_id=f"p-{person.name}", state="confirmed")
    (line,) = [line for line in done.stdout.splitlines() if row.credential in line]
    entry = f"id: p-{person.name},"
    text = world.roster.read_text()
    assert entry in text
    world.roster.write_text(text.replace(entry, f"{entry} passkeys: [{line.strip().removeprefix('- ')}],"))


def link_in(world: Installation, blocks: Any) -> str:
    """Return the address of the page that the only passkey button opens."""
    (url,) = [
        element["url"]
        for block in blocks
        for element in block.get("elements", ())
        if element.get("action_id") == "passkey_open"
    ]
    assert url.startswith(f"{world.variables['TWOKEY_PUBLIC_URL']}/passkey/")
    return str(url)


def answers(
    world: Installation, path: str, answer: Callable[[bytes], dict[str, str]], **typed: str
) -> tuple[int, Any]:
    """Open a page, let a device answer what it asks for, and send that as the page does."""
    with closing(http.client.HTTPConnection("127.0.0.1", world.bots[-1].port, timeout=20)) as link:
        link.request("GET", path)
        page = link.getresponse().read().decode()
        (asked,) = re.findall(r'type="application/json" id="asked">(.*?)</script>', page)
        body = json.dumps({**answer(bytes.fromhex(json.loads(asked)["challenge"])), **typed})
        link.request("POST", path, body, {"origin": URL, "content-type": "application/json"})
        got = link.getresponse()
        return got.status, json.loads(got.read())


def to_sign(world: Installation, person: Any, card: Any) -> str:
    """Press Review & approve, and return the address that is there."""
    person.click(world.fresh(card), "plan_review")
    view = world.until(lambda: world.view(person, "told"))
    person.close(view)
    return link_in(world, view.blocks)


def signs(world: Installation, person: Any, card: Any, device: Device) -> tuple[int, Any]:
    """Open the page for a plan and sign there."""
    return answers(world, to_sign(world, person, card).removeprefix(URL), device.sign, typed=SHOP)


def test_s31_two_people_sign_and_a_forger_with_the_database_does_not(world: Installation) -> None:
    ben, cy = enrolled(world, world.ben, world.cy), enrolled(world, world.cy, world.ben)
    world.proxy.calls.clear()
    card = world.propose(SIGNED, buckets="shop-orders")
    ran = world.plan_id(card)
    assert keys(world, ran) == []
    for person, device in ((world.ben, ben), (world.cy, cy)):
        status, told = signs(world, person, card, device)
        assert (status, told["done"]) == (200, True), told
    world.ends(ran, "done")
    assert set(world.writes()) == {"PutBucketPolicy"}

    world.proxy.calls.clear()
    card = world.propose(SIGNED, buckets="shop-images")
    forged = world.plan_id(card)
    assert signs(world, world.ben, card, ben)[0] == 200
    with held_back(world), database(world) as hand:
        forge(hand, forged)
    world.ends(forged, "voided")
    assert not world.writes()
    assert signs(world, world.cy, world.propose(SIGNED, buckets="shop-logs"), ben)[0] == 403
    judged(world, world.folder)


def forge(hand: Any, plan_id: str) -> None:
    """B7: the row of a key, its plan approved and its run owed, as somebody who may write everything."""
    own = json.loads(hand.execute("SELECT body FROM approval WHERE plan_id = ?", (plan_id,)).fetchone()[0])
    made = {**own, "id": f"{plan_id}:p-cy", "person_id": "p-cy"}
    hand.execute(
        "INSERT INTO approval (id, workspace, enterprise, account, tenant, body, plan_id, person_id, digest) "
        "SELECT ?, workspace, enterprise, account, tenant, ?, plan_id, 'p-cy', digest FROM approval WHERE plan_id = ?",
        (made["id"], json.dumps(made), plan_id),
    )
    plan = json.loads(hand.execute("SELECT body FROM plan WHERE id = ?", (plan_id,)).fetchone()[0])
    plan["state"] = "approved"
    hand.execute("UPDATE plan SET body = ?, state = 'approved' WHERE id = ?", (json.dumps(plan), plan_id))
    columns = "id, kind, payload, lock, state, due, holds, attempts, turn, worker, lease_until, error"
    (due,) = hand.execute("SELECT due FROM job WHERE state = 'done' LIMIT 1").fetchone()
    hand.execute(
        f"INSERT INTO job ({columns}) VALUES (?, 'execute', ?, 'INC-1', 'waiting', ?, 0, 0, 0, '', NULL, '')",
        (f"execute:{plan_id}", json.dumps({"plan_id": plan_id}), due),
    )


def judged(world: Installation, folder: Path) -> None:
    """The trail with the public keys alone says that the signed run had its two people."""
    exported, public = folder / "trail.jsonl", folder / "passkeys.jsonl"
    assert world.twokey("audit", "export", "--out", str(exported)).returncode == 0
    public.write_text(world.twokey("roster", "passkeys", "--json").stdout)
    assert report(exported, passkeys=public) == 0
