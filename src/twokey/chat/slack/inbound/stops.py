"""Stopping all acting at a place, seeing where it is stopped, and letting it go on: in the chat."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.chat.slack.inbound.dispatch import CLOSE, Answer, Context
from twokey.chat.slack.views import stops as views
from twokey.core.errors import Refused

RESUME = {"": "code"}


async def stop(ctx: Context, named: str, reason: str) -> None:
    """Stop all acting at a place, and say what that means; a place that no incident knows may be mistyped."""
    flow = ctx.flows.containment.stops
    made = await ctx.pools.quick(flow.stop, named, ctx.who, reason)
    is_known = await ctx.pools.quick(flow.is_known, made.account)
    await ctx.tell(views.stopped(made, is_known, ctx.slash_command, ctx.words))


async def show(ctx: Context) -> None:
    """Show where acting is stopped, each with what lets it go on."""
    found = await ctx.pools.quick(ctx.flows.containment.stops.listed)
    names = await ctx.pools.quick(ctx.dispatcher.renderer.names)
    await ctx.tell(views.listed(found, names, ctx.words))


async def open_resume(ctx: Context, named: str) -> None:
    """Show one stop and ask for a code; a mention cannot open a form, and a code has no place in a channel."""
    if not ctx.interaction.trigger_id:
        await ctx.say("chat.stops.by_command", command=ctx.slash_command)
        return
    found, asking = await ctx.pools.quick(ctx.flows.containment.stops.to_lift, named, ctx.who)
    names = await ctx.pools.quick(ctx.dispatcher.renderer.names)
    await ctx.open(views.resume(found, asking, names, ctx.interaction.channel, ctx.words))


async def resume(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Ask for the stop that was shown to be lifted, or as the second person lift it."""
    metadata = ctx.interaction.metadata
    if not metadata.get("stop", "").isdecimal():
        raise Refused("refused.stop_changed", where=metadata.get("where", "-"))
    await ctx.pools.quick(
        ctx.flows.containment.stops.resume,
        metadata.get("where", ""),
        ctx.who,
        shown=int(metadata["stop"]),
        code=inputs.get("code", "").strip(),
    )
    return CLOSE
