"""What is before a person in a view, put on record."""

from __future__ import annotations

from twokey.chat.slack.inbound.dispatch import Context
from twokey.chat.slack.views.blocks import Block
from twokey.core.runbooks import Plan


async def record(ctx: Context, plan: Plan, view_id: str, view: Block, page: int) -> None:
    """Keep what is before this person; what did not fit has nothing to agree with, and was not shown."""
    if view.get("submit"):
        await ctx.pools.quick(ctx.flows.containment.show, plan, ctx.who, view=view_id, page=page)
