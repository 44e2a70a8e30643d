"""The desk behind every listener: takes an act once, finds out who it was, lets it be done, and answers.

Nothing is decided here: the flow decides, and what it refuses is told to the person alone, with why."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from twokey.chat.delivery.supervisor import Watch, Workers
from twokey.chat.slack.inbound.drafts import Drafts
from twokey.chat.slack.inbound.identity import People, Seen
from twokey.chat.slack.inbound.inbox import record_delivery
from twokey.chat.slack.options import Flows, SlackOptions
from twokey.chat.slack.payloads import Act
from twokey.chat.slack.views import modals
from twokey.chat.slack.views.blocks import Block, context, section
from twokey.chat.slack.views.render import Redraw
from twokey.chat.slack.views.text import Words
from twokey.core.errors import Message, Refused, TwokeyError, message
from twokey.core.people import ChatIdentity
from twokey.flow.review.publish import NotReadyError
from twokey.ports import Clock, Rosters, Store

log = logging.getLogger("twokey.slack")

ANSWER_WITHIN_S = 2.0  # Slack waits three seconds for what a modal should do next
AFTER_ANSWER_S = 0.3  # a late result must not overtake the answer that said "wait"
_REMEMBERED = 512

Answer = dict[str, Any]
CLOSE: Answer = {"response_action": "clear"}


def show(view: Block) -> Answer:
    """Put another view in the place of the one that was sent."""
    return {"response_action": "update", "view": view}


@dataclass(frozen=True)
class Visit:
    """One act being served: by whom, in which language, and how to answer."""

    desk: Desk
    act: Act
    seen: Seen
    words: Words

    @property
    def who(self) -> ChatIdentity:
        """Return what Slack says about the account that acted."""
        return self.seen.identity

    async def tell(self, blocks: list[Block], text: str = "", *, replace: bool = False) -> None:
        """Answer this person alone."""
        await self.desk.tell(self.act, blocks, text or _first_text(blocks), replace=replace)

    async def say(self, code: str, **params: object) -> None:
        """Answer this person alone with one sentence."""
        await self.tell([section(self.words(code, **params))])

    async def open(self, view: Block) -> str:
        """Open a modal before this person and return its id."""
        method = self.desk.client.views_push if self.act.view_id else self.desk.client.views_open
        answer = await method(trigger_id=self.act.trigger_id, view=view)
        return str(answer["view"]["id"])

    async def update(self, view_id: str, view: Block) -> None:
        """Put other content into an open modal; a modal that was closed meanwhile stays closed."""
        await self.desk.update_view(view_id, view)

    def why(self, error: TwokeyError) -> list[Block]:
        """Return the reason of a refusal, and whether Slack itself kept silent."""
        reasons = error.faults if isinstance(error, NotReadyError) else (error.message,)
        blocks = [section(self.words.of(reason)) for reason in reasons[:20]]
        if self.seen.unanswered:
            blocks.append(context(self.words("chat.slack_did_not_say", reason=self.seen.unanswered)))
        return blocks


class Desk:
    """What listeners share. Made once; every task it starts is held by the watch."""

    def __init__(
        self,
        flows: Flows,
        options: SlackOptions,
        client: AsyncWebClient,
        *,
        store: Store,
        clock: Clock,
        rosters: Rosters,
        workers: Workers,
        watch: Watch,
    ) -> None:
        self.flows = flows
        self.options = options
        self.client = client
        self.store = store
        self.clock = clock
        self.rosters = rosters
        self.workers = workers
        self.watch = watch
        self.people = People(
            client, options.team, enterprise=options.enterprise, timeout_s=options.people_timeout_s
        )
        self.drafts = Drafts(clock)
        self.redraw = Redraw(flows, rosters, Words(options.language))
        self._answers: OrderedDict[str, asyncio.Task[Answer]] = OrderedDict()

    # What came without a form: commands, mentions, buttons

    def serve(self, act: Act, work: Callable[[Visit], Awaitable[None]], *, fresh: bool = False) -> None:
        """Do what was asked, once, after Slack has its acknowledgement."""
        self.watch.hold(self._serve(act, work, fresh), f"slack:{act.what}")

    async def _serve(self, act: Act, work: Callable[[Visit], Awaitable[None]], fresh: bool) -> None:
        visit: Visit | None = None
        try:
            if not await self.first(act):
                return
            visit = await self.visit(act, fresh=fresh)
            await work(visit)
        except TwokeyError as error:
            await self._refused(act, visit, error)
        except (SlackClientError, aiohttp.ClientError, TimeoutError) as error:
            log.warning("Slack failed while %s was served: %s", act.what, error)
        except Exception:  # the edge: the person is told, and the log has the rest under the same number
            await self._fault(act, visit)

    async def _refused(self, act: Act, visit: Visit | None, error: TwokeyError) -> None:
        if visit is None:
            visit = Visit(self, act, self.people.unknown(act), Words(self.options.language))
        await visit.tell(visit.why(error))
        await self.redraw_old(act)

    async def _fault(self, act: Act, visit: Visit | None) -> None:
        number = secrets.token_hex(4)
        log.exception("fault %s while %s was served", number, act.what)
        words = visit.words if visit else Words(self.options.language)
        await self.tell(act, [section(words("chat.fault", number=number))], "")

    # What came with a form: the answer decides what the modal does next

    async def answer(
        self, act: Act, work: Callable[[Visit], Awaitable[Answer]], anchors: Mapping[str, str]
    ) -> Answer:
        """Do what was sent, once, and return what the modal should do; a repeat gets the same answer.

        `anchors` names the input under which a refusal is shown, by its code; "" is for all others.
        """
        task = self._answers.get(act.key)
        if task is None:
            task = self.watch.hold(self._answer(act, work, anchors), f"slack:{act.what}")
            self._answers[act.key] = task
            while len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)
        done, _ = await asyncio.wait({task}, timeout=ANSWER_WITHIN_S)
        if done:
            return task.result()
        self.watch.hold(self._late(act, task), f"slack:late:{act.what}")
        return show(modals.loading(Words(self.options.language)))

    async def _answer(
        self, act: Act, work: Callable[[Visit], Awaitable[Answer]], anchors: Mapping[str, str]
    ) -> Answer:
        visit: Visit | None = None
        words = Words(self.options.language)
        try:
            if not await self.first(act):
                return {}
            visit = await self.visit(act, fresh=True)
            words = visit.words
            return await work(visit)
        except TwokeyError as error:
            return self._shown_error(error.message, anchors, words, visit.seen.unanswered if visit else "")
        except Exception:  # the edge, as above
            number = secrets.token_hex(4)
            log.exception("fault %s while %s was served", number, act.what)
            return self._shown_error(message("chat.fault", number=number), anchors, words, "")

    def _shown_error(
        self, said: Message, anchors: Mapping[str, str], words: Words, unanswered: str
    ) -> Answer:
        text = words.plain_of(said, 900)
        if unanswered:
            text += " " + words.plain("chat.slack_did_not_say", 300, reason=unanswered)
        anchor = anchors.get(said.code, anchors.get("", ""))
        if anchor:
            return {"response_action": "errors", "errors": {anchor: text}}
        return show(modals.told(words, said))

    async def _late(self, act: Act, task: asyncio.Task[Answer]) -> None:
        answer = await task
        await asyncio.sleep(AFTER_ANSWER_S)
        words = Words(self.options.language)
        view = answer.get("view")
        if answer.get("response_action") == "errors":
            reason = "\n".join(answer["errors"].values())
            view = modals.told(words, message("chat.late_reason", reason=reason))
        elif view is None:
            view = modals.told(words, message("chat.late_done"))
        await self.update_view(act.view_id, view)

    # Shared

    async def first(self, act: Act) -> bool:
        """Keep the act's key; False when this very act was taken before."""
        return await self.workers.quick(record_delivery, self.store, self.clock, act)

    async def visit(self, act: Act, *, fresh: bool = False) -> Visit:
        """Find out who acted and which language they read."""
        seen = await self.people.see(act, fresh=fresh)
        language = await self.workers.quick(self._language, seen.identity)
        return Visit(self, act, seen, Words(language or seen.language or self.options.language))

    def _language(self, who: ChatIdentity) -> str:
        # A roster that cannot be read lets nobody do anything: the flow says so, and puts it on record.
        try:
            person = self.rosters.current().behind(who.account)
        except Refused:
            return ""
        return person.language if person else ""

    async def tell(self, act: Act, blocks: list[Block], text: str, *, replace: bool = False) -> None:
        """Answer one person alone: through the act's own address, else in the channel."""
        text = text or _first_text(blocks)
        if act.response_url:
            webhook = AsyncWebhookClient(
                act.response_url, session=self.client.session, retry_handlers=self.client.retry_handlers
            )
            body: dict[str, Any] = {
                "response_type": "ephemeral",
                "replace_original": replace and act.is_ephemeral,
                "text": text,
                "blocks": blocks,
            }
            if act.thread_ts:
                body["thread_ts"] = act.thread_ts
            answered = await webhook.send_dict(body)
            if answered.status_code == 200:
                return
            log.warning("an answer's own address refused it: %s", answered.status_code)
        if act.channel and act.user:
            await self.client.chat_postEphemeral(
                channel=act.channel, user=act.user, text=text, blocks=blocks, thread_ts=act.thread_ts or None
            )

    async def update_view(self, view_id: str, view: Block) -> None:
        """Put other content into an open modal."""
        try:
            await self.client.views_update(view_id=view_id, view=view)
        except SlackApiError as error:
            if error.response.get("error") != "not_found":
                raise

    async def redraw_old(self, act: Act) -> None:
        """Draw the message anew whose button was too old to work."""
        if not act.message_ts or act.is_ephemeral or not act.channel:
            return
        drawn = await self.workers.quick(self.redraw.of_button, act)
        if drawn is not None:
            text, blocks = drawn
            await self.client.chat_update(channel=act.channel, ts=act.message_ts, text=text, blocks=blocks)


def _first_text(blocks: list[Block]) -> str:
    for block in blocks:
        text = block.get("text")
        if isinstance(text, dict):
            return str(text["text"])[:3000]
    return "twokey"
