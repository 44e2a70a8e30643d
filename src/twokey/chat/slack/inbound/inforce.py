"""The verb `inforce`: what is contained, who answers for it, and when it is reviewed."""

from __future__ import annotations

from twokey.chat.slack.inbound.dispatch import Context
from twokey.chat.slack.inbound.verbs import Command
from twokey.chat.slack.views.inforce import in_force
from twokey.core.people import ChatAccount


async def serve(ctx: Context, command: Command) -> None:
    """Show what is contained, or change the owner or the review of one plan's containments."""
    wanted = command.args[0].casefold() if command.args else ""
    if wanted == "owner":
        await _owner(ctx, command)
    elif wanted == "review":
        await _review(ctx, command)
    else:
        which = command.args[0] if command.args else ""
        rows = await ctx.pools.quick(ctx.flows.watch.contained, which)
        names = await ctx.pools.quick(ctx.dispatcher.renderer.names)
        await ctx.tell(in_force(rows, names, ctx.words, ctx.slash_command))


async def _owner(ctx: Context, command: Command) -> None:
    if len(command.args) < 2 or not command.user:
        await ctx.say("chat.inforce.usage", command=ctx.slash_command)
        return
    account = ChatAccount(ctx.who.account.team, command.user)
    plan = await ctx.pools.quick(ctx.flows.watch.give_owner, command.args[1], account, ctx.who)
    await ctx.say("chat.done_in_thread", incident=plan.incident_id)


async def _review(ctx: Context, command: Command) -> None:
    if len(command.args) < 3:
        await ctx.say("chat.inforce.usage", command=ctx.slash_command)
        return
    plan = await ctx.pools.quick(ctx.flows.watch.set_review, command.args[1], command.args[2], ctx.who)
    await ctx.say("chat.done_in_thread", incident=plan.incident_id)
