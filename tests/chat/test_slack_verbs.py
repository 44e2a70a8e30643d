"""A verb is one row and one function: a toy one is added, and everything that knows verbs knows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from twokey.chat.slack.inbound import commands
from twokey.chat.slack.inbound.dispatch import Context
from twokey.chat.slack.inbound.listeners import buttons
from twokey.chat.slack.inbound.parsing import parse
from twokey.chat.slack.inbound.verbs import Command, Verb
from twokey.demo.slack import as_text

ROOT = Path(__file__).resolve().parents[2]


async def handover(ctx: Context, command: Command) -> None:
    """Serve the toy verb; its words are some that there are."""
    await ctx.say("chat.done_in_thread", incident=f"{command.incident} for {command.rest}")


ROW = Verb("handover", "handover INC-12 <team>", handover, ("pass-on",))


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Verb:
    """The row, in the table."""
    monkeypatch.setitem(commands.VERBS, ROW.name, ROW)
    return ROW


def say(world: Any, text: str, name: str = "ana") -> str:
    """Type a command and return what one is told."""
    before = len(world.slack.ephemerals(world.people[name]))
    world.people[name].command("/twokey", text, world.channel)
    return as_text(world.told(name, before + 1)[-1])


def test_every_row_stands_under_its_own_name_and_no_word_means_two() -> None:
    assert [verb.name for verb in commands.VERBS.values()] == list(commands.VERBS)
    words = [word for verb in commands.VERBS.values() for word in (verb.name, *verb.aliases)]
    assert sorted(words) == sorted(set(words))
    assert all(verb.usage.split()[0] == verb.name for verb in commands.VERBS.values())
    assert all(("INC-12" in verb.usage) is verb.needs_incident for verb in commands.VERBS.values())


def test_what_may_be_typed_by_strangers_changes_nothing() -> None:
    assert all(verb.only_looks for verb in commands.VERBS.values() if verb.is_free)


def test_a_new_row_is_read_like_every_other(toy: Verb) -> None:
    assert parse("handover INC-3 the night shift").verb == toy.name
    assert parse("PASS-ON 3 nobody") == Command("handover", "INC-3", ("nobody",), "nobody")
    assert parse("handovr INC-3").guess == toy.name
    assert commands.may_change(parse("handover INC-3"))
    assert "pick_handover" in buttons()


def test_a_new_row_is_served_asked_back_and_refused_like_every_other(toy: Verb, make_world: Any) -> None:
    world = make_world().start()
    world.send()
    world.incident()
    assert "INC-1 for nights" in say(world, "handover INC-1 nights")
    card = world.said()[0]
    world.people["ben"].mention(world.security, "pass-on days", thread_ts=card.ts)
    assert "INC-1 for days" in as_text(world.told("ben")[0])
    assert toy.usage in say(world, "handover")
    offered = world.slack.ephemerals(world.people["ana"])[-1]
    world.people["ana"].click(offered, "pick_handover", "INC-1")
    world.slack.wait_for(lambda: "INC-1 for" in as_text(world.slack.ephemerals(world.people["ana"])[-1]))
    world.rosters.without("d-cho")
    assert "INC-1 for" not in say(world, "handover INC-1 nights", "cho")


def test_beside_the_row_and_its_function_only_the_words_and_the_page_name_a_verb() -> None:
    """`resolve` stands for all: no second list in the source knows it."""
    chat = ROOT / "src" / "twokey" / "chat"
    naming = [path.name for path in sorted(chat.rglob("*.py")) if '"resolve"' in path.read_text()]
    assert naming == ["commands.py"]
    assert (chat / "slack/inbound/commands.py").read_text().count('"resolve"') == 1
    assert "`resolve INC-12`" in (ROOT / "docs/reference/commands.md").read_text()
