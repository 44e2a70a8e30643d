"""Agreeing to a plan or not: its review, the approval, the rejection, and the second person behind a run on one."""

from __future__ import annotations

from collections.abc import Mapping

from twokey.chat.slack.inbound.dispatch import CLOSE, Answer, Context
from twokey.chat.slack.inbound.showing import record
from twokey.chat.slack.views import modals
from twokey.chat.slack.views.blocks import Block
from twokey.chat.slack.views.confirm import confirm as confirming
from twokey.core.approvals import needs_signature
from twokey.core.errors import Message, Refused, TwokeyError
from twokey.core.people import Person
from twokey.core.runbooks import Plan

APPROVE = {
    "": "typed",
    "refused.typed_wrong": "typed",
    "refused.step_up_wrong": "code",
    "refused.step_up_used": "code",
    "refused.step_up_locked": "code",
}
REASON = {"": "reason"}
CONFIRM = {"": "code"}


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
        await record(ctx, plan, view_id, view, page)
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
