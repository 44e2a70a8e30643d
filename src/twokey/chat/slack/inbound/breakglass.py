"""Breaking glass: the form of a run on one approval."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.chat.slack.inbound.dispatch import CLOSE, Answer, Context
from twokey.chat.slack.inbound.previews import draft
from twokey.chat.slack.inbound.showing import record
from twokey.chat.slack.views import modals
from twokey.chat.slack.views.blocks import Block
from twokey.core.people import Role
from twokey.core.runbooks import Plan

BREAK = {
    "": "reason",
    "refused.typed_wrong": "typed",
    "refused.step_up_wrong": "code",
    "refused.step_up_used": "code",
    "refused.step_up_locked": "code",
}


async def open_break_glass(ctx: Context, _: str) -> None:
    """Open the break-glass form for the preview that is open."""
    plan, late = await draft(ctx)
    if late is not None:
        await ctx.dispatcher.update_view(ctx.interaction.view_id, late["view"])
        return
    view_id = await ctx.open(modals.loading(ctx.words))
    view = await glass_view(ctx, plan, 1)
    await record(ctx, plan, view_id, view, 1)
    await ctx.dispatcher.update_view(view_id, view)


async def break_glass(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Run on one approval, with code and reason, and tell everybody."""
    plan, view = await draft(ctx)
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


async def glass_view(ctx: Context, plan: Plan, page: int) -> Block:
    """Return one page of the form, with the names of those who will be told."""
    names = await ctx.pools.quick(ctx.dispatcher.renderer.names)
    roster = await ctx.pools.quick(ctx.dispatcher.rosters.current)
    told = [
        person.name
        for person in roster.holding((Role.APPROVER, Role.COMMANDER), plan.target.account)
        if person.id != plan.requester
    ]
    return modals.break_glass(plan, ctx.interaction.metadata, ctx.words, name=names, told=told, page=page)
