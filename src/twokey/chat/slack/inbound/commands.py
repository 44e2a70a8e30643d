"""The verbs, typed after the command or after the bot's name in a thread; buttons and menus end here too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twokey.chat.slack.inbound import containment
from twokey.chat.slack.inbound.dispatch import Visit
from twokey.chat.slack.inbound.parsing import VERBS, WITHOUT_INCIDENT, Asked
from twokey.chat.slack.views import lists, modals
from twokey.chat.slack.views.cards import incident_card
from twokey.core.errors import Refused
from twokey.core.incidents import CANCEL_REASONS, Severity, State
from twokey.core.people import ChatAccount, acting
from twokey.core.responsibility import Label
from twokey.words import LANGUAGES

Verb = Callable[[Visit, Asked], Awaitable[None]]
FREE = frozenset({"help", "whoami"})
"""What may be asked without being on the roster: everything else is for the responders only."""


async def serve(visit: Visit, asked: Asked) -> None:
    """Do what was asked, or ask back for what is missing."""
    verb = VERB.get(asked.verb)
    if verb is None:
        code = "chat.unknown_verb_near" if asked.guess else "chat.unknown_verb"
        await visit.say(code, verb=asked.verb[:40], guess=asked.guess, command=visit.desk.options.command)
        return
    if asked.verb not in FREE:
        await visit.desk.workers.quick(visit.desk.flows.response.whoami, visit.who)
    if asked.verb not in WITHOUT_INCIDENT and not asked.incident:
        await pick(visit, asked.verb)
        return
    await verb(visit, asked)


async def pick(visit: Visit, verb: str) -> None:
    """Show the latest incidents for a verb that was given none."""
    found, _ = await visit.desk.workers.quick(visit.desk.flows.response.listed, "all", size=lists.PICKED)
    usage = f"{visit.desk.options.command} {VERBS[verb]}"
    await visit.tell(lists.pick_incident(found, verb, usage, visit.words))


async def list_(visit: Visit, asked: Asked) -> None:
    """Show one page of incidents."""
    args = asked.args or ("open",)
    which = "open" if args[0].isdigit() else args[0].casefold()
    page = next((int(arg) for arg in args if arg.isascii() and arg.isdigit() and len(arg) < 6), 1)
    await show_list(visit, which, max(page, 1))


async def show_list(visit: Visit, which: str, page: int, *, replace: bool = False) -> None:
    """Show a page of a list, in the place of the page before it."""
    desk = visit.desk
    found, total = await desk.workers.quick(
        desk.flows.response.listed, which, who=visit.who, page=page, size=lists.PAGE
    )
    names = await desk.workers.quick(desk.redraw.names)
    await visit.tell(
        lists.incidents(found, total, names, visit.words, which=which, page=page), replace=replace
    )


async def show(visit: Visit, asked: Asked) -> None:
    """Show an incident's card to one person."""
    desk = visit.desk
    incident = await desk.workers.quick(desk.flows.response.shown, asked.incident)
    names = await desk.workers.quick(desk.redraw.names)
    await visit.tell(incident_card(incident, names, visit.words))


async def ack(visit: Visit, asked: Asked) -> None:
    """Say that one is on it."""
    desk = visit.desk
    before = await desk.workers.quick(desk.flows.response.shown, asked.incident)
    await desk.workers.quick(desk.flows.response.acknowledge, asked.incident, visit.who)
    code = "chat.acked_before" if before.times.acked else "chat.acked"
    await visit.say(code, incident=before.id)


async def role(visit: Visit, asked: Asked) -> None:
    """Give a role to a person."""
    named = asked.args[0].casefold() if asked.args else ""
    if not named or not asked.user:
        await visit.say("chat.role_usage", command=visit.desk.options.command)
        return
    await give_role(visit, asked.incident, named, asked.user)


async def give_role(visit: Visit, incident_id: str, named: str, user: str) -> None:
    """Give a role to the person behind an account of this workspace."""
    account = ChatAccount(visit.who.account.team, user)
    desk = visit.desk
    incident = await desk.workers.quick(desk.flows.response.assign, incident_id, named, account, visit.who)
    await visit.say("chat.done_in_thread", incident=incident.id)


async def note(visit: Visit, asked: Asked) -> None:
    """Write a line into the timeline."""
    if not asked.rest:
        await form(visit, asked.incident, "note")
        return
    desk = visit.desk
    incident = await desk.workers.quick(desk.flows.response.note, asked.incident, asked.rest, visit.who)
    await visit.say("chat.done_in_thread", incident=incident.id)


async def status(visit: Visit, asked: Asked) -> None:
    """Move an incident on."""
    if not asked.args:
        await form(visit, asked.incident, "status")
        return
    wanted = asked.args[0].casefold()
    if wanted not in {state.value for state in State}:
        legal = ", ".join(state.value for state in State)
        await visit.say("chat.no_such_state", state=wanted[:40], legal=legal)
        return
    await move(visit, asked.incident, State(wanted), " ".join(asked.args[1:]))


async def resolve(visit: Visit, asked: Asked) -> None:
    """Say that it is over."""
    await move(visit, asked.incident, State.RESOLVED, asked.rest)


async def cancel(visit: Visit, asked: Asked) -> None:
    """Say that it was nothing; the reason is one of a list."""
    reason = asked.args[0].casefold() if asked.args else ""
    if reason not in CANCEL_REASONS:
        await visit.say(
            "chat.cancel_usage", command=visit.desk.options.command, legal=", ".join(CANCEL_REASONS)
        )
        return
    await move(visit, asked.incident, State.CANCELLED, reason)


