"""Turning the pages of a plan, and all its steps and documents, in whichever view it is shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twokey.chat.slack.inbound.approvals import shown
from twokey.chat.slack.inbound.breakglass import glass_view
from twokey.chat.slack.inbound.dispatch import Answer, Context
from twokey.chat.slack.inbound.previews import draft, preview_view
from twokey.chat.slack.inbound.showing import record
from twokey.chat.slack.views import modals
from twokey.core.runbooks import Plan
from twokey.core.showings import pages


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
            view = await glass_view(ctx, plan, page)
        else:
            view = await preview_view(ctx, plan, metadata, page)
        await ctx.dispatcher.update_view(view_id, view)
        # Only now: a page that Slack did not take was before nobody.
        await record(ctx, plan, view_id, view, page)

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
        return await draft(ctx)
    plan, _ = await ctx.pools.quick(
        ctx.flows.containment.review, ctx.interaction.metadata.get("plan", ""), ctx.who
    )
    return plan, None
