"""What Slack may send, by id: each is acknowledged, read, and handed to the desk. Ids are kept for ever
(`tests/chat` pins them): a button lives as long as its message."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from slack_bolt.async_app import AsyncApp

from twokey.chat.slack import payloads
from twokey.chat.slack.inbound import commands, containment
from twokey.chat.slack.inbound.dispatch import CLOSE, Answer, Desk, Visit
from twokey.chat.slack.inbound.parsing import WITHOUT_INCIDENT, Asked, parse
from twokey.chat.slack.inbound.threads import Threads
from twokey.chat.slack.payloads import Act, Body
from twokey.core.errors import NotFound
from twokey.core.incidents import Severity, State

Ack = Callable[..., Awaitable[Any]]
Press = Callable[[Visit, str], Awaitable[None]]
Form = Callable[[Visit, Mapping[str, str]], Awaitable[Answer]]


async def acknowledge(visit: Visit, incident_id: str) -> None:
    """Say that one is on it."""
    await commands.serve(visit, Asked("ack", incident_id))


async def take_command(visit: Visit, incident_id: str) -> None:
    """Become the incident's commander."""
    await commands.give_role(visit, incident_id, "ic", visit.who.account.user)


async def contain(visit: Visit, incident_id: str) -> None:
    """Begin a containment."""
    await commands.serve(visit, Asked("contain", incident_id))


async def more(visit: Visit, value: str) -> None:
    """Do what was chosen behind the three dots: `<verb> <incident>`."""
    verb, _, incident_id = value.partition(" ")
    await commands.serve(visit, Asked("audit" if verb == "timeline" else verb, incident_id))


def picked(verb: str) -> Press:
    """Return what a verb does with the incident that was picked for it."""

    async def press(visit: Visit, incident_id: str) -> None:
        await visit.desk.workers.quick(visit.desk.flows.response.whoami, visit.who)
        if verb == "role":
            await commands.form(visit, incident_id, "role")
        elif verb == "cancel":
            await commands.form(visit, incident_id, "status")
        else:
            await commands.serve(visit, Asked(verb, incident_id))

    return press


async def turn_page(visit: Visit, value: str) -> None:
    """Show another page of a list in the place of this one."""
    which, _, page = value.partition(" ")
    await visit.desk.workers.quick(visit.desk.flows.response.whoami, visit.who)
    await commands.show_list(visit, which, int(page) if page.isdigit() else 1, replace=True)


async def show_pending(visit: Visit, _: str) -> None:
    """Show the plans on which one could turn a key."""
    await commands.serve(visit, Asked("pending"))


async def save_note(visit: Visit, inputs: Mapping[str, str]) -> Answer:
    """Write the line into the timeline."""
    desk = visit.desk
    await desk.workers.quick(
        desk.flows.response.note, visit.act.notes["incident"], inputs.get("text", ""), visit.who
    )
    return CLOSE


async def save_status(visit: Visit, inputs: Mapping[str, str]) -> Answer:
    """Move the incident on."""
    desk = visit.desk
    state = State(inputs["state"])
    reason = inputs.get("cancel", "") if state is State.CANCELLED else ""
    await desk.workers.quick(
        desk.flows.response.change_state, visit.act.notes["incident"], state, visit.who, reason
    )
    return CLOSE


async def save_severity(visit: Visit, inputs: Mapping[str, str]) -> Answer:
    """Grade the incident anew."""
    desk = visit.desk
    grade = Severity(inputs["severity"])
    await desk.workers.quick(
        desk.flows.response.change_severity, visit.act.notes["incident"], grade, visit.who
    )
    return CLOSE


async def save_role(visit: Visit, inputs: Mapping[str, str]) -> Answer:
    """Give the role."""
    await commands.give_role(visit, visit.act.notes["incident"], inputs["role"], inputs["person"])
    return CLOSE


async def nothing(_: Visit, __: Mapping[str, str]) -> Answer:
    """Close a modal that only told something."""
    return CLOSE


BUTTONS: dict[str, Press] = {
    "incident_acknowledge": acknowledge,
    "incident_command": take_command,
    "incident_contain": contain,
    "incident_more": more,
    "plan_review": containment.review,
    "plan_reject": containment.open_reject,
    "plan_withdraw": containment.withdraw,
    "plan_undo": containment.undo,
    "plan_confirm": containment.confirm,
    "run_retry": containment.decide("retry"),
    "run_skip": containment.decide("skip"),
    "run_stop": containment.decide("stop"),
    "glass_open": containment.open_glass,
    "list_next": turn_page,
    "list_previous": turn_page,
    "menu_open": turn_page,
    "menu_mine": turn_page,
    "menu_pending": show_pending,
} | {f"pick_{verb}": picked(verb) for verb in commands.VERB if verb not in WITHOUT_INCIDENT}

