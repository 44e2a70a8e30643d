"""Draws incidents and plans as they are now: for the sender, and for messages whose buttons are old."""

from __future__ import annotations

from twokey.chat.slack.options import Flows
from twokey.chat.slack.payloads import Act
from twokey.chat.slack.views.blocks import Block, context
from twokey.chat.slack.views.cards import Names, incident_card, incident_text
from twokey.chat.slack.views.plans import plan_card, plan_text
from twokey.chat.slack.views.text import Words
from twokey.core.errors import NotFound, Refused
from twokey.core.incidents import Incident
from twokey.core.people import Roster
from twokey.core.runbooks import PlanState
from twokey.ports import Rosters

Drawn = tuple[str, list[Block]]


class Redraw:
    """Reads the record and renders, synchronously; run it in a worker."""

    def __init__(self, flows: Flows, rosters: Rosters, words: Words) -> None:
        self._flows = flows
        self._rosters = rosters
        self._words = words

    def names(self) -> Names:
        """Return how people are called, by the roster as it is now."""
        try:
            return names_of(self._rosters.current())
        except Refused:  # an unreadable roster names nobody; incidents are shown all the same
            return names_of(Roster())

    def card(self, incident_id: str) -> Drawn:
        """Draw an incident's card."""
        return self.card_of(self._flows.response.shown(incident_id))

    def card_of(self, incident: Incident) -> Drawn:
        """Draw the card of an incident that was read."""
        return incident_text(incident, self._words), incident_card(incident, self.names(), self._words)

    def approval(self, plan_id: str) -> Drawn:
        """Draw a plan's card."""
        plan = self._flows.containment.plan(plan_id)
        standing = self._flows.containment.standing(plan_id)
        return plan_text(plan, self._words), plan_card(plan, standing, self.names(), self._words)

    def of_button(self, act: Act) -> Drawn | None:
        """Draw the message that holds the button that was pressed; None when nothing is known of it."""
        kind, _, named = act.block_id.partition(":")
        try:
            if kind == "card":
                return self.card(named)
            if kind == "approval":
                return self.approval(named)
        except NotFound:
            return None
        kept = [dict(block) for block in act.blocks if block.get("type") != "actions"]
        if kind != "ask" or not kept:
            return None
        plan = self._flows.containment.plan(named)
        if plan.state is PlanState.ASKING:
            return None  # whoever was refused must not take the question from those who may answer it
        state = plan.state.value
        return state, [
            *kept,
            context(self._words("chat.plan.answered") + " " + self._words(f"chat.plan_state.{state}")),
        ]


def names_of(roster: Roster) -> Names:
    """Return a person's name for a directory id; one who has left keeps the id, the system its own word."""

    def name(person_id: str) -> str:
        person = roster.person(person_id)
        return person.name if person else person_id.removeprefix("system:")

    return name
