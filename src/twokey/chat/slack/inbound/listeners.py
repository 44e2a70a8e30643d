"""What Slack may send, by id: each is acknowledged, read, and handed to the dispatcher. Ids are kept for ever
(`tests/chat` pins them): a button lives as long as its message."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from slack_bolt.async_app import AsyncApp

from twokey.chat.slack import payloads
from twokey.chat.slack.inbound import approvals, breakglass, commands, decisions, pages, previews, stops
from twokey.chat.slack.inbound.dispatch import CLOSE, Answer, Context, Dispatcher
from twokey.chat.slack.inbound.parsing import parse
from twokey.chat.slack.inbound.threads import Threads
from twokey.chat.slack.inbound.verbs import Command
from twokey.chat.slack.payloads import Body
from twokey.core.errors import NotFound
from twokey.core.incidents import Severity, State

Ack = Callable[..., Awaitable[Any]]
Press = Callable[[Context, str], Awaitable[None]]
Form = Callable[[Context, Mapping[str, str]], Awaitable[Answer]]


async def acknowledge(ctx: Context, incident_id: str) -> None:
    """Say that one is on it."""
    await commands.serve(ctx, Command("ack", incident_id))


async def take_command(ctx: Context, incident_id: str) -> None:
    """Become the incident's commander."""
    await commands.give_role(ctx, incident_id, "ic", ctx.who.account.user)


async def contain(ctx: Context, incident_id: str) -> None:
    """Begin a containment."""
    await commands.serve(ctx, Command("contain", incident_id))


async def more(ctx: Context, value: str) -> None:
    """Do what was chosen behind the three dots: `<verb> <incident>`."""
    verb, _, incident_id = value.partition(" ")
    await commands.serve(ctx, Command("audit" if verb == "timeline" else verb, incident_id))


def picked(verb: str) -> Press:
    """Return what a verb does with the incident that was picked for it."""

    async def press(ctx: Context, incident_id: str) -> None:
        await ctx.pools.quick(ctx.flows.response.whoami, ctx.who)
        if verb == "role":
            await commands.form(ctx, incident_id, "role")
        elif verb == "cancel":
            await commands.form(ctx, incident_id, "status")
        else:
            await commands.serve(ctx, Command(verb, incident_id))

    return press


async def turn_page(ctx: Context, value: str) -> None:
    """Show another page of a list in the place of this one."""
    which, _, page = value.partition(" ")
    await ctx.pools.quick(ctx.flows.response.whoami, ctx.who)
    await commands.show_list(ctx, which, int(page) if page.isdigit() else 1, replace=True)


async def show_pending(ctx: Context, _: str) -> None:
    """Show the plans that one could approve."""
    await commands.serve(ctx, Command("pending"))


