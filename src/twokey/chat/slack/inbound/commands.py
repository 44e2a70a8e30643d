"""The verbs, typed after the command or after the bot's name in a thread; buttons and menus end here too.

A new verb is a function and a row of `VERBS`, with its words in both languages and its row in the reference."""

from __future__ import annotations

from twokey.chat.slack.inbound import approvals, inforce, previews, stops
from twokey.chat.slack.inbound.dispatch import Context
from twokey.chat.slack.inbound.verbs import Command, Verb
from twokey.chat.slack.views import lists, modals
from twokey.core.errors import Refused
from twokey.core.incidents import CANCEL_REASONS, Severity, State
from twokey.core.people import ChatAccount, acting
from twokey.core.responsibility import Label
from twokey.core.texts import LANGUAGES


async def serve(ctx: Context, command: Command) -> None:
    """Do what was asked, or ask back for what is missing."""
    verb = VERBS.get(command.verb)
    if verb is None:
        code = "chat.unknown_verb_near" if command.guess else "chat.unknown_verb"
        await ctx.say(code, verb=command.verb[:40], guess=command.guess, command=ctx.slash_command)
        return
    if not verb.is_free:
        await ctx.pools.quick(ctx.flows.response.whoami, ctx.who)
    if verb.needs_incident and not command.incident:
        found, _ = await ctx.pools.quick(ctx.flows.response.listed, "all", size=lists.PICKED)
        usage = f"{ctx.slash_command} {verb.usage}"
        await ctx.tell(lists.pick_incident(found, verb.name, usage, ctx.words))
        return
    await verb.serve(ctx, command)


def may_change(command: Command) -> bool:
    """Say whether a command may change something: then nothing that was remembered about the person counts."""
    verb = VERBS.get(command.verb)
    return verb is None or not verb.only_looks


async def list_(ctx: Context, command: Command) -> None:
    """Show one page of incidents."""
    args = command.args or ("open",)
    which = "open" if args[0].isdigit() else args[0].casefold()
    page = next((int(arg) for arg in args if arg.isascii() and arg.isdigit() and len(arg) < 6), 1)
    await show_list(ctx, which, max(page, 1))


async def show_list(ctx: Context, which: str, page: int, *, replace: bool = False) -> None:
    """Show a page of a list, in the place of the page before it."""
    found, total = await ctx.pools.quick(
        ctx.flows.response.listed, which, who=ctx.who, page=page, size=lists.PAGE
    )
    names = await ctx.pools.quick(ctx.dispatcher.renderer.names)
    await ctx.tell(lists.incidents(found, total, names, ctx.words, which=which, page=page), replace=replace)


async def show(ctx: Context, command: Command) -> None:
    """Show an incident's card to one person."""
    incident = await ctx.pools.quick(ctx.flows.response.shown, command.incident)
    await ctx.tell(await ctx.pools.quick(ctx.dispatcher.renderer.incident_card, incident, ctx.words))


async def ack(ctx: Context, command: Command) -> None:
    """Say that one is on it."""
    before = await ctx.pools.quick(ctx.flows.response.shown, command.incident)
    await ctx.pools.quick(ctx.flows.response.acknowledge, command.incident, ctx.who)
    code = "chat.acked_before" if before.times.acked else "chat.acked"
    await ctx.say(code, incident=before.id)


async def role(ctx: Context, command: Command) -> None:
    """Give a role to a person."""
    named = command.args[0].casefold() if command.args else ""
    if not named or not command.user:
        await ctx.say("chat.role_usage", command=ctx.slash_command)
        return
    await give_role(ctx, command.incident, named, command.user)


async def give_role(ctx: Context, incident_id: str, named: str, user: str) -> None:
    """Give a role to the person behind an account of this workspace."""
    account = ChatAccount(ctx.who.account.team, user)
    incident = await ctx.pools.quick(ctx.flows.response.assign, incident_id, named, account, ctx.who)
    await ctx.say("chat.done_in_thread", incident=incident.id)


async def note(ctx: Context, command: Command) -> None:
    """Write a line into the timeline."""
    if not command.rest:
        await form(ctx, command.incident, "note")
        return
    incident = await ctx.pools.quick(ctx.flows.response.note, command.incident, command.rest, ctx.who)
    await ctx.say("chat.done_in_thread", incident=incident.id)


