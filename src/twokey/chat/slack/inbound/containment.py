"""From the button to the approval: choosing a runbook, previewing, proposing, approving, rejecting, undoing."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from twokey.chat.slack.inbound.dispatch import CLOSE, Answer, Context, show
from twokey.chat.slack.views import lists, modals
from twokey.chat.slack.views.blocks import Block, actions, button, section
from twokey.chat.slack.views.confirm import confirm as confirming
from twokey.core.approvals import ApprovalStatus, approvals_needed, needs_signature
from twokey.core.errors import Json, Message, NotFound, Refused, TwokeyError, message
from twokey.core.people import Person, Role
from twokey.core.runbooks import Plan, Runbook
from twokey.core.showings import pages

CHECKED = {"": "checked"}
PROPOSE = {
    "": "checked",
    "refused.step_up_wrong": "code",
    "refused.step_up_used": "code",
    "refused.step_up_locked": "code",
    "refused.step_up_not_set_up": "code",
}
APPROVE = {
    "": "typed",
    "refused.typed_wrong": "typed",
    "refused.step_up_wrong": "code",
    "refused.step_up_used": "code",
    "refused.step_up_locked": "code",
}
BREAK = {
    "": "reason",
    "refused.typed_wrong": "typed",
    "refused.step_up_wrong": "code",
    "refused.step_up_used": "code",
    "refused.step_up_locked": "code",
}
REASON = {"": "reason"}
CONFIRM = {"": "code"}
_MOST_PARAMETERS = 2000


async def begin(
    ctx: Context, incident_id: str, runbook_id: str = "", given: Mapping[str, Json] | None = None
) -> None:
    """Open the menu of runbooks, or the preview of the one that was named."""
    if not ctx.interaction.trigger_id:
        contain = button(
            ctx.words.plain("chat.button.contain"), "incident_contain", incident_id, style="danger"
        )
        await ctx.tell([section(ctx.words("chat.use_button")), *actions(contain)])
        return
    view_id = await ctx.open(modals.loading(ctx.words))
    try:
        if runbook_id:
            view = await preview(ctx, view_id, incident_id, runbook_id, given or {})
            await ctx.dispatcher.update_view(view_id, view)
            return
        incident = await ctx.pools.quick(ctx.flows.response.shown, incident_id)
        books = await ctx.pools.quick(ctx.flows.containment.suggestions, incident_id)
        await ctx.dispatcher.update_view(
            view_id, modals.choose_runbook(incident, books, ctx.interaction.channel, ctx.words)
        )
    except TwokeyError as error:
        await ctx.dispatcher.update_view(view_id, modals.alert(ctx.words, error.message))


async def begin_undo(ctx: Context, incident_id: str, run: str = "") -> None:
    """Show the runs that could be taken back, or open the preview of taking back the one that was named."""
    incident = await ctx.pools.quick(ctx.flows.response.shown, incident_id)
    plans = await ctx.pools.quick(_plans_of, ctx, incident.id)
    named = [plan for plan in plans if run and run in (plan.id, plan.short, plan.digest)]
    if run and not named:
        raise NotFound("containment.no_such_plan", plan=run[:40])
    if not run or not ctx.interaction.trigger_id:
        await ctx.tell(lists.runs(incident.id, plans, ctx.words))
        return
    await undo(ctx, named[-1].id)


async def undo(ctx: Context, plan_id: str) -> None:
    """Open the preview of taking a run back."""
    view_id = await ctx.open(modals.loading(ctx.words))
    try:
        plan = await ctx.pools.slow(ctx.flows.containment.preview_undo, plan_id, ctx.who)
        view = await _plan_view(ctx, view_id, plan, {"undo": plan_id})
    except TwokeyError as error:
        view = modals.alert(ctx.words, error.message, "undo")
    await ctx.dispatcher.update_view(view_id, view)


async def choose(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Preview the runbook that was chosen."""
    asked = ctx.interaction
    return show(await preview(ctx, asked.view_id, asked.metadata["incident"], inputs.get("runbook", ""), {}))


