"""What a notice looks like in Slack, and how one call to Slack ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from twokey.chat.slack.inbound.threads import placed
from twokey.chat.slack.options import Flows, SlackOptions
from twokey.chat.slack.views.blocks import Block, actions, context, section
from twokey.chat.slack.views.cards import thread_message
from twokey.chat.slack.views.plans import ask_buttons
from twokey.chat.slack.views.render import Redraw
from twokey.chat.slack.views.text import Words
from twokey.core.errors import NotFound
from twokey.core.notices import Notice, NoticeKind
from twokey.core.runbooks import PlanState
from twokey.ports import Rosters

# Their place is gone or closed: another place may do.
PLACE_ERRORS = frozenset(
    {"channel_not_found", "is_archived", "not_in_channel", "channel_is_archived", "restricted_action"}
)
# Nothing we send will be taken before somebody mends the installation.
OURS_ERRORS = frozenset(
    {"token_revoked", "token_expired", "invalid_auth", "not_authed", "account_inactive", "missing_scope",
     "team_access_not_granted", "no_permission", "org_login_required", "ekm_access_denied"}
)  # fmt: skip
SHAPE_ERRORS = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "invalid_arguments"}
)
# The message under or over which we write has been deleted.
GONE_ERRORS = frozenset({"message_not_found", "thread_not_found"})
AGAIN_ERRORS = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "internal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
    }
)
_NOT_FINAL = AGAIN_ERRORS | OURS_ERRORS | PLACE_ERRORS
MAYBE_DONE_ERRORS = frozenset({"fatal_error"})  # Slack: "some aspect of the operation may have succeeded"


@dataclass(frozen=True, slots=True)
class Post:
    """One call to Slack. With `ts` it is an update of that message."""

    channel: str
    text: str
    blocks: list[Block] = field(default_factory=list)
    thread_ts: str = ""
    ts: str = ""
    broadcast: bool = False
    mark: str = ""  # why it may stand twice; what is drawn anew keeps it

    @property
    def is_update(self) -> bool:
        """Say whether a repeat does no harm."""
        return bool(self.ts)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended. `sent_as` when it stands; else what is known about it."""

    channel: str = ""
    ts: str = ""
    error: str = ""
    retry_after: float = 0.0
    may_be_done: bool = False  # the answer was lost: it may stand all the same
    is_final: bool = False  # another try would end the same

    @property
    def is_sent(self) -> bool:
        """Say whether Slack confirmed it."""
        return bool(self.ts)