async def status(ctx: Context, command: Command) -> None:
    """Move an incident on."""
    if not command.args:
        await form(ctx, command.incident, "status")
        return
    wanted = command.args[0].casefold()
    if wanted not in {state.value for state in State}:
        legal = ", ".join(state.value for state in State)
        await ctx.say("chat.no_such_state", state=wanted[:40], legal=legal)
        return
    await move(ctx, command.incident, State(wanted), " ".join(command.args[1:]))


async def resolve(ctx: Context, command: Command) -> None:
    """Say that it is over."""
    await move(ctx, command.incident, State.RESOLVED, command.rest)


async def cancel(ctx: Context, command: Command) -> None:
    """Say that it was nothing; the reason is one of a list."""
    reason = command.args[0].casefold() if command.args else ""
    if reason not in CANCEL_REASONS:
        await ctx.say("chat.cancel_usage", command=ctx.slash_command, legal=", ".join(CANCEL_REASONS))
        return
    await move(ctx, command.incident, State.CANCELLED, reason)


async def move(ctx: Context, incident_id: str, state: State, reason: str) -> None:
    """Move an incident to a state."""
    incident = await ctx.pools.quick(
        ctx.flows.response.change_state, incident_id, state, ctx.who, reason[:2000]
    )
    await ctx.say("chat.done_in_thread", incident=incident.id)


async def severity(ctx: Context, command: Command) -> None:
    """Grade an incident anew."""
    if not command.args:
        await form(ctx, command.incident, "severity")
        return
    wanted = "SEV" + command.args[0].upper().removeprefix("SEV").removeprefix("-")
    if wanted not in {grade.value for grade in Severity}:
        await ctx.say("chat.no_such_severity", severity=command.args[0][:40])
        return
    incident = await ctx.pools.quick(
        ctx.flows.response.change_severity, command.incident, Severity(wanted), ctx.who
    )
    await ctx.say("chat.done_in_thread", incident=incident.id)


async def classify(ctx: Context, command: Command) -> None:
    """Say whose side it is on, against the rule's verdict, and why."""
    label, _, reason = command.rest.partition(" ")
    if not label:
        await ctx.say("chat.classify_usage", command=ctx.slash_command, legal=", ".join(Label))
        return
    incident = await ctx.pools.quick(
        ctx.flows.response.classify, command.incident, label.casefold(), reason, ctx.who
    )
    await ctx.say("chat.done_in_thread", incident=incident.id)


async def contain(ctx: Context, command: Command) -> None:
    """Begin a containment: choose a runbook, or look at the one that was named, with `name=value` parameters."""
    pairs = [word.partition("=") for word in command.args[1:]]
    for name, equals, _ in pairs:
        if not equals:
            raise Refused("chat.parameter_form", text=name[:80])
    given = {name: value for name, _, value in pairs}
    await previews.begin(ctx, command.incident, command.args[0] if command.args else "", given)


async def pending(ctx: Context, _: Command) -> None:
    """Show the plans that one could approve."""
    plans = await ctx.pools.quick(ctx.flows.containment.pending, ctx.who)
    names = await ctx.pools.quick(ctx.dispatcher.renderer.names)
    await ctx.tell(lists.pending(plans, names, ctx.words))


async def undo(ctx: Context, command: Command) -> None:
    """Begin an undo: choose the run, or look at the one that was named."""
    await previews.begin_undo(ctx, command.incident, command.args[0] if command.args else "")


async def stop(ctx: Context, command: Command) -> None:
    """Stop all acting in an account, or everywhere."""
    named, _, reason = command.rest.partition(" ")
    if not reason.strip():
        await ctx.say("chat.stops.usage", command=ctx.slash_command)
        return
    await stops.stop(ctx, named, reason)


async def resume(ctx: Context, command: Command) -> None:
    """Begin to let acting go on: two people each do this."""
    if not command.args:
        await stops.show(ctx)
        return
    await stops.open_resume(ctx, command.args[0])


async def list_stops(ctx: Context, _: Command) -> None:
    """Show where acting is stopped."""
    await stops.show(ctx)


async def audit(ctx: Context, command: Command) -> None:
    """Show an incident's audit trail."""
    incident = await ctx.pools.quick(ctx.flows.response.shown, command.incident)
    entries = await ctx.pools.quick(ctx.flows.response.timeline, command.incident)
    names = await ctx.pools.quick(ctx.dispatcher.renderer.names)
    await ctx.tell(lists.timeline(incident, entries, names, ctx.words))