async def move(visit: Visit, incident_id: str, state: State, reason: str) -> None:
    """Move an incident to a state."""
    desk = visit.desk
    incident = await desk.workers.quick(
        desk.flows.response.change_state, incident_id, state, visit.who, reason[:2000]
    )
    await visit.say("chat.done_in_thread", incident=incident.id)


async def severity(visit: Visit, asked: Asked) -> None:
    """Grade an incident anew."""
    if not asked.args:
        await form(visit, asked.incident, "severity")
        return
    wanted = "SEV" + asked.args[0].upper().removeprefix("SEV").removeprefix("-")
    if wanted not in {grade.value for grade in Severity}:
        await visit.say("chat.no_such_severity", severity=asked.args[0][:40])
        return
    desk = visit.desk
    incident = await desk.workers.quick(
        desk.flows.response.change_severity, asked.incident, Severity(wanted), visit.who
    )
    await visit.say("chat.done_in_thread", incident=incident.id)


async def classify(visit: Visit, asked: Asked) -> None:
    """Say whose side it is on, against the rule's verdict, and why."""
    label, _, reason = asked.rest.partition(" ")
    if not label:
        await visit.say("chat.classify_usage", command=visit.desk.options.command, legal=", ".join(Label))
        return
    desk = visit.desk
    incident = await desk.workers.quick(
        desk.flows.response.classify, asked.incident, label.casefold(), reason, visit.who
    )
    await visit.say("chat.done_in_thread", incident=incident.id)


async def contain(visit: Visit, asked: Asked) -> None:
    """Begin a containment: choose a runbook, or look at the one that was named, with `name=value` parameters."""
    pairs = [word.partition("=") for word in asked.args[1:]]
    for name, equals, _ in pairs:
        if not equals:
            raise Refused("chat.parameter_form", text=name[:80])
    given = {name: value for name, _, value in pairs}
    await containment.begin(visit, asked.incident, asked.args[0] if asked.args else "", given)


async def pending(visit: Visit, _: Asked) -> None:
    """Show the plans on which one could turn a key."""
    desk = visit.desk
    plans = await desk.workers.quick(desk.flows.containment.pending, visit.who)
    names = await desk.workers.quick(desk.redraw.names)
    await visit.tell(lists.pending(plans, names, visit.words))


async def undo(visit: Visit, asked: Asked) -> None:
    """Begin an undo: choose the run, or look at the one that was named."""
    await containment.begin_undo(visit, asked.incident, asked.args[0] if asked.args else "")


async def audit(visit: Visit, asked: Asked) -> None:
    """Show an incident's audit trail."""
    desk = visit.desk
    incident = await desk.workers.quick(desk.flows.response.shown, asked.incident)
    entries = await desk.workers.quick(desk.flows.response.timeline, asked.incident)
    names = await desk.workers.quick(desk.redraw.names)
    await visit.tell(lists.timeline(incident, entries, names, visit.words))


async def postmortem(visit: Visit, asked: Asked) -> None:
    """Show an incident's post-mortem as it would be drafted now, draft it, or publish what was drafted."""
    desk, words = visit.desk, visit.words
    review = desk.flows.review
    person = await desk.workers.quick(desk.flows.response.whoami, visit.who)
    incident = await desk.workers.quick(desk.flows.response.shown, asked.incident)
    wanted = asked.args[0].casefold() if asked.args else "preview"
    audience = "public" if "public" in asked.args else "internal"
    language = next((word for word in asked.args if word in LANGUAGES), words.language)
    if wanted == "preview":
        text = await desk.workers.slow(review.preview, incident.id, language, audience)
        command = desk.options.command
        await visit.tell(lists.postmortem(incident.id, text, command, words))
    elif wanted == "draft":
        await desk.workers.slow(review.draft, incident.id, acting(person, visit.who.account))
        await visit.say("chat.done_in_thread", incident=incident.id)
    elif wanted == "publish":
        made = await desk.workers.slow(review.publish, incident.id, language, audience, visit.who)
        await visit.say("chat.postmortem.published", incident=incident.id, place=made.published_to)
    else:
        await visit.say("chat.postmortem.usage", command=desk.options.command)


async def whoami(visit: Visit, _: Asked) -> None:
    """Show what the roster says about oneself."""
    person = await visit.desk.workers.quick(visit.desk.flows.response.whoami, visit.who)
    await visit.tell(lists.whoami(person, visit.words))


async def help_(visit: Visit, _: Asked) -> None:
    """Show the menu."""
    await visit.tell(lists.help_page(visit.desk.options.command, visit.words))


async def form(visit: Visit, incident_id: str, name: str) -> None:
    """Open a small form; without a trigger (a mention), say what to type instead."""
    desk, words, channel = visit.desk, visit.words, visit.act.channel
    incident = await desk.workers.quick(desk.flows.response.shown, incident_id)
    if not visit.act.trigger_id:
        await visit.say("chat.type_it", usage=VERBS[name].replace("INC-12 ", ""))
        return
    views = {
        "note": lambda: modals.note(incident.id, channel, words),
        "status": lambda: modals.change_state(incident, channel, words),
        "severity": lambda: modals.change_severity(incident, channel, words),
        "role": lambda: modals.give_role(incident.id, channel, words),
    }
    await visit.open(views[name]())


VERB: dict[str, Verb] = {
    "list": list_,
    "show": show,
    "ack": ack,
    "role": role,
    "note": note,
    "status": status,
    "resolve": resolve,
    "cancel": cancel,
    "severity": severity,
    "classify": classify,
    "contain": contain,
    "pending": pending,
    "undo": undo,
    "audit": audit,
    "postmortem": postmortem,
    "whoami": whoami,
    "help": help_,
}
