"""From the button to the key: choosing a runbook, looking, proposing, approving, refusing, undoing."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from twokey.chat.slack.inbound.dispatch import CLOSE, Answer, Visit, show
from twokey.chat.slack.views import lists, modals
from twokey.chat.slack.views.blocks import Block, actions, button, section
from twokey.core.approvals import Standing, keys_needed
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
    visit: Visit, incident_id: str, runbook_id: str = "", given: Mapping[str, Json] | None = None
) -> None:
    """Open the menu of runbooks, or the preview of the one that was named."""
    if not visit.act.trigger_id:
        contain = button(
            visit.words.plain("chat.button.contain"), "incident_contain", incident_id, style="danger"
        )
        await visit.tell([section(visit.words("chat.use_button")), *actions(contain)])
        return
    desk = visit.desk
    view_id = await visit.open(modals.loading(visit.words))
    try:
        if runbook_id:
            await visit.update(view_id, await previewed(visit, incident_id, runbook_id, given or {}))
            return
        incident = await desk.workers.quick(desk.flows.response.shown, incident_id)
        books = await desk.workers.quick(desk.flows.containment.suggestions, incident_id)
        await visit.update(view_id, modals.choose_runbook(incident, books, visit.act.channel, visit.words))
    except TwokeyError as error:
        await visit.update(view_id, modals.told(visit.words, error.message))


async def begin_undo(visit: Visit, incident_id: str, run: str = "") -> None:
    """Show the runs that could be taken back, or open the preview of taking back the one that was named."""
    desk = visit.desk
    incident = await desk.workers.quick(desk.flows.response.shown, incident_id)
    plans = await desk.workers.quick(_plans_of, visit, incident.id)
    named = [plan for plan in plans if run and run in (plan.id, plan.short, plan.digest)]
    if run and not named:
        raise NotFound("containment.no_such_plan", plan=run[:40])
    if not run or not visit.act.trigger_id:
        await visit.tell(lists.runs(incident.id, plans, visit.words))
        return
    await undo(visit, named[-1].id)


async def undo(visit: Visit, plan_id: str) -> None:
    """Look at what taking a run back would do."""
    view_id = await visit.open(modals.loading(visit.words))
    desk = visit.desk
    try:
        plan = await desk.workers.slow(desk.flows.containment.preview_undo, plan_id, visit.who)
        view = await _preview_view(visit, plan, {"undo": plan_id})
    except TwokeyError as error:
        view = modals.told(visit.words, error.message, "undo")
    await visit.update(view_id, view)


async def chosen(visit: Visit, inputs: Mapping[str, str]) -> Answer:
    """A runbook was chosen: look at what it would do."""
    return show(await previewed(visit, visit.act.notes["incident"], inputs.get("runbook", ""), {}))


async def filled(visit: Visit, inputs: Mapping[str, str]) -> Answer:
    """What a runbook needs was filled in: look again."""
    given: dict[str, Json] = {
        name.removeprefix("param:"): value for name, value in inputs.items() if name.startswith("param:")
    }
    notes = visit.act.notes
    return show(await previewed(visit, notes["incident"], notes["runbook"], given))


async def previewed(visit: Visit, incident_id: str, runbook_id: str, given: Mapping[str, Json]) -> Block:
    """Return the view after looking: the preview, a form for what is missing, or the reason why not."""
    desk, words = visit.desk, visit.words
    try:
        plan = await desk.workers.slow(
            desk.flows.containment.preview, incident_id, runbook_id, visit.who, given
        )
    except TwokeyError as error:
        if error.message.code in ("refused.param_missing", "plan.param_type"):
            book = await desk.workers.quick(_book, visit, incident_id, runbook_id)
            return _form(visit, incident_id, book, given, error.message)
        return modals.told(words, error.message)
    notes = {"incident": plan.incident_id, "runbook": runbook_id}
    if given:
        notes["params"] = json.dumps(dict(given), ensure_ascii=False)[:_MOST_PARAMETERS]
    return await _preview_view(visit, plan, notes)


async def proposed(visit: Visit, inputs: Mapping[str, str]) -> Answer:
    """A preview was confirmed: ask for the keys. One that is gone is made again and must be the same."""
    plan, view = await _draft(visit)
    if view is not None:
        return view
    desk = visit.desk
    await desk.workers.quick(desk.flows.containment.propose, plan, visit.who, reason=inputs.get("reason", ""))
    return CLOSE


async def review(visit: Visit, plan_id: str) -> None:
    """Open the whole plan before a person who may turn a key; a plan that is over says how it ended."""
    desk = visit.desk
    plan, person = await desk.workers.quick(desk.flows.containment.review, plan_id, visit.who)
    standing = await desk.workers.quick(desk.flows.containment.standing, plan_id)
    names = await desk.workers.quick(desk.redraw.names)
    await visit.open(
        modals.approve(plan, standing, names, visit.words, viewer=person.id, channel=visit.act.channel)
    )


async def approved(visit: Visit, inputs: Mapping[str, str]) -> Answer:
    """A key was turned on exactly the digest that the modal showed."""
    desk, notes = visit.desk, visit.act.notes
    await desk.workers.quick(
        desk.flows.containment.approve,
        notes.get("plan", ""),
        visit.who,
        digest=notes.get("digest", ""),
        typed=inputs.get("typed", ""),
        code=inputs.get("code", "").strip(),
    )
    return CLOSE


async def open_reject(visit: Visit, plan_id: str) -> None:
    """Ask for the reason of a no."""
    desk = visit.desk
    plan = await desk.workers.quick(desk.flows.containment.rejectable, plan_id, visit.who)
    await visit.open(modals.reject(plan, visit.act.channel, visit.words))


async def refused(visit: Visit, inputs: Mapping[str, str]) -> Answer:
    """Somebody said no."""
    desk = visit.desk
    await desk.workers.quick(
        desk.flows.containment.reject, visit.act.notes.get("plan", ""), visit.who, inputs.get("reason", "")
    )
    return CLOSE


async def withdraw(visit: Visit, plan_id: str) -> None:
    """Take one's own proposal back."""
    await visit.desk.workers.quick(visit.desk.flows.containment.withdraw, plan_id, visit.who)


