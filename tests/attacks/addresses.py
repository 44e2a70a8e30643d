"""Every address that the program answers to, as the program itself says."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from tests.lab.installation import Installation
from twokey import app as wiring
from twokey import settings
from twokey.app.running import slack_options, web_door
from twokey.chat.slack.app import slack_bot
from twokey.chat.slack.options import Flows

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND")


@dataclass(frozen=True)
class Address:
    """One route: its path with placeholders, and the methods it names."""

    path: str
    methods: tuple[str, ...]

    def filled(self, secret: str) -> str:
        """Return the path with something in place of every placeholder."""
        return re.sub(r"\{[^}]*\}", secret, self.path)


def addresses(world: Installation) -> list[Address]:
    """Wire the program as `twokey serve` does, with this installation's settings, and read its routes."""
    if world.folder not in _KNOWN:
        _KNOWN[world.folder] = asyncio.run(_read(world))
    return _KNOWN[world.folder]


_KNOWN: dict[Any, list[Address]] = {}


async def _read(world: Installation) -> list[Address]:
    app = wiring.build(settings.load(world.variables))
    flows = Flows(app.intake, app.response, app.containment, app.review, app.watch)
    options = slack_options(app.settings)
    bot = slack_bot(flows, options, store=app.hooked, clock=app.clock, rosters=app.rosters)
    try:
        routes: list[Any] = list(web_door(app, bot, dict).routes)
        return [Address(route.path, tuple(sorted(route.methods or METHODS))) for route in routes]
    finally:
        await bot.close()
        app.store.close()
