"""Keys that were good once: the roster is emptied before the run, or the plan's time is over."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

from twokey.demo.company import SHOP


def test_a_roster_that_is_emptied_between_the_two_keys_and_the_run_voids_them(
    worlds: Callable[..., Any],
) -> None:
    """The run waits for its incident's lock behind another one; meanwhile everybody is taken off the roster."""
    world = worlds()
    world.bot()
    world.attack(buckets=("shop-orders",))
    first = world.propose(buckets="shop-images")
    second = world.propose(buckets="shop-exports")
    held, go = threading.Event(), threading.Event()

    def hold(call: Any) -> bool:
        if call.operation == "PutBucketPolicy" and not go.is_set():
            held.set()
            go.wait(20)
        return True

    world.proxy.before.append(hold)
    world.key(world.ben, first)
    assert held.wait(20)
    assert not world.key(world.cy, second).errors
    assert world.state(world.plan_id(second)) == "approved"
    world.roster.write_text("people: []\n")
    go.set()
    world.ends(world.plan_id(first), "done")  # its first write was intended: it goes on
    world.ends(world.plan_id(second), "voided")
    assert world.writes() == ["PutBucketPolicy"]
    world.quiet()
    told = " ".join(world.thread_text().split())
    assert "keys are void" in told
    said = told[told.index("keys are void") :]
    assert "roster" in said, re.sub(r"[─│╭╮╰╯ ]+", " ", said)[:600]


def test_a_plan_that_has_expired_takes_no_key_and_says_so(worlds: Callable[..., Any]) -> None:
    world = worlds()
    path = world.runbooks / "aws.protect-buckets.yaml"
    path.write_text(path.read_text().replace("expires_in: 30m", "expires_in: 6s"))
    for name in ("tester", "reviewer"):
        approved = world.twokey("runbook", "approve", "aws.protect-buckets", "--by", name)
        assert approved.returncode == 0, approved.stdout + approved.stderr
    world.bot()
    world.attack(buckets=("shop-orders",))
    plan_card = world.propose(buckets="shop-images")
    modal = world.modal(world.ben, plan_card)
    world.ends(world.plan_id(plan_card), "expired")
    assert "expired" in " ".join(world.fill(world.ben, modal, typed=SHOP).errors.values())
    world.ben.close(modal)
    told = world.old_click(world.cy, plan_card)
    assert "expired" in told
    world.quiet()
    assert "expired" in world.thread_text().lower()
    assert not world.writes()
