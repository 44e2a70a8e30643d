"""A plan is shown page by page before a key is turned on it, and stands in the thread as a file."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from twokey.core.approvals import Approval, Showing
from twokey.core.notices import Notice, NoticeState
from twokey.core.runbooks import PlanState
from twokey.demo.slack import as_text
from twokey.testing import runbooks
from twokey.testing.clouds import ACCOUNT
from twokey.testing.people import identity
from twokey.testing.showings import shown_whole

BUCKETS = 25
CODE = {"typed": "MPLE", "code": "123457"}


@pytest.fixture
def asked(world: Any) -> Any:
    """A plan for 25 buckets that waits for its second key; its card."""
    world.library.edit(runbooks.PROTECT_BUCKETS, blast_max={"buckets": BUCKETS})
    names = [f"b-{number:02d}" for number in range(BUCKETS)]
    for name in names:
        world.cloud.state.buckets[name] = ACCOUNT
        world.cloud.state.bucket_policies[name] = []
    world.incident()
    who = identity(world.people["ana"].id, world.slack.team_id)
    preview = world.containment.preview("INC-1", runbooks.PROTECT_BUCKETS, who, {"buckets": names})
    world.plan_made = world.containment.propose(
        shown_whole(world.containment, preview, who), who, reason="the archive is next"
    )
    world.wake()
    return world.slack.wait_for(lambda: card(world))


def card(world: Any) -> Any:
    return next((m for m in world.thread(1) if m.blocks and m.blocks[0]["type"] == "header"), None)


def file(world: Any) -> Any:
    return next((m for m in world.thread(1) if m.files), None)


def showings(world: Any, name: str) -> list[Showing]:
    with world.store.read() as look:
        found: list[Showing] = look.find(Showing, plan_id=world.plan_made.id, person_id=f"d-{name}")
        return found


def turned(world: Any) -> list[str]:
    with world.store.read() as look:
        return sorted(key.person_id for key in look.find(Approval))


def next_page(world: Any, view: Any, page: int) -> None:
    """Press the button of the next page, and wait until it is before ben."""
    world.people["ben"].click(view, "plan_page_next")
    world.slack.wait_for(lambda: f"Page {page} of 3" in as_text(view))
    world.slack.wait_for(lambda: page in showings(world, "ben")[0].opened)


def test_s29_a_key_waits_until_every_page_was_open_and_what_was_typed_stays(world: Any, asked: Any) -> None:
    ben = world.people["ben"]
    ben.click(asked, "plan_review")
    view = world.modal("ben", "plan_approve")
    shown = as_text(view, width=200)
    assert "Page 1 of 3" in shown
    assert "the archive is next" in shown
    early = ben.submit(view, {"checked": ["yes"]})
    assert list(early.errors) == ["checked"]
    assert "open page 2, 3 of 3 first" in early.errors["checked"]
    assert "b-00" in as_text(view, width=200)
    next_page(world, view, 2)
    assert "open page 3 of 3 first" in ben.submit(view, {"checked": ["yes"]}).errors["checked"]
    next_page(world, view, 3)
    assert "b-24" in as_text(view, width=200)
    assert turned(world) == ["d-ana"]
    sent = ben.submit(view, {"checked": ["yes"]})
    assert sent.ack == {"response_action": "clear"}
    assert turned(world) == ["d-ana", "d-ben"]
    (seen,) = showings(world, "ben")
    assert (seen.view, seen.opened, seen.details) == (view.id, (1, 2, 3), False)
    assert world.containment.plan(world.plan_made.id).state is PlanState.APPROVED


def test_s29_a_page_that_slack_did_not_take_was_not_open(world: Any, asked: Any) -> None:
    ben = world.people["ben"]
    ben.click(asked, "plan_review")
    view = world.modal("ben", "plan_approve")
    world.slack.faults.refuse("views.update", "internal_error", times=1)
    before = len(world.slack.calls("views.update"))
    ben.click(view, "plan_page_next")
    world.slack.wait_for(lambda: len(world.slack.calls("views.update")) > before)
    world.slack.wait_for(lambda: not world.bot.supervisor.faults())
    assert showings(world, "ben")[0].opened == (1,)


def test_s29_a_view_of_another_does_not_count(world: Any, asked: Any) -> None:
    """The ids in a form are the other view's: who holds the app's tokens could make such a form."""
    ben, cho = world.people["ben"], world.people["cho"]
    cho.click(asked, "plan_review")
    seen = world.modal("cho", "plan_approve")
    ben.click(asked, "plan_reject")
    view = world.modal("ben", "plan_reject")
    view.body["callback_id"] = "plan_approve"
    view.body["private_metadata"] = seen.private_metadata
    sent = ben.submit(view, {"reason": "x"}, force=True)
    assert "was not shown to you in this view" in next(iter(sent.errors.values()))
    assert turned(world) == ["d-ana"]


def test_all_steps_and_documents_are_one_click_away(world: Any, asked: Any) -> None:
    ben = world.people["ben"]
    ben.click(asked, "plan_review")
    view = world.modal("ben", "plan_approve")
    ben.click(view, "plan_details")
    steps = world.slack.wait_for(lambda: top(world, "All steps"))
    assert "{bucket}" in as_text(steps, width=200)
    ben.click(steps, "details_page_next")
    world.slack.wait_for(lambda: "Page 2 of" in as_text(steps))
    world.slack.wait_for(lambda: showings(world, "ben")[0].details)


def top(world: Any, title: str) -> Any:
    view = world.slack.view_of(world.people["ben"])
    return view if view is not None and view.title == title else None


def test_s29_the_file_in_the_thread_has_the_digest_as_its_hash(world: Any, asked: Any) -> None:
    message = world.slack.wait_for(lambda: file(world))
    (kept,) = message.files
    assert hashlib.sha256(kept.content).hexdigest() == world.plan_made.digest
    assert json.loads(kept.content)["runbook_id"] == runbooks.PROTECT_BUCKETS
    assert world.plan_made.digest in message.text
    world.slack.wait_for(lambda: "is a file in this thread" in as_text(card(world), width=200))
    assert len([m for m in world.thread(1) if m.files]) == 1


def test_a_file_that_slack_does_not_take_is_said_on_the_card_and_holds_nothing_up(make_world: Any) -> None:
    world = make_world().start()
    world.slack.faults.refuse("files.getUploadURLExternal", "missing_scope", times=9)
    world.send()
    world.incident()
    world.plan()
    world.wake()
    world.slack.wait_for(lambda: card(world) and "as a file is missing" in as_text(card(world), width=200))
    assert world.sender.fault() == ""
    assert file(world) is None


@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "upload", "files.completeUploadExternal"])
def test_a_file_waits_as_long_as_slack_asks(make_world: Any, method: str) -> None:
    world = make_world().start()
    world.slack.faults.rate_limited(method, retry_after=1, times=1)
    world.send()
    world.incident()
    world.plan()
    world.wake()
    world.slack.wait_for(lambda: file(world))
    first, second = [call.at for call in world.slack.calls("files.getUploadURLExternal")]
    assert second - first >= 0.9
    assert len([m for m in world.thread(1) if m.files]) == 1


def test_a_file_whose_answer_was_lost_is_sent_again_and_says_so(make_world: Any) -> None:
    world = make_world().start()
    world.slack.faults.lose_reply("files.completeUploadExternal", times=1)
    world.send()
    world.incident()
    plan = world.plan()
    world.wake()

    def state() -> NoticeState:
        with world.store.read() as look:
            notice = look.get(Notice, f"file:{plan.id}")
            assert notice is not None
            return notice.state

    world.slack.wait_for(lambda: state() is NoticeState.SENT)
    texts = [m.text for m in world.thread(1) if m.files]
    assert len(texts) == 2
    assert [text for text in texts if "may stand here twice" in text or "again" in text]