# Buttons that change something: for these, nothing that was remembered about the person counts.
CHANGING = frozenset(
    {
        "incident_acknowledge",
        "incident_command",
        "plan_withdraw",
        "plan_confirm",
        "run_retry",
        "run_skip",
        "run_stop",
    }
)

FORMS: dict[str, tuple[Form, Mapping[str, str]]] = {
    "contain_choose": (containment.chosen, {"": "runbook"}),
    "contain_params": (containment.filled, {}),
    "contain_propose": (containment.proposed, containment.CHECKED),
    "plan_approve": (containment.approved, containment.APPROVE),
    "plan_reject": (containment.refused, containment.REASON),
    "glass_break": (containment.glass_broken, containment.BREAK),
    "incident_note": (save_note, {"": "text"}),
    "incident_status": (save_status, {"": "state", "refused.cancel_reason": "cancel"}),
    "incident_severity": (save_severity, {"": "severity"}),
    "incident_role": (save_role, {"": "person"}),
    "told": (nothing, {}),
    "wait": (nothing, {}),
}


def listen(app: AsyncApp, desk: Desk, threads: Threads) -> None:
    """Tell Bolt what we answer to."""
    _command(app, desk)
    _mentions(app, desk, threads)
    for action_id, press in BUTTONS.items():
        _button(app, desk, action_id, press)
    for callback_id, (form, anchors) in FORMS.items():
        _form(app, desk, callback_id, form, anchors)
    _unknown(app, desk)


def _command(app: AsyncApp, desk: Desk) -> None:
    @app.command(re.compile(".*"))
    async def command(ack: Ack, body: Body) -> None:
        desk.watch.adopt_current()
        await ack()
        act = payloads.of_command(body)
        asked = parse(act.text)
        desk.serve(act, lambda visit: commands.serve(visit, asked), fresh=asked.verb not in _LOOKING)


def _mentions(app: AsyncApp, desk: Desk, threads: Threads) -> None:
    @app.event("app_mention")
    async def mention(ack: Ack, body: Body, context: Mapping[str, Any]) -> None:
        desk.watch.adopt_current()
        await ack()
        act = payloads.of_mention(body)
        asked = parse(act.text, str(context.get("bot_user_id") or ""), in_thread=bool(act.thread_ts))

        async def work(visit: Visit) -> None:
            await commands.serve(visit, await threads.implied(act, asked))

        desk.serve(act, work, fresh=asked.verb not in _LOOKING)


def _button(app: AsyncApp, desk: Desk, action_id: str, press: Press) -> None:
    @app.action(action_id)
    async def pressed(ack: Ack, body: Body) -> None:
        desk.watch.adopt_current()
        await ack()
        act = payloads.of_action(body)
        desk.serve(act, lambda visit: press(visit, act.value), fresh=action_id in CHANGING)


def _form(app: AsyncApp, desk: Desk, callback_id: str, form: Form, anchors: Mapping[str, str]) -> None:
    @app.view(callback_id)
    async def sent(ack: Ack, body: Body) -> None:
        desk.watch.adopt_current()
        inputs = payloads.inputs_of(body)
        answer = await desk.answer(payloads.of_submission(body), lambda visit: form(visit, inputs), anchors)
        await ack(**answer)


def _unknown(app: AsyncApp, desk: Desk) -> None:
    """Say so loudly when an id is not known any more: people must not think that their click worked."""

    @app.action(re.compile(".*"))
    async def action(ack: Ack, body: Body) -> None:
        desk.watch.adopt_current()
        await ack()
        act: Act = payloads.of_action(body)
        desk.serve(act, lambda visit: visit.say("chat.unknown_button", id=act.what[:80]))

    @app.view(re.compile(".*"))
    async def view(ack: Ack, body: Body) -> None:
        desk.watch.adopt_current()

        async def work(visit: Visit) -> Answer:
            raise NotFound("chat.unknown_button", id=visit.act.what[:80])

        await ack(**await desk.answer(payloads.of_submission(body), work, {}))


_LOOKING = frozenset({"list", "show", "pending", "audit", "whoami", "help"})
