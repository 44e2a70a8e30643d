"""What was shown to whom: a row for every view of a plan, with the pages of it that were before a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from twokey.core.approvals import Showing, require_shown, shown_as
from twokey.core.errors import Json, Refused
from twokey.core.people import Person
from twokey.core.runbooks import Plan
from twokey.core.showings import pages, require_showable
from twokey.flow.refusals import Caller
from twokey.ports import Snapshot, Transaction


def show_page(tx: Transaction, plan: Plan, caller: Caller, view: str, page: int, now: datetime) -> Showing:
    """Keep that a person has a page of this plan before them."""
    require_showable(plan)  # of what is cut off nobody is said to have seen it
    count = len(pages(plan))
    if not 1 <= page <= count:
        raise Refused("refused.no_such_page", page=page, pages=count)
    before = _showing(tx, plan, caller.person, view, now)
    opened = tuple(sorted({*before.opened, page}))
    return _keep(tx, plan, caller, replace(before, opened=opened), {"page": page, "pages": count})


def show_details(tx: Transaction, plan: Plan, caller: Caller, view: str, now: datetime) -> Showing:
    """Keep that a person opened all steps and documents of this plan."""
    before = _showing(tx, plan, caller.person, view, now)
    return _keep(tx, plan, caller, replace(before, details=True), {"page": "details"})


def show_whole(tx: Transaction, plan: Plan, caller: Caller, view: str, now: datetime) -> Showing:
    """Keep, once for a view, that a person has all of this plan before them: its steps and documents too."""
    require_showable(plan)
    count = len(pages(plan))
    before = _showing(tx, plan, caller.person, view, now)
    whole = replace(before, opened=tuple(range(1, count + 1)), details=True)
    if whole == before:
        return before
    return _keep(tx, plan, caller, whole, {"page": "all", "pages": count})


def showing_of(look: Snapshot, plan: Plan, person: Person, view: str = "") -> Showing:
    """Return the showing in which this person saw this plan whole, or refuse."""
    found = look.find(Showing, plan_id=shown_as(plan), person_id=person.id, newest_first=True)
    return require_shown(plan, person, found, view)


def showing_data(showing: Showing) -> dict[str, Json]:
    """Return what the trail says about how a plan was shown to the one who turns a key."""
    return {"showing": showing.id, "pages_shown": list(showing.opened), "details_shown": showing.details}


def _showing(look: Snapshot, plan: Plan, person: Person, view: str, now: datetime) -> Showing:
    # A view may come to show another plan, and what was opened of the one before says nothing about it.
    name = f"{view}:{person.id}:{plan.id or 'preview'}:{plan.digest[:32]}"
    new = Showing(name, shown_as(plan), person.id, plan.digest, now, view)
    there = look.get(Showing, name)
    return there if there is not None and there.digest == plan.digest else new


def _keep(tx: Transaction, plan: Plan, caller: Caller, showing: Showing, what: dict[str, Json]) -> Showing:
    tx.put(showing)
    tx.append(
        caller.actor,
        "shown",
        incident_id=plan.incident_id,
        plan_id=plan.id,
        data={"digest": plan.digest, "view": showing.view, **what},
    )
    return showing
