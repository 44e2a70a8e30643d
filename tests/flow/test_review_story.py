"""The post-mortem of a whole story, told by the real flow: what the trail calls things has words in both languages."""

import re
from pathlib import Path

import pytest

from twokey.app import build_review
from twokey.core.errors import Refused
from twokey.core.incidents import State
from twokey.flow.review.drafts import Review
from twokey.settings import load
from twokey.testing.people import the_team
from twokey.testing.world import World


@pytest.fixture
def told(tmp_path):
    """A leaked key: acknowledged, refused once, contained by two people, undone, resolved."""
    world = World()
    incident = world.incident()
    world.response.announced(incident.id)
    world.response.acknowledge(incident.id, world.who("ana"))
    world.response.note(incident.id, "the key was in a public .env", world.who("ana"))
    plan = world.proposes("ana")
    with pytest.raises(Refused):
        world.approves("ana", plan)
    world.approves("ben", plan)
    world.works_on()
    world.response.change_state(incident.id, State.MONITORING, world.who("ana"))
    world.response.change_state(incident.id, State.RESOLVED, world.who("ana"))
    return world, reviewed(world, tmp_path / "out"), plan


def reviewed(world: World, folder: Path) -> Review:
    """Make the review as the program does, with its own templates."""
    settings = load({"TWOKEY_POSTMORTEMS_DIR": str(folder), "TWOKEY_TIMEZONE": "Asia/Tokyo"})
    return build_review(settings, world.store, world.clock, world.rosters)


def test_the_record_of_the_story_holds_the_keys_the_steps_and_both_durations(told):
    _, review, plan = told
    record = review.record("1")
    (kept,) = record.containments
    assert next(role for _, role, _ in kept.keys) == "proposer"
    assert len(kept.keys) == 2
    assert kept.approved_at is not None
    assert kept.done_at is not None
    assert {row.step_id for row in kept.journal} == {step.id for step in plan.steps}
    assert [entry.action for entry in kept.events] == ["approval.refused"]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_action_of_the_trail_and_every_step_has_words(told, language):
    _, review, _ = told
    page = review.preview("1", language, "internal")
    timeline = page.split("| --- | --- | --- | --- | --- | --- |\n")[-1].split("\n\n")[0]
    whats = [line.split(" | ")[3] for line in timeline.splitlines() if line.startswith("| 2")]
    assert len(whats) > 15
    assert [what for what in whats if "`" in what] == []
    assert not re.search(r"\{[a-z0-9_]+\}", page)  # a placeholder that nobody filled


def test_the_story_is_published_once_and_the_public_page_names_nobody(told, tmp_path):
    world, review, _ = told
    review.draft("1", world.trail()[-1].actor)
    ana = world.who("ana")
    inside = review.publish("1", "en", "internal", ana)
    outside = review.publish("1", "ja", "public", ana)
    assert Path(inside.published_to).read_text() == inside.text
    page = Path(outside.published_to).read_text()
    incident = review.record("1").incident
    names = [person.name for person in the_team().people] + [incident.account, incident.principal.name]
    assert not [name for name in names if name and re.search(rf"\b{re.escape(name)}\b", page)]
    assert review.publish("1", "en", "internal", ana) == inside


def test_reviewing_never_stands_in_the_way_of_closing(told, tmp_path):
    world, _, _ = told
    broken = reviewed(world, tmp_path / "file")
    (tmp_path / "file").write_text("in the way")
    broken.draft("1", world.trail()[-1].actor)
    with pytest.raises(Exception, match="cannot_write"):
        broken.publish("1", "en", "internal", world.who("ana"))
    world.response.change_state("1", State.POSTMORTEM, world.who("ana"))
    assert world.response.change_state("1", State.CLOSED, world.who("ana")).state is State.CLOSED