class Drawing:
    """Renders notices from the record, synchronously."""

    def __init__(self, flows: Flows, rosters: Rosters, options: SlackOptions) -> None:
        self._flows = flows
        self._rosters = rosters
        self._options = options
        self._words = Words(options.language)
        self._redraw = Redraw(flows, rosters, self._words)

    def post(self, notice: Notice, card: Notice | None, mark: str = "") -> Post:
        """Return the call for a notice; `mark` is the small print that says why it is there twice."""
        known = mark or notice.context.get("mark", "")
        return replace(self._drawn(notice, card, self._words(known) if known else ""), mark=mark)

    def _drawn(self, notice: Notice, card: Notice | None, mark: str) -> Post:
        if notice.kind is NoticeKind.CARD:
            return self._card(notice, mark)
        if notice.kind is NoticeKind.PRIVATE:
            return self._private(notice, mark)
        if notice.kind is NoticeKind.UNREADABLE:
            text, blocks = thread_message(notice.messages, notice.context, self._words, mark)
            return Post(self._options.channel, text, blocks)
        if notice.kind is NoticeKind.DUTY:
            text, blocks = thread_message(notice.messages, {}, self._words, mark)
            return Post(self._options.channel_for_duty(notice), text, blocks)
        channel, ts = placed(card.sent_as) if card else (self._options.channel, "")
        if notice.kind is NoticeKind.APPROVAL:
            return self._approval(notice, channel, ts, mark)
        text, blocks = thread_message(notice.messages, notice.context, self._words, mark)
        blocks = [*blocks, *self._question(notice)]
        return Post(channel, text, blocks, thread_ts=ts, broadcast=notice.kind is NoticeKind.BROADCAST)

    def channel_of(self, notice: Notice, card: Notice | None) -> str:
        """Return where a notice goes, for the pace."""
        if notice.sent_as:
            return placed(notice.sent_as)[0]
        if notice.kind is NoticeKind.PRIVATE:
            return f"person:{notice.person_id}"
        if notice.kind is NoticeKind.DUTY:
            return self._options.channel_for_duty(notice)
        return placed(card.sent_as)[0] if card and card.sent_as else self._options.channel

    def elsewhere(self, post: Post, error: str) -> Post | None:
        """Return the same post for the fallback channel, saying why it stands there."""
        fallback = self._options.fallback_channel
        if not fallback or post.channel == fallback or post.thread_ts or post.ts:
            return None
        why = context(self._words("chat.sent_elsewhere", channel=post.channel, error=error))
        return replace(post, channel=fallback, blocks=[*post.blocks, why])

    def _card(self, notice: Notice, mark: str) -> Post:
        incident = self._flows.response.shown(notice.incident_id)
        text, blocks = self._redraw.card_of(incident)
        if notice.sent_as:
            channel, ts = placed(notice.sent_as)
            return Post(channel, text, _marked(blocks, mark), ts=ts)
        channel = self._options.channel_for(is_security=incident.is_security)
        return Post(channel, text, _marked(blocks, mark))

    def _approval(self, notice: Notice, channel: str, thread_ts: str, mark: str) -> Post:
        text, blocks = self._redraw.approval(notice.plan_id)
        if notice.sent_as:
            channel, ts = placed(notice.sent_as)
            return Post(channel, text, _marked(blocks, mark), ts=ts)
        return Post(channel, text, _marked(blocks, mark), thread_ts=thread_ts)

    def _private(self, notice: Notice, mark: str) -> Post:
        person = self._rosters.current().person(notice.person_id)
        account = next((a for a in person.accounts if a.team == self._options.team), None) if person else None
        if person is None or account is None:
            raise NotFound("chat.no_account", person=notice.person_id)
        words = Words(person.language or self._options.language)
        text, blocks = thread_message(notice.messages, notice.context, words, mark)
        if notice.incident_id:
            blocks.append(context(words("chat.private_about", incident=notice.incident_id)))
        return Post(account.user, text, blocks)

    def _question(self, notice: Notice) -> list[Block]:
        if not notice.plan_id:
            return []
        plan = self._flows.containment.plan(notice.plan_id)
        if plan.state is not PlanState.ASKING or not any(
            "ask" in m.code or "parked" in m.code for m in notice.messages
        ):
            return []
        return [
            section(self._words("chat.plan.asks")),
            *actions(*ask_buttons(plan, self._words), block_id=f"ask:{plan.id}"),
        ]


async def call(client: AsyncWebClient, post: Post) -> Outcome:
    """Make one call, once, and say how it ended."""
    try:
        if post.is_update:
            answer = await client.chat_update(
                channel=post.channel, ts=post.ts, text=post.text[:3900], blocks=post.blocks, parse="none"
            )
        else:
            answer = await client.chat_postMessage(
                channel=post.channel,
                text=post.text,
                blocks=post.blocks,
                thread_ts=post.thread_ts or None,
                reply_broadcast=post.broadcast or None,
                unfurl_links=False,
                unfurl_media=False,
                parse="none",
            )
        return Outcome(str(answer["channel"]), str(answer["ts"]))
    except SlackApiError as error:
        return _refused(error)
    except aiohttp.ClientConnectorError as error:
        return Outcome(error=type(error).__name__)  # nobody was reached: nothing was done
    except (TimeoutError, aiohttp.ClientError, SlackClientError, OSError) as error:
        return Outcome(error=type(error).__name__, may_be_done=True)


def _refused(error: SlackApiError) -> Outcome:
    response: Any = error.response
    status = int(getattr(response, "status_code", 200) or 200)
    try:
        code = str(response.get("error") or f"http_{status}")
    except (ValueError, AttributeError):  # a page instead of JSON
        code = f"http_{status}"
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return Outcome(error="ratelimited", retry_after=_retry_after(getattr(response, "headers", None)))
    if code in MAYBE_DONE_ERRORS:
        return Outcome(error=code, may_be_done=True)
    # Somebody will mend a token, a right or a channel: what is owed waits for that, and keeps its order.
    return Outcome(error=code, is_final=status < 500 and code not in _NOT_FINAL)


def _retry_after(headers: Any) -> float:
    """Return the seconds Slack asks for; without a readable number, one."""
    for name, value in dict(headers or {}).items():
        if str(name).lower() == "retry-after":
            text = str(value[0] if isinstance(value, list) else value)
            return min(float(text), 3600.0) if text.isascii() and text.isdigit() and len(text) < 7 else 1.0
    return 1.0


def _marked(blocks: list[Block], mark: str) -> list[Block]:
    return [*blocks, context(mark)] if mark else blocks
