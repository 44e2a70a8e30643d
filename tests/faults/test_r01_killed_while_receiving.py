"""R1: kill -9 at any instant while notifications stream in; what was acknowledged is stored, sorted and said.

A trial is one kill. A bot lives through some twenty of them in one world, then everything is read at once: the
clients' own log of answers, the queue, the fake Slack, and the record.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tests.lab.bots import FaultyBot
from tests.lab.fork_server import ForkServer
from twokey.demo.bot import CRASHED
from twokey.flow.crashpoints import At

from .streams import FAST, lives

POINTS = (At.RECEIVE, At.RECEIVED, At.SORT, At.SORTED, At.SEND, At.SAID, At.SENT)


def killed(bot: FaultyBot, random: Random) -> str:
    """Start the bot and kill it: at a named point, or whenever; return which."""
    bot.dies_at = ""
    if random.random() < 0.5:
        bot.dies_at, bot.dies_at_count = random.choice(POINTS), random.randint(1, 6)
    at, moment = bot.dies_at, random.uniform(0.0, 1.5)
    bot.start(ready_within=0)
    if at:
        end = time.monotonic() + 20
        while bot.is_running and time.monotonic() < end:
            time.sleep(0.01)
        if not bot.is_running:
            assert bot.wait_dead() == CRASHED, bot.tail()
            return f"killed at {at}"
    else:
        time.sleep(moment)
    assert bot.is_running, bot.tail()
    bot.kill()
    return "killed whenever"


@pytest.mark.parametrize(("database", "ci", "release"), [("sqlite", 80, 2400), ("postgres", 20, 600)])
def test_what_was_acknowledged_is_on_record_and_said_whenever_the_bot_is_killed(
    worlds: Callable[..., Any], fork_server: ForkServer, proof: Any, database: str, ci: int, release: int
) -> None:
    promise = f"every acknowledged event is stored and announced, at most one repeat a kill ({database})"
    trials = proof("R1", promise, ci=ci, release=release)
    lives(trials, lambda: worlds(database, **FAST), fork_server, killed)
