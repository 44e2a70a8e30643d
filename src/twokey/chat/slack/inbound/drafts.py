"""Previews that somebody is looking at: not stored anywhere, and made again when they are gone."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from datetime import datetime, timedelta

from twokey.core.runbooks import Plan
from twokey.ports import Clock

KEPT = timedelta(minutes=30)
MOST = 200


class Drafts:
    """Remembers previews by an unguessable name, for as long as a plan would wait for approvals."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._plans: OrderedDict[str, tuple[datetime, Plan]] = OrderedDict()

    def keep(self, plan: Plan) -> str:
        """Remember a preview and return its name."""
        name = secrets.token_hex(8)
        self._plans[name] = (self._clock.now() + KEPT, plan)
        while len(self._plans) > MOST:
            self._plans.popitem(last=False)
        return name

    def find(self, name: str) -> Plan | None:
        """Return a preview, unless it was long ago or another process made it."""
        until, plan = self._plans.get(name, (None, None))
        return plan if until is not None and self._clock.now() < until else None
