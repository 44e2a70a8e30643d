"""The bot over a cloud that costs nothing: `python stubbed_bot.py HOME SLACK-URL PORT PLANS` (for B7).

Real are Bolt, the signed door, the record in SQLite, the flow and the engine; the cloud, the runbooks and the second
factor are the tests' own. It makes plans with one key turned, prints them as one line of JSON, serves, and prints a
line whenever a run is claimed and when it is over. No sender runs: what is owed to the chat is no part of this.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

import programs
from twokey import app
from twokey.chat.slack.app import slack_bot
from twokey.chat.slack.http_door import slack_route
from twokey.chat.slack.options import Flows, SlackOptions
from twokey.chat.slack.payloads import private_metadata
from twokey.core.people import ChatAccount, Roster
from twokey.core.signals import Principal
from twokey.core.stops import Limits
from twokey.engine.embedded import EmbeddedEngine
from twokey.store import open_store
from twokey.testing.clouds import ACCOUNT
from twokey.testing.clouds.company import AccessKey
from twokey.testing.people import the_team
from twokey.testing.showings import shown_whole
from twokey.testing.world import World
from twokey.web import mounted


def passed(name: str) -> None:
    """Tell of a run's beginning and of its end."""
    if name in ("run:claimed", "run:finish"):
        print(name, time.monotonic_ns(), time.time(), flush=True)


def plans(world: World, count: int) -> list[dict[str, str]]:
    """Make so many incidents, each with a plan that ana has proposed."""
    made = []
    for number in range(count):
        key = f"AKIA{number:016d}"
        world.cloud.state.keys[key] = AccessKey(ACCOUNT, f"user-{number}")
        who = Principal(f"user-{number}", "IAMUser", key)
        incident = world.incident(f"finding-{number}", subject=f"finding-{number}", principal=who)
        plan = world.proposes("ana", incident=incident.id)
        notes = private_metadata(plan=plan.id, digest=plan.digest, channel=programs.CHANNEL)
        shown_whole(world.containment, plan, world.who("ben"), view=f"V{number + 1:05d}7")
        made.append({"notes": notes, "typed": plan.typed_target})
    return made


async def serve(world: World, options: SlackOptions, port: int) -> None:
    """Serve Slack's signed HTTP, with the engine beside it."""
    flows = Flows(world.intake, world.response, world.containment, world.review, world.watch)  # type: ignore[arg-type]
    bot = slack_bot(flows, options, store=world.store, clock=world.clock, rosters=world.rosters)
    served = Starlette(routes=[mounted(slack_route(bot, world.clock))])
    await uvicorn.Server(uvicorn.Config(served, port=port, log_level="error", access_log=False)).serve()


def main() -> None:
    """Prepare, and serve until the process is ended."""
    home, slack, port, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    clock = app.SystemClock()
    store = open_store(f"sqlite:///{home}/record.db", clock)
    world = World(  # so many runs in a row, and the circuit breaker would open
        store=store,
        queue=store.jobs(),
        clock=clock,  # type: ignore[arg-type]
        checkpoint=passed,
        limits=Limits(everywhere=10_000, in_account=10_000),
    )
    people = [
        replace(one, accounts=(*one.accounts, ChatAccount(programs.TEAM, f"U0{one.name.upper()}")))
        for one in the_team().people
    ]
    world.rosters.roster = Roster(tuple(people), "r" * 64)
    print(json.dumps(plans(world, count)), flush=True)
    engine = EmbeddedEngine(store.jobs(), world.handle, world.parked, clock)
    threading.Thread(target=engine.run, args=(threading.Event(),), daemon=True).start()
    options = SlackOptions(
        "xoxb-bench",
        programs.TEAM,
        programs.CHANNEL,
        signing_secret=programs.SIGNING,
        api_url=f"{slack}/api/",
    )
    asyncio.run(serve(world, options, port))


if __name__ == "__main__":
    main()
