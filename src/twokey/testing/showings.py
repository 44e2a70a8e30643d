"""Somebody who turns every page of a plan, as the chat lets people do before they turn a key."""

from __future__ import annotations

from twokey.core.people import ChatIdentity
from twokey.core.runbooks import Plan
from twokey.core.showings import pages
from twokey.flow.containment import Containment


def shown_whole(containment: Containment, plan: Plan, who: ChatIdentity, view: str = "V-WHOLE") -> Plan:
    """Put on record that every page of a plan was before a person; return the plan."""
    for page in range(1, len(pages(plan)) + 1):
        containment.show(plan, who, view=view, page=page)
    return plan
