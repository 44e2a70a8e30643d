"""The dispatcher behind every listener: takes an interaction once, identifies the person, serves and answers.

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

from twokey.chat.delivery.supervisor import Supervisor
from twokey.chat.delivery.thread_pools import ThreadPools
from twokey.chat.slack.inbound.drafts import Drafts
from twokey.chat.slack.inbound.identity import Identified, Identities
from twokey.chat.slack.inbound.inbox import record_delivery
from twokey.chat.slack.options import Flows, SlackOptions
from twokey.chat.slack.payloads import Interaction
from twokey.chat.slack.views import modals
from twokey.chat.slack.views.blocks import Block, context, first_text, section
from twokey.chat.slack.views.render import MessageRenderer
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
class Context:
    """One interaction being served: by whom, in which language, and how to answer."""

    dispatcher: Dispatcher
    interaction: Interaction
    identified: Identified
    words: Words

    @property
    def who(self) -> ChatIdentity:
        """Return what Slack says about the account."""
        return self.identified.identity

    @property
    def flows(self) -> Flows:
        """Return the flows that do what was asked."""
        return self.dispatcher.flows

    @property
    def pools(self) -> ThreadPools:
        """Return the threads in which the flows are called."""
        return self.dispatcher.pools

    @property
    def slash_command(self) -> str:
        """Return the name of the slash command, for usage hints."""
        return self.dispatcher.options.command

    async def tell(self, blocks: list[Block], *, replace: bool = False) -> None:
        """Answer this person alone."""
        await self.dispatcher.tell(self.interaction, blocks, replace=replace)

    async def say(self, code: str, **params: object) -> None:
        """Answer this person alone with one sentence."""
        await self.tell([section(self.words(code, **params))])

    async def open(self, view: Block) -> str:
        """Open a modal before this person and return its id."""
        client = self.dispatcher.client
        method = client.views_push if self.interaction.view_id else client.views_open
        answer = await method(trigger_id=self.interaction.trigger_id, view=view)
        return str(answer["view"]["id"])

    def why(self, error: TwokeyError) -> list[Block]:
        """Return the reason of a refusal, and whether Slack itself did not answer."""
        reasons = error.faults if isinstance(error, NotReadyError) else (error.message,)
        blocks = [section(self.words.of(reason)) for reason in reasons[:20]]
        if self.identified.unanswered:
            blocks.append(context(self.words("chat.slack_did_not_say", reason=self.identified.unanswered)))
        return blocks


class Dispatcher:
    """What listeners share. Made once; every task it starts is held by the supervisor."""

    def __init__(
        self,
        flows: Flows,
        options: SlackOptions,
        client: AsyncWebClient,
        *,
        store: Store,
        clock: Clock,
        rosters: Rosters,
        pools: ThreadPools,
        supervisor: Supervisor,
    ) -> None:
        self.flows = flows
        self.options = options
        self.client = client
        self.store = store
        self.clock = clock
        self.rosters = rosters
        self.pools = pools
        self.supervisor = supervisor
        self.identities = Identities(
            client, options.team, enterprise=options.enterprise, timeout_s=options.people_timeout_s
        )
        self.drafts = Drafts(clock)
        self.renderer = MessageRenderer(flows, rosters, options)
        self._answers: OrderedDict[str, asyncio.Task[Answer]] = OrderedDict()

    # What came without a form: commands, mentions, buttons

    def serve(
        self, interaction: Interaction, work: Callable[[Context], Awaitable[None]], *, fresh: bool = False
    ) -> None:
        """Do what was asked, once, after Slack has its acknowledgement."""
        self.supervisor.spawn(self._serve(interaction, work, fresh), f"slack:{interaction.what}")

    async def _serve(
        self, interaction: Interaction, work: Callable[[Context], Awaitable[None]], fresh: bool
    ) -> None:
        ctx: Context | None = None
        try:
            if not await self.is_first(interaction):
                return
            ctx = await self.context_of(interaction, fresh=fresh)
            await work(ctx)
        except TwokeyError as error:
            nobody = self.identities.unknown(interaction)
            ctx = ctx or Context(self, interaction, nobody, Words(self.options.language))
            await ctx.tell(ctx.why(error))
            await self.redraw_message(interaction)
        except (SlackClientError, aiohttp.ClientError, TimeoutError) as error:
            log.warning("Slack failed while %s was served: %s", interaction.what, error)
        except Exception:  # the edge: the person is told, and the log has the rest under the same number
            number = secrets.token_hex(4)
            log.exception("fault %s while %s was served", number, interaction.what)
            words = ctx.words if ctx else Words(self.options.language)
            await self.tell(interaction, [section(words("chat.fault", number=number))])

    # What came with a form: the answer decides what the modal does next

    async def answer(
        self,
        interaction: Interaction,
        work: Callable[[Context], Awaitable[Answer]],
        error_fields: Mapping[str, str],
    ) -> Answer:
        """Do what was sent, once, and return what the modal should do; a repeat gets the same answer.

        `error_fields` names the input under which a refusal is shown, by its code; "" is for all others.
        """
        task = self._answers.get(interaction.key)
        if task is None:
            work_on_it = self._answer(interaction, work, error_fields)
            task = self.supervisor.spawn(work_on_it, f"slack:{interaction.what}")
            self._answers[interaction.key] = task
            while len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)
        done, _ = await asyncio.wait({task}, timeout=ANSWER_WITHIN_S)
        if done:
            return task.result()
        self.supervisor.spawn(self._show_late(interaction, task), f"slack:late:{interaction.what}")
        return show(modals.loading(Words(self.options.language)))

    async def _answer(
        self,
        interaction: Interaction,
        work: Callable[[Context], Awaitable[Answer]],
        error_fields: Mapping[str, str],
    ) -> Answer:
        ctx: Context | None = None
        words = Words(self.options.language)
        try:
            if not await self.is_first(interaction):
                return {}
            ctx = await self.context_of(interaction, fresh=True)
            words = ctx.words
            return await work(ctx)
        except TwokeyError as error:
            unanswered = ctx.identified.unanswered if ctx else ""
            return self._shown_error(error.message, error_fields, words, unanswered)
        except Exception:  # the edge, as above
            number = secrets.token_hex(4)
            log.exception("fault %s while %s was served", number, interaction.what)
            return self._shown_error(message("chat.fault", number=number), error_fields, words, "")

    def _shown_error(
        self, reason: Message, error_fields: Mapping[str, str], words: Words, unanswered: str
    ) -> Answer:
        text = words.plain_of(reason, 900)
        if unanswered:
            text += " " + words.plain("chat.slack_did_not_say", 300, reason=unanswered)
        error_field = error_fields.get(reason.code, error_fields.get("", ""))
        if error_field:
            return {"response_action": "errors", "errors": {error_field: text}}
        return show(modals.alert(words, reason))

    async def _show_late(self, interaction: Interaction, task: asyncio.Task[Answer]) -> None:
        """Show the result of work that took longer than Slack waits, in the modal that said "wait"."""
        answer = await task
        await asyncio.sleep(AFTER_ANSWER_S)
        words = Words(self.options.language)
        view = answer.get("view")
        if answer.get("response_action") == "errors":
            reason = "\n".join(answer["errors"].values())
            view = modals.alert(words, message("chat.late_reason", reason=reason))
        elif view is None:
            view = modals.alert(words, message("chat.late_done"))
        await self.update_view(interaction.view_id, view)

    # Shared

    async def is_first(self, interaction: Interaction) -> bool:
        """Keep the interaction's key; False when this very interaction was taken before."""
        return await self.pools.quick(record_delivery, self.store, self.clock, interaction)

    async def context_of(self, interaction: Interaction, *, fresh: bool = False) -> Context:
        """Find out who interacted and which language they read."""
        identified = await self.identities.identify(interaction, fresh=fresh)
        language = await self.pools.quick(self._language, identified.identity)
        return Context(
            self, interaction, identified, Words(language or identified.language or self.options.language)
        )

    def _language(self, who: ChatIdentity) -> str:
        # A roster that cannot be read lets nobody do anything: the flow says so, and puts it on record.
        try:
            person = self.rosters.current().behind(who.account)
        except Refused:
            return ""
        return person.language if person else ""

    async def tell(self, interaction: Interaction, blocks: list[Block], *, replace: bool = False) -> None:
        """Answer one person alone: through the interaction's own address, else in the channel."""
        text, thread_ts = first_text(blocks), interaction.thread_ts
        if interaction.response_url:
            webhook = AsyncWebhookClient(
                interaction.response_url,
                session=self.client.session,
                retry_handlers=self.client.retry_handlers,
            )
            body: dict[str, Any] = {
                "response_type": "ephemeral",
                "replace_original": replace and interaction.is_ephemeral,
                "text": text,
                "blocks": blocks,
            }
            if thread_ts:
                body["thread_ts"] = thread_ts
            answered = await webhook.send_dict(body)
            if answered.status_code == 200:
                return
            log.warning("an answer's own address refused it: %s", answered.status_code)
        channel, user = interaction.channel, interaction.user
        if channel and user:
            await self.client.chat_postEphemeral(
                channel=channel, user=user, text=text, blocks=blocks, thread_ts=thread_ts or None
            )

    async def update_view(self, view_id: str, view: Block) -> None:
        """Put other content into an open modal; a modal that was closed meanwhile stays closed."""
        try:
            await self.client.views_update(view_id=view_id, view=view)
        except SlackApiError as error:
            if error.response.get("error") != "not_found":
                raise

    async def redraw_message(self, interaction: Interaction) -> None:
        """Draw the message anew whose button was too old to work."""
        channel, ts = interaction.channel, interaction.message_ts
        if not ts or interaction.is_ephemeral or not channel:
            return
        drawn = await self.pools.quick(self.renderer.message_of_button, interaction)
        if drawn is not None:
            text, blocks = drawn
            await self.client.chat_update(channel=channel, ts=ts, text=text, blocks=blocks)
