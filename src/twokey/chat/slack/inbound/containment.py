"""From the button to the approval: choosing a runbook, previewing, proposing, approving, rejecting, undoing."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from twokey.chat.slack.inbound.dispatch import CLOSE, Answer, Context, show
from twokey.chat.slack.views import lists, modals
from twokey.chat.slack.views.blocks import Block, actions, button, section
from twokey.core.approvals import ApprovalStatus, approvals_needed
from twokey.core.errors import Json, Message, NotFound, TwokeyError, message
from twokey.core.runbooks import Plan, Runbook

CHECKED = {"": "checked"}
APPROVE = {
    "": "checked",
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
            await ctx.dispatcher.update_view(
                view_id, await preview(ctx, incident_id, runbook_id, given or {})
            )
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
        view = await _plan_view(ctx, plan, {"undo": plan_id})
    except TwokeyError as error:
        view = modals.alert(ctx.words, error.message, "undo")
    await ctx.dispatcher.update_view(view_id, view)


async def choose(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Preview the runbook that was chosen."""
    return show(await preview(ctx, ctx.interaction.metadata["incident"], inputs.get("runbook", ""), {}))


async def fill_in(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Preview again with the parameters that were filled in."""
    given: dict[str, Json] = {
        name.removeprefix("param:"): value for name, value in inputs.items() if name.startswith("param:")
    }
    metadata = ctx.interaction.metadata
    return show(await preview(ctx, metadata["incident"], metadata["runbook"], given))


async def preview(ctx: Context, incident_id: str, runbook_id: str, given: Mapping[str, Json]) -> Block:
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
    return await _plan_view(ctx, plan, ids)


async def propose(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Propose the plan of a preview; one that is gone is made again and must be the same."""
    plan, view = await _draft(ctx)
    if view is not None:
        return view
    await ctx.pools.quick(ctx.flows.containment.propose, plan, ctx.who, reason=inputs.get("reason", ""))
    return CLOSE


async def review(ctx: Context, plan_id: str) -> None:
    """Open the whole plan before a person who may approve it; a plan that is over says how it ended."""
    plan, person = await ctx.pools.quick(ctx.flows.containment.review, plan_id, ctx.who)
    status = await ctx.pools.quick(ctx.flows.containment.approval_status, plan_id)
    names = await ctx.pools.quick(ctx.dispatcher.renderer.names)
    await ctx.open(
        modals.approve(plan, status, names, ctx.words, viewer=person.id, channel=ctx.interaction.channel)
    )


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


async def confirm(ctx: Context, plan_id: str) -> None:
    """Confirm, as the second person, a run on one approval."""
    await ctx.pools.quick(ctx.flows.containment.confirm, plan_id, ctx.who)


def decide(decision: str) -> Callable[[Context, str], Awaitable[None]]:
    """Return the handler of a button that answers a run which stopped to ask."""

    async def answer(ctx: Context, plan_id: str) -> None:
        await ctx.pools.quick(ctx.flows.containment.decide, plan_id, ctx.who, decision)
        await ctx.dispatcher.redraw_message(ctx.interaction)

    return answer


async def open_break_glass(ctx: Context, _: str) -> None:
    """Open the break-glass form for the preview that is open."""
    plan, late = await _draft(ctx)
    if late is not None:
        await ctx.dispatcher.update_view(ctx.interaction.view_id, late["view"])
        return
    await ctx.open(modals.break_glass(plan, ctx.interaction.metadata, ctx.words))


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
    return plan, show(await _plan_view(ctx, plan, kept, message("chat.preview_changed")))


async def _plan_view(
    ctx: Context, plan: Plan, ids: Mapping[str, str], warning: Message | None = None
) -> Block:
    names = await ctx.pools.quick(ctx.dispatcher.renderer.names)
    metadata = {
        **ids,
        "draft": ctx.dispatcher.drafts.keep(plan),
        "digest": plan.digest,
        "channel": ctx.interaction.channel,
    }
    status = ApprovalStatus((), approvals_needed(plan))
    return modals.preview(plan, status, names, metadata, ctx.words, warning=warning)


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
