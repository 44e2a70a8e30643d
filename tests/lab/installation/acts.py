"""What people do in an installation: they ask for containments, look, type and turn keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.lab.installation.built import SECRETS
from tests.lab.installation.seen import Seen
from twokey.demo import notifications
from twokey.demo.company import BUCKETS, SHOP
from twokey.testing.codes import Authenticator


class Installation(Seen):
    """One installation with its people; what they do goes through Slack's doors, as theirs does."""

    def attack(self, buckets: tuple[str, ...] = BUCKETS) -> str:
        """Let the demo's findings arrive, and return the incident once its card stands."""
        body = notifications.findings(self.company.key_id, list(buckets), datetime.now(UTC))
        self.company.notify(body)
        self.until(lambda: self.card("INC-1"))
        self.until(lambda: not self.queued())
        self.quiet()
        return "INC-1"

    def code(self, person: Any) -> str:
        """Return a code that has not been used: one is good once, half a minute early or late."""
        person_id = f"p-{person.name}"
        if person_id in SECRETS:
            self.phones.setdefault(person_id, Authenticator(SECRETS[person_id]))
        return self.phones[person_id].code() if person_id in self.phones else "123456"

    def fill(self, person: Any, view: Any, **values: str) -> Any:
        """Send a modal with the fields that it has."""
        asked = {block.get("block_id") for block in view.blocks}
        filled: dict[str, Any] = {name: value for name, value in values.items() if name in asked}
        if "checked" in asked:
            filled["checked"] = ["yes"]
        if "code" in asked and "code" not in filled:
            filled["code"] = self.code(person)
        return person.submit(view, filled)

    def preview(self, runbook: str, incident: str = "INC-1", person: Any = None, **params: str) -> Any:
        """Ask for a containment and return the modal that answers."""
        person = person or self.ana
        given = "".join(f" {name}={value}" for name, value in params.items())
        person.command("/twokey", f"contain {incident} {runbook}{given}", self.security)
        return self.until(lambda: self.view(person, "contain_propose", "told", "contain_params"))

    def propose(self, runbook: str = "aws.protect-buckets", person: Any = None, **params: str) -> Any:
        """Go through the modal as Ana, and return the approval card."""
        person = person or self.ana
        known = len(self.plan_cards())
        view = self.preview(runbook, person=person, **params)
        assert view.callback_id == "contain_propose", self.slack.show(view)
        delivery = self.fill(person, view)
        assert delivery.acked, delivery
        assert not delivery.errors, delivery.errors
        self.until(lambda: len(self.plan_cards()) > known)
        card = self.plan_cards()[-1]
        self.drawn[card.ts] = card.blocks
        return card

    def old_click(self, person: Any, plan_card: Any) -> str:
        """Press the Review button that stood there when the card was new; return what only this person is told."""
        blocks = self.drawn[plan_card.ts]
        return self.private(person, lambda: person.click(plan_card, "plan_review", blocks=blocks))

    def modal(self, person: Any, plan_card: Any) -> Any:
        """Press Review & approve and return the modal."""
        person.click(self.fresh(plan_card), "plan_review")
        return self.until(lambda: self.view(person, "plan_approve"))

    def key(self, person: Any, plan_card: Any, typed: str = SHOP) -> Any:
        """Turn a key through the modal."""
        return self.fill(person, self.modal(person, plan_card), typed=typed)
