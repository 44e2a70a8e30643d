"""Answers to a run that asks: try again or stop with one press, pass over with a form, and by two where it writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from twokey.chat.slack.inbound.dispatch import CLOSE, Answer, Context
from twokey.chat.slack.views import decisions

ERRORS = {
    "": "checked",
    "refused.step_up_wrong": "code",
    "refused.step_up_used": "code",
    "refused.step_up_locked": "code",
}


def decide(decision: str) -> Callable[[Context, str], Awaitable[None]]:
    """Return the handler of a button that answers a run which stopped to ask."""

    async def answer(ctx: Context, plan_id: str) -> None:
        await ctx.pools.quick(ctx.flows.containment.decide, plan_id, ctx.who, decision)
        await ctx.dispatcher.redraw_message(ctx.interaction)

    return answer


async def open_skip(ctx: Context, plan_id: str) -> None:
    """Show what would stay undone before a person has a step passed over."""
    skipped = await ctx.pools.quick(ctx.flows.containment.skipping, plan_id, ctx.who)
    await ctx.open(decisions.skip(skipped.plan, skipped.step, ctx.interaction.channel, ctx.words))


async def skip(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Pass over a step that only reads; ask for it where it writes."""
    plan_id, given = ctx.interaction.metadata.get("plan", ""), inputs.get("code", "").strip()
    await ctx.pools.quick(ctx.flows.containment.decide, plan_id, ctx.who, "skip", code=given)
    return CLOSE


async def open_confirm(ctx: Context, decision_id: str) -> None:
    """Show the second person what would stay undone."""
    skipped, asked = await ctx.pools.quick(ctx.flows.containment.confirming, decision_id, ctx.who)
    names = await ctx.pools.quick(ctx.dispatcher.renderer.names)
    channel = ctx.interaction.channel
    await ctx.open(decisions.confirm_skip(skipped.plan, skipped.step, asked, names, channel, ctx.words))


async def confirm(ctx: Context, inputs: Mapping[str, str]) -> Answer:
    """Confirm exactly what the form showed."""
    decision_id, given = ctx.interaction.metadata.get("decision", ""), inputs.get("code", "").strip()
    await ctx.pools.quick(ctx.flows.containment.confirm_decision, decision_id, ctx.who, code=given)
    return CLOSE
