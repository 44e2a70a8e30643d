"""What people see of an installation: cards, threads, modals, and what is told to one person alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.lab.installation.built import WRITES, Built
from twokey.core.runbooks import Plan
from twokey.demo.slack import live_mentions


class Seen(Built):
    """Looks into the fake Slack as its people do."""

    def cards(self, incident: str) -> list[Any]:
        """Return an incident's cards."""
        return [
            message
            for channel in (self.security, self.channel)
            for message in self.slack.messages(channel)
            if f"· {incident} ·" in self.slack.show(message)
        ]

    def card(self, incident: str) -> Any:
        """Return an incident's card, or None."""
        found = self.cards(incident)
        return found[0] if found else None

    def thread(self, incident: str = "INC-1") -> list[Any]:
        """Return an incident's card and what stands below it."""
        card = self.card(incident)
        return list(self.slack.thread(card.channel, card.ts))

    def thread_text(self, incident: str = "INC-1") -> str:
        """Return an incident's thread as people read it."""
        return "\n".join(self.slack.show(message, 4000) for message in self.thread(incident))

    def plan_cards(self, incident: str = "INC-1") -> list[Any]:
        """Return the approval cards of an incident."""
        return [
            message
            for message in self.thread(incident)
            if message.ts in self.drawn or any("approval:" in b.get("block_id", "") for b in message.blocks)
        ]

    def view(self, person: Any, *callbacks: str) -> Any:
        """Return the modal that somebody has open, if it is one of these."""
        seen = self.slack.view_of(person)
        return seen if seen is not None and seen.callback_id in callbacks else None

    def private(self, person: Any, act: Callable[[], Any]) -> str:
        """Do something, and return what only this person is told then; nobody else hears it."""
        everyone = [p for p in self.slack.state.members if p != person.id]
        before, others = (
            len(self.slack.ephemerals(person)),
            sum(len(self.slack.ephemerals(p)) for p in everyone),
        )
        act()
        self.until(lambda: len(self.slack.ephemerals(person)) > before)
        assert sum(len(self.slack.ephemerals(p)) for p in everyone) == others
        return self.slack.show(self.slack.ephemerals(person)[-1], 4000)

    def fresh(self, message: Any) -> Any:
        """Return a message as it is now."""
        return next((m for m in self.thread() if m.ts == message.ts), message)

    def plan_id(self, plan_card: Any) -> str:
        """Return the id of the plan on an approval card."""
        blocks = self.drawn[plan_card.ts]
        row = next(b["block_id"] for b in blocks if "approval:" in b.get("block_id", ""))
        return str(row).partition(":")[2]

    def state(self, plan_id: str) -> str:
        """Return the state of a plan."""
        with self.record.read() as look:
            return str(look.get(Plan, plan_id).state.value)

    def ends(self, plan_id: str, state: str) -> None:
        """Wait until a plan is in a state."""
        self.until(lambda: self.state(plan_id) == state)

    def writes(self) -> list[str]:
        """Return every call that reached the cloud and changes something there."""
        return [call.operation for call in self.proxy.operations(*WRITES)]

    def harmless(self) -> None:
        """No text of an attacker's is live anywhere in Slack."""
        slack = self.slack
        for channel in list(slack.state.channels.values()):
            for message in channel.messages:
                if message.user == slack.bot_user_id:
                    assert not self._live(message), (message.text, message.blocks)
        for message in slack.state.ephemerals:
            assert not self._live(message), (message.text, message.blocks)
        for view in slack.state.views.values():
            assert not self._live(view), view.body

    @staticmethod
    def _live(content: Any) -> list[Any]:
        """Slack shows `text` only in notifications, where nothing can be followed, once there are blocks."""
        shown = bool(getattr(content, "blocks", []))
        return [
            mention
            for mention in live_mentions(content)
            if not (shown and mention.where == "/text" and mention.kind == "link" and not mention.label)
        ]