async def save_note(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Write the line into the timeline."""
    await ctx.pools.quick(
        ctx.flows.response.note, ctx.interaction.metadata["incident"], inputs.get("text", ""), ctx.who
    )
    return CLOSE


async def save_status(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Move the incident on."""
    state = State(inputs["state"])
    reason = inputs.get("cancel", "") if state is State.CANCELLED else ""
    await ctx.pools.quick(
        ctx.flows.response.change_state, ctx.interaction.metadata["incident"], state, ctx.who, reason
    )
    return CLOSE


async def save_severity(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Grade the incident anew."""
    grade = Severity(inputs["severity"])
    await ctx.pools.quick(
        ctx.flows.response.change_severity, ctx.interaction.metadata["incident"], grade, ctx.who
    )
    return CLOSE


async def save_role(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Give the role."""
    await commands.give_role(ctx, ctx.interaction.metadata["incident"], inputs["role"], inputs["person"])
    return CLOSE


async def nothing(_: Context, __: Mapping[str, str]) -> Answer:
    """Close a modal that asked for nothing."""
    return CLOSE


BUTTONS: dict[str, Press] = {
    "incident_acknowledge": acknowledge,
    "incident_command": take_command,
    "incident_contain": contain,
    "incident_more": more,
    "plan_review": approvals.review,
    "plan_reject": approvals.open_reject,
    "plan_withdraw": approvals.withdraw,
    "plan_undo": previews.undo,
    "plan_confirm": approvals.open_confirm,
    "run_retry": decisions.decide("retry"),
    "run_skip": decisions.open_skip,
    "run_stop": decisions.decide("stop"),
    "decision_confirm": decisions.open_confirm,
    "glass_open": breakglass.open_break_glass,
    "stop_resume": stops.open_resume,
    "passkey_open": approvals.opened,
    **{
        f"{kind}_{name}": press
        for kind in ("plan", "preview", "glass")
        for name, press in (
            ("page_next", pages.turn_page(kind)),
            ("page_back", pages.turn_page(kind)),
            ("details", pages.open_details(kind)),
        )
    },
    "details_page_next": pages.turn_details,
    "details_page_back": pages.turn_details,
    "list_next": turn_page,
    "list_previous": turn_page,
    "menu_open": turn_page,
    "menu_mine": turn_page,
    "menu_pending": show_pending,
}

# Buttons that change something: for these, nothing that was remembered about the person counts.
CHANGING = frozenset(
    {
        "incident_acknowledge",
        "incident_command",
        "plan_withdraw",
        "run_retry",
        "run_stop",
    }
)

FORMS: dict[str, tuple[Form, Mapping[str, str]]] = {
    "contain_choose": (previews.choose, {"": "runbook"}),
    "contain_params": (previews.fill_in, {}),
    "contain_propose": (previews.propose, previews.PROPOSE),
    "plan_approve": (approvals.approve, approvals.APPROVE),
    "plan_reject": (approvals.reject, approvals.REASON),
    "glass_break": (breakglass.break_glass, breakglass.BREAK),
    "stop_resume": (stops.resume, stops.RESUME),
    "run_confirm": (approvals.confirm, approvals.CONFIRM),
    "run_skip": (decisions.skip, decisions.ERRORS),
    "decision_confirm": (decisions.confirm, decisions.ERRORS),
    "incident_note": (save_note, {"": "text"}),
    "incident_status": (save_status, {"": "state", "refused.cancel_reason": "cancel"}),
    "incident_severity": (save_severity, {"": "severity"}),
    "incident_role": (save_role, {"": "person"}),
    "told": (nothing, {}),
    "wait": (nothing, {}),
}


def buttons() -> dict[str, Press]:
    """Return every button that is listened to: a verb that needs an incident has one to pick it with."""
    picks = [verb.name for verb in commands.VERBS.values() if verb.needs_incident]
    return BUTTONS | {f"pick_{name}": picked(name) for name in picks}


def listen(app: AsyncApp, dispatcher: Dispatcher, threads: Threads) -> None:
    """Register with Bolt everything that we answer to."""

    @app.command(re.compile(".*"))
    async def typed(ack: Ack, body: Body) -> None:
        dispatcher.supervisor.adopt_current()
        await ack()
        interaction = payloads.of_command(body)
        command = parse(interaction.text)
        fresh = commands.may_change(command)
        dispatcher.serve(interaction, lambda ctx: commands.serve(ctx, command), fresh=fresh)

    @app.event("app_mention")
    async def mentioned(ack: Ack, body: Body, context: Mapping[str, Any]) -> None:
        dispatcher.supervisor.adopt_current()
        await ack()
        interaction = payloads.of_mention(body)
        channel, thread_ts = interaction.channel, interaction.thread_ts
        command = parse(interaction.text, str(context.get("bot_user_id") or ""), in_thread=bool(thread_ts))

        async def work(ctx: Context) -> None:
            verb = commands.VERBS.get(command.verb)
            if thread_ts and verb is not None and verb.needs_incident and not command.incident:
                implied = await threads.incident_of(channel, thread_ts)
                await commands.serve(ctx, replace(command, incident=implied))
            else:
                await commands.serve(ctx, command)

        dispatcher.serve(interaction, work, fresh=commands.may_change(command))

    for action_id, press in buttons().items():
        _listen_to_button(app, dispatcher, action_id, press)
    for callback_id, (form, error_fields) in FORMS.items():
        _listen_to_form(app, dispatcher, callback_id, form, error_fields)

    # An id that is not known any more is answered loudly: people must not think that their click worked.

    @app.action(re.compile(".*"))
    async def unknown_button(ack: Ack, body: Body) -> None:
        dispatcher.supervisor.adopt_current()
        await ack()
        interaction = payloads.of_action(body)
        unknown = interaction.what[:80]
        dispatcher.serve(interaction, lambda ctx: ctx.say("chat.unknown_button", id=unknown))

    @app.view(re.compile(".*"))
    async def unknown_form(ack: Ack, body: Body) -> None:
        dispatcher.supervisor.adopt_current()

        async def work(ctx: Context) -> Answer:
            raise NotFound("chat.unknown_button", id=ctx.interaction.what[:80])

        await ack(**await dispatcher.answer(payloads.of_submission(body), work, {}))


def _listen_to_button(app: AsyncApp, dispatcher: Dispatcher, action_id: str, press: Press) -> None:
    @app.action(action_id)
    async def pressed(ack: Ack, body: Body) -> None:
        dispatcher.supervisor.adopt_current()
        await ack()
        interaction = payloads.of_action(body)
        fresh = action_id in CHANGING
        dispatcher.serve(interaction, lambda ctx: press(ctx, interaction.value), fresh=fresh)


def _listen_to_form(
    app: AsyncApp, dispatcher: Dispatcher, callback_id: str, form: Form, error_fields: Mapping[str, str]
) -> None:
    @app.view(callback_id)
    async def submitted(ack: Ack, body: Body) -> None:
        dispatcher.supervisor.adopt_current()
        inputs, interaction = payloads.inputs_of(body), payloads.of_submission(body)
        # an error stands under a field that the form has
        under = {
            code: field if field in inputs else next(iter(inputs), "") for code, field in error_fields.items()
        }
        await ack(**await dispatcher.answer(interaction, lambda ctx: form(ctx, inputs), under))