async def confirm(visit: Visit, plan_id: str) -> None:
    """Be the second person behind a run on one key."""
    await visit.desk.workers.quick(visit.desk.flows.containment.confirm, plan_id, visit.who)


def decide(decision: str) -> Callable[[Visit, str], Awaitable[None]]:
    """Return what answers a run that stopped to ask."""

    async def answer(visit: Visit, plan_id: str) -> None:
        await visit.desk.workers.quick(visit.desk.flows.containment.decide, plan_id, visit.who, decision)
        await visit.desk.redraw_old(visit.act)

    return answer


async def open_glass(visit: Visit, _: str) -> None:
    """Open the one-person path for the preview that is being looked at."""
    plan, late = await _draft(visit)
    if late is not None:
        await visit.update(visit.act.view_id, late["view"])
        return
    await visit.open(modals.break_glass(plan, visit.act.notes, visit.words))


async def glass_broken(visit: Visit, inputs: Mapping[str, str]) -> Answer:
    """Run on one key: with code and reason, and everybody told."""
    plan, view = await _draft(visit)
    if view is not None:
        return view
    desk = visit.desk
    await desk.workers.quick(
        desk.flows.containment.break_glass,
        plan,
        visit.who,
        code=inputs.get("code", "").strip(),
        reason=inputs.get("reason", ""),
        typed=inputs.get("typed", ""),
    )
    return CLOSE


async def _draft(visit: Visit) -> tuple[Plan, Answer | None]:
    """Return the preview this view shows. One that another process made is made again: the same digest is
    the same plan; another digest is shown anew."""
    desk, notes = visit.desk, visit.act.notes
    known = desk.drafts.find(notes.get("draft", ""))
    if known is not None and known.digest == notes.get("digest"):
        return known, None
    if notes.get("undo"):
        plan = await desk.workers.slow(desk.flows.containment.preview_undo, notes["undo"], visit.who)
    else:
        given: dict[str, Json] = json.loads(notes.get("params") or "{}")
        plan = await desk.workers.slow(
            desk.flows.containment.preview,
            notes.get("incident", ""),
            notes.get("runbook", ""),
            visit.who,
            given,
        )
    if plan.digest == notes.get("digest"):
        return plan, None
    kept = {name: value for name, value in notes.items() if name in ("incident", "runbook", "params", "undo")}
    return plan, show(await _preview_view(visit, plan, kept, message("chat.preview_changed")))


async def _preview_view(
    visit: Visit, plan: Plan, notes: Mapping[str, str], warning: Message | None = None
) -> Block:
    desk = visit.desk
    names = await desk.workers.quick(desk.redraw.names)
    all_notes = {
        **notes,
        "draft": desk.drafts.keep(plan),
        "digest": plan.digest,
        "channel": visit.act.channel,
    }
    standing = Standing((), keys_needed(plan))
    return modals.preview(plan, standing, names, all_notes, visit.words, warning=warning)


def _plans_of(visit: Visit, incident_id: str) -> list[Plan]:
    with visit.desk.store.read() as look:
        return look.find(Plan, incident_id=incident_id)


def _book(visit: Visit, incident_id: str, runbook_id: str) -> Runbook:
    books = visit.desk.flows.containment.suggestions(incident_id)
    found = next((book for book in books if book.id == runbook_id), None)
    if found is None:
        raise NotFound("chat.no_such_runbook", runbook=runbook_id[:80])
    return found


def _form(
    visit: Visit, incident_id: str, book: Runbook, given: Mapping[str, Json], problem: Message
) -> Block:
    """Ask for what nothing else knows; a form that was filled in already says what was wrong with it."""
    named = problem.params.get("param", "")
    wanted = [
        param
        for param in book.params
        if param.name == named
        or param.name in given
        or (param.required and not param.source and not param.default)
    ]
    if not wanted:
        return modals.told(visit.words, problem)
    return modals.parameters(
        incident_id,
        book,
        wanted,
        visit.words,
        channel=visit.act.channel,
        problem=problem if given else None,
    )
