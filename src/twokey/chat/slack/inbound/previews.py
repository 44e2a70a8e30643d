"""From the button to the proposal: choosing a runbook, its parameters, the preview, and undoing."""

from __future__ import annotations

import json
from collections.abc import Mapping

from twokey.chat.slack.inbound.dispatch import CLOSE, Answer, Context, show
from twokey.chat.slack.inbound.showing import record
from twokey.chat.slack.views import lists, modals
from twokey.chat.slack.views.blocks import Block, actions, button, section
from twokey.core.approvals import ApprovalStatus, approvals_needed
from twokey.core.errors import Json, Message, NotFound, TwokeyError, message
from twokey.core.runbooks import Plan, Runbook

CHECKED = {"": "checked"}
PROPOSE = {
    "": "checked",
    "refused.step_up_wrong": "code",
    "refused.step_up_used": "code",
    "refused.step_up_locked": "code",
    "refused.step_up_not_set_up": "code",
}
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
    plan, view = await draft(ctx)
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


async def draft(ctx: Context) -> tuple[Plan, Answer | None]:
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
    view = await preview_view(ctx, plan, metadata, 1, warning)
    await record(ctx, plan, view_id, view, 1)
    return view


async def preview_view(
    ctx: Context, plan: Plan, metadata: Mapping[str, str], page: int, warning: Message | None = None
) -> Block:
    """Return one page of a preview."""
    names = await ctx.pools.quick(ctx.dispatcher.renderer.names)
    status = ApprovalStatus((), approvals_needed(plan))
    return modals.preview(plan, status, names, metadata, ctx.words, warning=warning, page=page)


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