async def postmortem(ctx: Context, command: Command) -> None:
    """Show an incident's post-mortem as it would be drafted now, draft it, or publish what was drafted."""
    words = ctx.words
    review = ctx.flows.review
    person = await ctx.pools.quick(ctx.flows.response.whoami, ctx.who)
    incident = await ctx.pools.quick(ctx.flows.response.shown, command.incident)
    wanted = command.args[0].casefold() if command.args else "preview"
    audience = "public" if "public" in command.args else "internal"
    language = next((word for word in command.args if word in LANGUAGES), words.language)
    if wanted == "preview":
        text = await ctx.pools.slow(review.preview, incident.id, language, audience)
        await ctx.tell(lists.postmortem(incident.id, text, ctx.slash_command, words))
    elif wanted == "draft":
        await ctx.pools.slow(review.draft, incident.id, acting(person, ctx.who.account))
        await ctx.say("chat.done_in_thread", incident=incident.id)
    elif wanted == "publish":
        made = await ctx.pools.slow(review.publish, incident.id, language, audience, ctx.who)
        await ctx.say("chat.postmortem.published", incident=incident.id, place=made.published_to)
    else:
        await ctx.say("chat.postmortem.usage", command=ctx.slash_command)


async def whoami(ctx: Context, _: Command) -> None:
    """Show what the roster says about oneself."""
    person = await ctx.pools.quick(ctx.flows.response.whoami, ctx.who)
    await ctx.tell(lists.whoami(person, ctx.words))


async def link(ctx: Context, command: Command) -> None:
    """Make a passkey for oneself, or confirm another person's by its fingerprint."""
    await approvals.begin_link(ctx, command.args[0] if command.args else "")


async def help_(ctx: Context, _: Command) -> None:
    """Show the menu."""
    await ctx.tell(lists.help_page(ctx.slash_command, ctx.words))


async def form(ctx: Context, incident_id: str, name: str) -> None:
    """Open a small form; without a trigger (a mention), say what to type instead."""
    words, channel = ctx.words, ctx.interaction.channel
    incident = await ctx.pools.quick(ctx.flows.response.shown, incident_id)
    if not ctx.interaction.trigger_id:
        await ctx.say("chat.type_it", usage=VERBS[name].usage.replace("INC-12 ", ""))
        return
    views = {
        "note": lambda: modals.note(incident.id, channel, words),
        "status": lambda: modals.change_state(incident, channel, words),
        "severity": lambda: modals.change_severity(incident, channel, words),
        "role": lambda: modals.give_role(incident.id, channel, words),
    }
    await ctx.open(views[name]())


VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb(
            "list",
            "list [open|mine|stale|all] [page]",
            list_,
            ("ls",),
            needs_incident=False,
            only_looks=True,
        ),
        Verb("show", "show INC-12", show, ("info",), only_looks=True),
        Verb("ack", "ack INC-12", ack, ("acknowledge",)),
        Verb("role", "role INC-12 <ic|scribe|comms> @user", role, ("roles",)),
        Verb("note", "note INC-12 <text>", note, ("timeline",), takes_number=True),
        Verb("status", "status INC-12 <state>", status, ("state",)),
        Verb("resolve", "resolve INC-12", resolve),
        Verb("cancel", "cancel INC-12 <reason>", cancel),
        Verb("severity", "severity INC-12 <SEV1..SEV4>", severity, ("sev",), takes_number=True),
        Verb("classify", "classify INC-12 <label> <reason>", classify, ("reclassify",)),
        Verb("contain", "contain INC-12 [runbook] [name=value]", contain),
        Verb("pending", "pending", pending, needs_incident=False, only_looks=True),
        Verb("undo", "undo INC-12 [run]", undo),
        Verb("stop", "stop <account|all> <reason>", stop, needs_incident=False),
        Verb("resume", "resume <account|all>", resume, needs_incident=False),
        Verb("stops", "stops", list_stops, needs_incident=False, only_looks=True),
        Verb(
            "inforce",
            "inforce [incident|account] | owner <run> @user | review <run> <day>",
            inforce.serve,
            ("in-force",),
            needs_incident=False,
        ),
        Verb("audit", "audit INC-12", audit, only_looks=True),
        Verb("postmortem", "postmortem INC-12 [preview|draft|publish] [public]", postmortem, ("pm",)),
        Verb("whoami", "whoami", whoami, needs_incident=False, is_free=True, only_looks=True),
        Verb("link", "link [fingerprint]", link, ("passkey",), needs_incident=False),
        Verb("help", "help", help_, ("menu", "?"), needs_incident=False, is_free=True, only_looks=True),
    )
}
