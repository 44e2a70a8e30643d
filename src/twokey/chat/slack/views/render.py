"""The renderer: draws notices, incidents and plans from the record, as they are now."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from twokey.chat.delivery.port import parse_reference
from twokey.chat.slack.options import Flows, SlackOptions
from twokey.chat.slack.payloads import Interaction
from twokey.chat.slack.views import decisions
from twokey.chat.slack.views.blocks import Block, actions, context, section
from twokey.chat.slack.views.cards import Names, incident_card, incident_text, thread_message
from twokey.chat.slack.views.inforce import next_buttons
from twokey.chat.slack.views.plans import plan_card, plan_text
from twokey.chat.slack.views.stops import STOPPABLE, below_header
from twokey.chat.slack.views.text import Words
from twokey.core.errors import NotFound, Refused
from twokey.core.incidents import Incident
from twokey.core.notices import Notice, NoticeKind
from twokey.core.people import Roster
from twokey.core.runbooks import PlanState, canonical, confirmed_content
from twokey.ports import Rosters

Rendered = tuple[str, list[Block]]
"""The line for notifications and screen readers, and the blocks."""


@dataclass(frozen=True, slots=True)
class Post:
    """What one call to Slack is given. With `ts` it is an update of that message."""

    channel: str
    text: str
    blocks: list[Block] = field(default_factory=list)
    thread_ts: str = ""
    ts: str = ""
    broadcast: bool = False
    file: bytes = field(default=b"", repr=False)  # with `file_name`: not a message, but a file with this text
    file_name: str = ""

    @property
    def is_attached(self) -> bool:
        """Say whether it belongs to a message that was posted before: in its thread, or in its place."""
        return bool(self.thread_ts or self.ts)


class MessageRenderer:
    """Reads the record and renders, synchronously; run it in a worker thread."""

    def __init__(self, flows: Flows, rosters: Rosters, options: SlackOptions) -> None:
        self._flows = flows
        self._rosters = rosters
        self._options = options
        self._words = Words(options.language)

    def post(self, notice: Notice, card: Notice | None, mark: str = "") -> Post:
        """Return the post of a notice; `mark` is the code of the small print that says why it may stand twice."""
        mark = mark or notice.context.get("mark", "")
        small_print = self._words(mark) if mark else ""
        if notice.kind is NoticeKind.CARD:
            incident = self._flows.response.shown(notice.incident_id)
            text, blocks = self.card_of(incident)
            channel, ts = self._options.channel_for(is_security=incident.is_security), ""
            if notice.sent_as:
                channel, ts = parse_reference(notice.sent_as)
            return Post(channel, text, _marked(blocks, small_print), ts=ts)
        if notice.kind is NoticeKind.PRIVATE:
            return self._private(notice, small_print)
        if notice.kind in (NoticeKind.UNREADABLE, NoticeKind.DUTY):
            text, blocks = thread_message(notice.messages, notice.context, self._words, small_print)
            return Post(self._options.channel_for_duty(notice), text, blocks)
        channel, thread_ts = parse_reference(card.sent_as) if card else (self._options.channel, "")
        if notice.kind is NoticeKind.FILE:
            return self._file(notice, channel, thread_ts, small_print)
        if notice.kind is NoticeKind.APPROVAL:
            text, blocks = self.approval(notice.plan_id)
            blocks = _marked(blocks, small_print)
            if notice.sent_as:
                channel, ts = parse_reference(notice.sent_as)
                return Post(channel, text, blocks, ts=ts)
            return Post(channel, text, blocks, thread_ts=thread_ts)
        text, blocks = thread_message(notice.messages, notice.context, self._words, small_print)
        blocks += self._question(notice) + next_buttons(notice, self._words)
        is_loud = notice.kind is NoticeKind.BROADCAST
        return Post(channel, text, blocks, thread_ts=thread_ts, broadcast=is_loud)

    def channel_of(self, notice: Notice, card: Notice | None) -> str:
        """Return where a notice goes, for the rate limit."""
        if notice.sent_as:
            return parse_reference(notice.sent_as)[0]
        if notice.kind is NoticeKind.PRIVATE:
            return f"person:{notice.person_id}"
        if notice.kind is NoticeKind.DUTY:
            return self._options.channel_for_duty(notice)
        channel = parse_reference(card.sent_as)[0] if card and card.sent_as else self._options.channel
        # Slack counts files by themselves: what it says about them holds up no message
        return f"files:{channel}" if notice.kind is NoticeKind.FILE else channel

    def elsewhere(self, post: Post, channel: str, error: str) -> Post:
        """Return the same post for another channel, saying why it stands there."""
        why = context(self._words("chat.sent_elsewhere", channel=post.channel, error=error))
        return replace(post, channel=channel, blocks=[*post.blocks, why])

    def names(self) -> Names:
        """Return how people are called, by the roster as it is now."""
        try:
            roster = self._rosters.current()
        except Refused:  # an unreadable roster names nobody; incidents are shown all the same
            roster = Roster()

        def name(person_id: str) -> str:
            # One who has left keeps the directory's id, the system its own word.
            person = roster.person(person_id)
            return person.name if person else person_id.removeprefix("system:")

        return name

    def card_of(self, incident: Incident) -> Rendered:
        """Draw an incident's card."""
        return incident_text(incident, self._words), self.incident_card(incident, self._words)

    def incident_card(self, incident: Incident, words: Words) -> list[Block]:
        """Return an incident's card in somebody's words, with what is in force and what stops acting in its account."""
        stops = self._flows.containment.stops.over(incident.account) if incident.is_open else []
        rows = self._flows.watch.contained(incident.id)
        names = self.names()
        card = below_header(incident_card(incident, names, words, rows), stops, names, words)
        return self._rehearsed(card, words)

    def approval(self, plan_id: str) -> Rendered:
        """Draw a plan's card."""
        plan = self._flows.containment.plan(plan_id)
        status = self._flows.containment.approval_status(plan_id)
        names = self.names()
        blocks = plan_card(
            plan,
            status,
            names,
            self._words,
            next_ones=self._flows.containment.may_approve(plan_id),
            file=self._flows.containment.file_state(plan_id),
        )
        if plan.state in STOPPABLE:
            stops = self._flows.containment.stops.over(plan.target.account)
            blocks = below_header(blocks, stops, names, self._words)
        blocks += decisions.waiting(plan, self._flows.containment.asked(plan_id), names, self._words)
        return plan_text(plan, self._words), self._rehearsed(blocks, self._words)

    def _rehearsed(self, card: list[Block], words: Words) -> list[Block]:
        """Say on a card that nothing of it is real; below its head, where nobody passes over it."""
        if not self._options.rehearsal:
            return card
        return [card[0], context(words("chat.rehearsal", where=self._options.rehearsal)), *card[1:]]

    def message_of_button(self, interaction: Interaction) -> Rendered | None:
        """Draw the message that holds the button that was pressed; None when nothing is known of it."""
        kind, _, subject = interaction.block_id.partition(":")
        try:
            if kind == "card":
                return self.card_of(self._flows.response.shown(subject))
            if kind in ("approval", "asked"):
                return self.approval(subject)
        except NotFound:
            return None
        kept = [dict(block) for block in interaction.blocks if block.get("type") != "actions"]
        if kind != "ask" or not kept:
            return None
        plan = self._flows.containment.plan(subject)
        if plan.state is PlanState.ASKING:
            return None  # whoever was refused must not take the question from those who may answer it
        state = plan.state.value
        answered = self._words("chat.plan.answered") + " " + self._words(f"chat.plan_state.{state}")
        return state, [*kept, context(answered)]

    def _private(self, notice: Notice, small_print: str) -> Post:
        person = self._rosters.current().person(notice.person_id)
        account = next((a for a in person.accounts if a.team == self._options.team), None) if person else None
        if person is None or account is None:
            raise NotFound("chat.no_account", person=notice.person_id)
        words = Words(person.language or self._options.language)
        text, blocks = thread_message(notice.messages, notice.context, words, small_print)
        if notice.incident_id:
            blocks += next_buttons(notice, words)
            blocks.append(context(words("chat.private_about", incident=notice.incident_id)))
        return Post(account.user, text, blocks)

    def _file(self, notice: Notice, channel: str, thread_ts: str, small_print: str) -> Post:
        """Return the plan as the very bytes that its digest is made of."""
        plan = self._flows.containment.plan(notice.plan_id)
        said = self._words("chat.plan.file", digest=plan.short, whole=plan.digest)
        return Post(
            channel,
            f"{said} {small_print}".rstrip(),
            thread_ts=thread_ts,
            file=canonical(confirmed_content(plan)),
            file_name=f"plan-{plan.short}.json",
        )

    def _question(self, notice: Notice) -> list[Block]:
        """Return the buttons that answer a run that stopped to ask, while it still does."""
        if not notice.plan_id:
            return []
        plan = self._flows.containment.plan(notice.plan_id)
        if plan.state is not PlanState.ASKING or not any(
            "ask" in m.code or "parked" in m.code for m in notice.messages
        ):
            return []
        asked = self._flows.containment.asked(plan.id)
        return [
            section(self._words("chat.plan.asks")),
            *actions(*decisions.answers(plan, asked, self._words), block_id=f"ask:{plan.id}"),
        ]


def _marked(blocks: list[Block], small_print: str) -> list[Block]:
    return [*blocks, context(small_print)] if small_print else blocks