async def fill_in(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Preview again with the parameters that were filled in."""
    given: dict[str, Json] = {
        name.removeprefix("param:"): value for name, value in inputs.items() if name.startswith("param:")
    }
    metadata = ctx.interaction.metadata
    view_id = ctx.interaction.view_id
    return show(await preview(ctx, view_id, metadata["incident"], metadata["runbook"], given))


async def preview(
    ctx: Context, view_id: str, incident_id: str, runbook_id: str, given: Mapping[str, Json]
) -> Block:
    """Return the next view: the preview, a form for missing parameters, or the reason why there is neither."""
    words = ctx.words
    try:
        plan = await ctx.pools.slow(ctx.flows.containment.preview, incident_id, runbook_id, ctx.who, given)
    except TwokeyError as error:
        if error.message.code in ("refused.param_missing", "plan.param_type"):
            books = await ctx.pools.quick(ctx.flows.containment.suggestions, incident_id)
            book = next((book for book in books if book.id == runbook_id), None)
            if book is None:
                raise NotFound("chat.no_such_runbook", runbook=runbook_id[:80]) from error
            return _parameter_form(ctx, incident_id, book, given, error.message)
        return modals.alert(words, error.message)
    ids = {"incident": plan.incident_id, "runbook": runbook_id}
    if given:
        ids["params"] = json.dumps(dict(given), ensure_ascii=False)[:_MOST_PARAMETERS]
    return await _plan_view(ctx, view_id, plan, ids)


async def propose(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Propose the plan of a preview; one that is gone is made again and must be the same."""
    plan, view = await _draft(ctx)
    if view is not None:
        return view
    await ctx.pools.quick(
        ctx.flows.containment.propose,
        plan,
        ctx.who,
        reason=inputs.get("reason", ""),
        code=inputs.get("code", "").strip(),
        view=ctx.interaction.view_id,
    )
    return CLOSE


async def review(ctx: Context, plan_id: str) -> None:
    """Open the whole plan before a person who may approve it; a plan that is over says how it ended."""
    await ctx.pools.quick(ctx.flows.containment.review, plan_id, ctx.who)
    # Its name comes first: what is shown in a view is on record before anybody can answer from it.
    view_id = await ctx.open(modals.loading(ctx.words))
    try:
        view = await shown(ctx, view_id, plan_id, 1)
    except TwokeyError as error:
        view = modals.alert(ctx.words, error.message, "approve")
    await ctx.dispatcher.update_view(view_id, view)


async def shown(ctx: Context, view_id: str, plan_id: str, page: int) -> Block:
    """Return a page of the form of an approval; the first is on record before it is shown, the others after."""
    plan, person = await ctx.pools.quick(ctx.flows.containment.review, plan_id, ctx.who)
    status = await ctx.pools.quick(ctx.flows.containment.approval_status, plan_id)
    names = await ctx.pools.quick(ctx.dispatcher.renderer.names)
    link, no_link = await _signing_link(ctx, plan, person)
    view = modals.approve(
        plan,
        status,
        names,
        ctx.words,
        viewer=person.id,
        channel=ctx.interaction.channel,
        link=link,
        no_link=no_link,
        page=page,
    )
    if page == 1:
        await _record(ctx, plan, view_id, view, page)
    return view


async def _signing_link(ctx: Context, plan: Plan, person: Person) -> tuple[str, Message | None]:
    """Return where this person can sign the plan; or why not, where nothing but a signature will do."""
    may_sign = needs_signature(plan) or (plan.approval.step_up and person.passkeys)
    if not may_sign or (person.id == plan.requester and not needs_signature(plan)):
        return "", None
    try:
        return await ctx.pools.quick(ctx.flows.containment.signing_link, plan.id, ctx.who), None
    except Refused as refusal:
        return "", refusal.message if needs_signature(plan) else None


async def begin_link(ctx: Context, fingerprint: str) -> None:
    """Give a link to the page on which one makes a passkey; or confirm another person's, whose digits were typed."""
    enrolling = ctx.flows.containment.enrolling
    if fingerprint:
        owner = await ctx.pools.quick(enrolling.confirm, ctx.who, fingerprint)
        await ctx.say("chat.passkey.confirmed", person=owner.name)
        return
    link = await ctx.pools.quick(enrolling.link, ctx.who)
    await ctx.tell(modals.passkey_link("add", link, ctx.words))


async def opened(_: Context, __: str) -> None:
    """Do nothing about a button that opened a page in the browser."""


async def approve(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Approve exactly the digest that the modal showed."""
    metadata = ctx.interaction.metadata
    await ctx.pools.quick(
        ctx.flows.containment.approve,
        metadata.get("plan", ""),
        ctx.who,
        digest=metadata.get("digest", ""),
        typed=inputs.get("typed", ""),
        code=inputs.get("code", "").strip(),
        view=ctx.interaction.view_id,
    )
    return CLOSE


async def open_reject(ctx: Context, plan_id: str) -> None:
    """Ask for the reason of a rejection."""
    plan = await ctx.pools.quick(ctx.flows.containment.rejectable, plan_id, ctx.who)
    await ctx.open(modals.reject(plan, ctx.interaction.channel, ctx.words))


async def reject(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Reject a plan: one rejection ends it."""
    await ctx.pools.quick(
        ctx.flows.containment.reject,
        ctx.interaction.metadata.get("plan", ""),
        ctx.who,
        inputs.get("reason", ""),
    )
    return CLOSE


async def withdraw(ctx: Context, plan_id: str) -> None:
    """Take one's own proposal back."""
    await ctx.pools.quick(ctx.flows.containment.withdraw, plan_id, ctx.who)


async def open_confirm(ctx: Context, plan_id: str) -> None:
    """Show what came of a run on one approval to a person who could confirm it."""
    plan, journal = await ctx.pools.quick(ctx.flows.containment.confirmable, plan_id, ctx.who)
    names = await ctx.pools.quick(ctx.dispatcher.renderer.names)
    await ctx.open(confirming(plan, journal, names, ctx.words, channel=ctx.interaction.channel))


async def confirm(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Confirm, as the second person and with a code, a run on one approval."""
    await ctx.pools.quick(
        ctx.flows.containment.confirm,
        ctx.interaction.metadata.get("plan", ""),
        ctx.who,
        code=inputs.get("code", "").strip(),
    )
    return CLOSE


async def open_break_glass(ctx: Context, _: str) -> None:
    """Open the break-glass form for the preview that is open."""
    plan, late = await _draft(ctx)
    if late is not None:
        await ctx.dispatcher.update_view(ctx.interaction.view_id, late["view"])
        return
    view_id = await ctx.open(modals.loading(ctx.words))
    view = await _glass_view(ctx, plan, 1)
    await _record(ctx, plan, view_id, view, 1)
    await ctx.dispatcher.update_view(view_id, view)


async def break_glass(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Run on one approval, with code and reason, and tell everybody."""
    plan, view = await _draft(ctx)
    if view is not None:
        return view
    await ctx.pools.quick(
        ctx.flows.containment.break_glass,
        plan,
        ctx.who,
        code=inputs.get("code", "").strip(),
        reason=inputs.get("reason", ""),
        typed=inputs.get("typed", ""),
        view=ctx.interaction.view_id,
    )
    return CLOSE


async def _draft(ctx: Context) -> tuple[Plan, Answer | None]:
    """Return the preview this view shows. One that another process made is made again: the same digest is
    the same plan; another digest is shown anew."""
    metadata = ctx.interaction.metadata
    known = ctx.dispatcher.drafts.find(metadata.get("draft", ""))
    if known is not None and known.digest == metadata.get("digest"):
        return known, None
    if metadata.get("undo"):
        plan = await ctx.pools.slow(ctx.flows.containment.preview_undo, metadata["undo"], ctx.who)
    else:
        given: dict[str, Json] = json.loads(metadata.get("params") or "{}")
        plan = await ctx.pools.slow(
            ctx.flows.containment.preview,
            metadata.get("incident", ""),
            metadata.get("runbook", ""),
            ctx.who,
            given,
        )
    if plan.digest == metadata.get("digest"):
        return plan, None
    kept = {
        name: value for name, value in metadata.items() if name in ("incident", "runbook", "params", "undo")
    }
    return plan, show(
        await _plan_view(ctx, ctx.interaction.view_id, plan, kept, message("chat.preview_changed"))
    )


async def _plan_view(
    ctx: Context, view_id: str, plan: Plan, ids: Mapping[str, str], warning: Message | None = None
) -> Block:
    metadata = {
        **ids,
        "draft": ctx.dispatcher.drafts.keep(plan),
        "digest": plan.digest,
        "channel": ctx.interaction.channel,
    }
    view = await _preview_view(ctx, plan, metadata, 1, warning)
    await _record(ctx, plan, view_id, view, 1)
    return view


async def _preview_view(
    ctx: Context, plan: Plan, metadata: Mapping[str, str], page: int, warning: Message | None = None
) -> Block:
    names = await ctx.pools.quick(ctx.dispatcher.renderer.names)
    status = ApprovalStatus((), approvals_needed(plan))
    return modals.preview(plan, status, names, metadata, ctx.words, warning=warning, page=page)


async def _glass_view(ctx: Context, plan: Plan, page: int) -> Block:
    names = await ctx.pools.quick(ctx.dispatcher.renderer.names)
    roster = await ctx.pools.quick(ctx.dispatcher.rosters.current)
    told = [
        person.name
        for person in roster.holding((Role.APPROVER, Role.COMMANDER), plan.target.account)
        if person.id != plan.requester
    ]
    return modals.break_glass(plan, ctx.interaction.metadata, ctx.words, name=names, told=told, page=page)


async def _record(ctx: Context, plan: Plan, view_id: str, view: Block, page: int) -> None:
    """Keep what is before this person; what did not fit has nothing to agree with, and was not shown."""
    if view.get("submit"):
        await ctx.pools.quick(ctx.flows.containment.show, plan, ctx.who, view=view_id, page=page)


def turn_page(kind: str) -> Callable[[Context, str], Awaitable[None]]:
    """Return the handler of the buttons that show another page in the place of this one."""

    async def turn(ctx: Context, value: str) -> None:
        view_id, metadata = ctx.interaction.view_id, ctx.interaction.metadata
        plan, late = await _seen(ctx, kind)
        if late is not None:
            await ctx.dispatcher.update_view(view_id, late["view"])
            return
        page = min(max(int(value), 1), len(pages(plan))) if value.isdecimal() else 1
        if kind == "plan":
            view = await shown(ctx, view_id, plan.id, page)
        elif kind == "glass":
            view = await _glass_view(ctx, plan, page)
        else:
            view = await _preview_view(ctx, plan, metadata, page)
        await ctx.dispatcher.update_view(view_id, view)
        # Only now: a page that Slack did not take was before nobody.
        await _record(ctx, plan, view_id, view, page)

    return turn


def open_details(kind: str) -> Callable[[Context, str], Awaitable[None]]:
    """Return the handler of the button that shows all steps and documents on top of a view."""

    async def show_all(ctx: Context, _: str) -> None:
        plan, late = await _seen(ctx, kind)
        if late is not None:
            await ctx.dispatcher.update_view(ctx.interaction.view_id, late["view"])
            return
        ids = {**ctx.interaction.metadata, "kind": kind}
        await ctx.open(modals.details_of(plan, ctx.words, ids))
        view_id = ctx.interaction.view_id
        await ctx.pools.quick(ctx.flows.containment.show_details, plan, ctx.who, view=view_id)

    return show_all


async def turn_details(ctx: Context, value: str) -> None:
    """Show another page of all steps and documents."""
    metadata = ctx.interaction.metadata
    plan, late = await _seen(ctx, metadata.get("kind", ""))
    page = int(value) if value.isdecimal() and len(value) < 5 else 1
    view = late["view"] if late is not None else modals.details_of(plan, ctx.words, metadata, page=page)
    await ctx.dispatcher.update_view(ctx.interaction.view_id, view)


async def _seen(ctx: Context, kind: str) -> tuple[Plan, Answer | None]:
    """Return the plan that a view shows: one that waits, or a preview."""
    if kind != "plan":
        return await _draft(ctx)
    plan, _ = await ctx.pools.quick(
        ctx.flows.containment.review, ctx.interaction.metadata.get("plan", ""), ctx.who
    )
    return plan, None


def _plans_of(ctx: Context, incident_id: str) -> list[Plan]:
    with ctx.dispatcher.store.read() as look:
        return look.find(Plan, incident_id=incident_id)


def _parameter_form(
    ctx: Context, incident_id: str, book: Runbook, given: Mapping[str, Json], problem: Message
) -> Block:
    """Ask for what nothing else knows; a form that was filled in already says what was wrong with it."""
    named = problem.params.get("param", "")
    wanted = [
        param
        for param in book.params
        if (
            param.name == named
            or param.name in given
            or (param.required and not param.source and not param.default)
        )
        and (param.may_override or not param.source.startswith("config."))
    ]
    if not wanted:
        return modals.alert(ctx.words, problem)
    return modals.parameters(
        incident_id,
        book,
        wanted,
        ctx.words,
        channel=ctx.interaction.channel,
        problem=problem if given else None,
    )
