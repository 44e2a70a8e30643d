"""S29: a key is turned only on a plan that was shown whole, in that view, to that person; nothing is left out of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tests.lab.fifty_buckets import bucket, plan_for
from tests.lab.trials import Proof
from twokey.chat.slack.views import modals
from twokey.chat.slack.views.text import Words
from twokey.core.approvals import Approval, ApprovalStatus, Showing
from twokey.core.errors import Refused, message
from twokey.core.runbooks import Plan, Touch, canonical, confirmed_content, digest_of
from twokey.core.showings import MOST_CHARACTERS, MOST_PAGES, PER_PAGE, pages
from twokey.demo.slack.limits import check_view
from twokey.testing.clouds import ACCOUNT
from twokey.testing.runbooks import PROTECT_BUCKETS, protect_buckets
from twokey.testing.world import World

STATUS = ApprovalStatus(("d-ana",), 2)
FIFTY = 50


@pytest.fixture
def world() -> World:
    """A company with fifty buckets, and an incident."""
    made = World(protect_buckets(blast_max={"buckets": FIFTY * 10}))
    for number in range(FIFTY * 10):
        made.cloud.state.buckets[f"b-{number:03d}"] = ACCOUNT
        made.cloud.state.bucket_policies[f"b-{number:03d}"] = []
    made.incident()
    return made


def names(count: int) -> list[Any]:
    return [f"b-{number:03d}" for number in range(count)]


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refused:
        call()
    return refused.value.message.code


def key(world: World, who: str, plan: Plan, view: str = "") -> Callable[[], object]:
    """Return the turning of a key by somebody who types everything right."""
    return lambda: world.containment.approve(
        plan.id,
        world.who(who),
        digest=plan.digest,
        typed=plan.typed_target,
        code=world.code(),
        view=view,
    )


def show(world: World, who: str, plan: Plan, page: int, view: str = "V1") -> None:
    world.containment.show(plan, world.who(who), view=view, page=page)


def test_s29_a_plan_of_which_a_page_was_not_open_gets_no_key(world: World, proof: Proof) -> None:
    plan = world.proposes("ana", PROTECT_BUCKETS, buckets=names(FIFTY))
    count = len(pages(plan))
    assert count == FIFTY // PER_PAGE
    trials = proof("S29", "a key on a plan of which a page was not open is refused")
    for _ in trials:
        assert refusal(key(world, "ben", plan, "V0")) == "refused.not_shown"
        for missing in range(1, count + 1):
            view = f"V{missing}"
            for page in range(1, count + 1):
                if page != missing:
                    show(world, "ben", plan, page, view)
            assert refusal(key(world, "ben", plan, view)) == "refused.not_shown_whole"
            trials.outcome("refused")
        assert [one.person_id for one in world.keys(plan)] == ["d-ana"]
    refused = [one for one in world.trail(plan) if one.action == "approval.refused"]
    assert {one.data["code"] for one in refused} == {"refused.not_shown", "refused.not_shown_whole"}
    show(world, "ben", plan, 1)
    key(world, "ben", plan, "V1")()
    (turned,) = [one for one in world.keys(plan) if one.person_id == "d-ben"]
    with world.store.read() as look:
        seen = look.get(Showing, turned.showing)
    assert seen is not None
    assert (seen.view, seen.person_id, seen.plan_id, seen.digest) == ("V1", "d-ben", plan.id, plan.digest)
    assert seen.opened == tuple(range(1, count + 1))
    assert world.trail(plan)[-1].data["showing"] == turned.showing


def test_s29_what_was_shown_elsewhere_opens_nothing_here(world: World, proof: Proof) -> None:
    plan = world.proposes("ana", PROTECT_BUCKETS, buckets=names(2))
    other = world.proposes("ana", PROTECT_BUCKETS, buckets=names(3))
    trials = proof("S29", "a showing to another, of another plan, or in another view opens nothing")
    for _ in trials:
        show(world, "cho", plan, 1, "V-CHO")
        show(world, "ben", other, 1, "V-OTHER")
        for view in ("", "V-CHO", "V-OTHER"):
            assert refusal(key(world, "ben", plan, view)) == "refused.not_shown"
            trials.outcome("refused")
        forged = replace(plan, digest="0" * 64)
        show(world, "ben", forged, 1, "V-FORGED")
        assert refusal(key(world, "ben", plan, "V-FORGED")) == "refused.not_shown"
        trials.outcome("refused")
    show(world, "ben", plan, 1, "V-MINE")
    assert refusal(key(world, "ben", plan, "V-OTHER")) == "refused.not_shown"
    key(world, "ben", plan, "V-MINE")()


def test_s29_nobody_proposes_or_breaks_glass_on_what_they_did_not_see(proof: Proof) -> None:
    world = World()
    world.incident()
    preview = world.previews("ana")
    for _ in (trials := proof("S29", "a proposal or a broken glass without the view of it is refused")):
        assert refusal(partial(world.containment.propose, preview, world.who("ana"))) == "refused.not_shown"
        glass = {"code": world.code(), "reason": "nobody else is awake", "typed": preview.typed_target}
        alone = partial(world.containment.break_glass, preview, world.who("ana"), **glass)
        assert refusal(alone) == "refused.not_shown"
        trials.outcome("refused", 2)
    with world.store.read() as look:
        assert look.find(Plan) == []
        assert look.find(Approval) == []


def test_s29_fifty_buckets_are_five_pages_and_every_name_is_on_one(proof: Proof) -> None:
    preview = plan_for(FIFTY, 30)
    plan = replace(preview, id="plan-1", requester="d-ana")
    for _ in (
        trials := proof("S29", "all of a plan of fifty targets is on its pages, within Slack's limits")
    ):
        views = [
            modals.approve(plan, STATUS, str, Words(), viewer="d-ben", channel="C1", page=page)
            for page in range(1, len(pages(plan)) + 1)
        ]
        assert len(views) == FIFTY // PER_PAGE
        for view in views:
            check_view(view)
            assert "submit" in view
        said = json.dumps(views)
        assert [bucket(n) for n in range(1, FIFTY + 1) if f"`{bucket(n)}`" not in said] == []
        first = json.dumps(views[0]["blocks"][:5], ensure_ascii=False)
        assert f"The bucket {bucket(30)} has 1 lifecycle rules that delete objects" in first
        trials.outcome("names", FIFTY)


def test_s29_steps_and_documents_are_all_there_behind_one_click(proof: Proof) -> None:
    plan = replace(plan_for(FIFTY, 30), id="plan-1")
    for _ in proof("S29", "every step, document and digest is on a page of the details"):
        first = modals.details_of(plan, Words(), {})
        count = max(int(one) for one in json.dumps(first).split("of ")[-1].split('"')[0].split(".") if one)
        views = [modals.details_of(plan, Words(), {}, page=page) for page in range(1, count + 1)]
        for view in views:
            check_view(view)
        said = json.dumps(views, ensure_ascii=False)
        assert [bucket(n) for n in range(1, FIFTY + 1) if f"`{bucket(n)}`" not in said] == []
        assert said.count("TwokeyProtect") == 1, "one document for steps that are the same"
        assert "arn:aws:s3:::{bucket}/*" in said
        assert plan.digest in said


def test_s29_the_warnings_are_part_of_what_is_confirmed(proof: Proof) -> None:
    plan = plan_for(3, 2)
    for _ in proof("S29", "a warning taken away is another plan"):
        assert digest_of(plan) == plan.digest
        for number in range(len(plan.warnings)):
            fewer = plan.warnings[:number] + plan.warnings[number + 1 :]
            assert digest_of(replace(plan, warnings=fewer)) != plan.digest


def test_s29_what_cannot_be_shown_whole_is_not_even_previewed(world: World, proof: Proof) -> None:
    most = MOST_PAGES * PER_PAGE
    for _ in (trials := proof("S29", "a plan that nobody could be shown whole is refused at its preview")):
        assert len(pages(world.previews("ana", PROTECT_BUCKETS, buckets=names(most)))) == MOST_PAGES
        too_many = refusal(lambda: world.previews("ana", PROTECT_BUCKETS, buckets=names(most + 1)))
        assert too_many == "refused.too_many_pages"
        trials.outcome("refused")
    assert world.trail()[-1].action == "preview.refused"


def test_s29_what_is_too_long_for_a_view_is_never_taken_for_shown(world: World) -> None:
    preview = world.previews("ana", PROTECT_BUCKETS, buckets=names(1))
    for long in (
        replace(preview, touches=(Touch("bucket", "A" * (MOST_CHARACTERS + 1)),)),
        replace(preview, warnings=(message("aws.s3.unprotects", bucket="A" * (MOST_CHARACTERS + 1)),)),
    ):
        plan = replace(long, digest=digest_of(long))
        assert refusal(lambda: show(world, "ana", plan, 1)) == "refused.too_long_to_show"  # noqa: B023
    with world.store.read() as look:
        assert look.find(Showing) == []


@pytest.mark.parametrize("char", ["<", "\u202e"])
def test_s29_a_form_that_does_not_fit_cannot_be_sent(char: str) -> None:
    large = replace(plan_for(3), touches=(Touch("bucket", char * MOST_CHARACTERS),) * 10)
    for view in (
        modals.approve(large, STATUS, str, Words(), viewer="d-ben", channel="C1"),
        modals.preview(large, STATUS, str, {}, Words()),
        modals.break_glass(large, {}, Words()),
    ):
        check_view(view)
        assert "submit" not in view
        assert not [block for block in view["blocks"] if block["type"] == "input"]


def test_s29_who_hashes_the_file_has_the_digest(world: World, proof: Proof) -> None:
    for _ in proof("S29", "the SHA-256 of the file is the digest"):
        for plan in (
            plan_for(3, 2),
            world.previews("ana", PROTECT_BUCKETS, buckets=names(4)),
        ):
            assert hashlib.sha256(canonical(confirmed_content(plan))).hexdigest() == plan.digest
