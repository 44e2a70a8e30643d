"""The view in which people agree to a plan: what to know first, then where, what and why; steps behind a click.

Everything here comes from the plan, never from a finding's text. Nothing is left out: what is more, is a page more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from twokey.chat.slack.views.blocks import Block, actions, button, fields, section, sections
from twokey.chat.slack.views.cards import Names
from twokey.chat.slack.views.text import WHOLE, Words, code, shown, when
from twokey.core.approvals import ApprovalStatus, expires_after_s
from twokey.core.errors import message
from twokey.core.runbooks import Plan, Provenance, Touch
from twokey.core.showings import PER_PAGE, Warned, pages

_TOLD = (Provenance.PERSON, Provenance.CONFIG)  # what the incident says is in the targets
RISKS = {"low": "\U0001f7e2", "medium": "\U0001f7e1", "high": "\U0001f7e0", "critical": "\U0001f534"}


def overview(
    plan: Plan, status: ApprovalStatus, name: Names, words: Words, *, kind: str, page: int = 1
) -> list[Block]:
    """Return one page of what must be seen of a plan; `kind` names the view to its buttons."""
    every = pages(plan)
    seen = every[page - 1]
    blocks = warnings(plan, seen.warnings, words)
    if page == 1:
        risk = f"{RISKS[plan.risk.value]} {words(f'chat.risk.{plan.risk.value}')}"
        blocks.append(section(f"*{shown(plan.title, 300)}*  ·  {risk}"))
        if plan.undo_of:
            blocks.append(section(words("chat.plan.is_undo")))
        blocks += fields(_essentials(plan, words))
        blocks += params(plan, name, words, _TOLD)
    blocks += _targets(plan, seen.touches, page, words)
    if page == 1:
        blocks += why(plan, name, words)
    blocks.append(_extent(plan, status, name, words, kind))
    if len(every) > 1:
        blocks.append(section(words("chat.plan.page", page=page, pages=len(every))))
        blocks += actions(*page_buttons(f"{kind}_page", page, len(every), words), block_id="pages")
    return blocks


def warnings(plan: Plan, warned: Sequence[Warned], words: Words) -> list[Block]:
    """Return what must be read first, whole; what holds for every target does not name them twice."""
    blocks: list[Block] = []
    targets = {touch.id for touch in plan.touches}
    for one in warned:
        text = "\u26a0\ufe0f " + words.whole(one.message)
        if one.others and len(one.others) + 1 == len(targets) and targets.issuperset(one.others):
            text += f"\n{words('chat.plan.same_for_all', count=len(targets))}"
        elif one.others:
            also = ", ".join(code(other, WHOLE) for other in one.others)
            text += f"\n{words('chat.plan.same_for')} {also}"
        blocks += sections(text)
    return blocks


def why(plan: Plan, name: Names, words: Words) -> list[Block]:
    """Return the proposer's reason as a quotation; a preview has none yet."""
    if not plan.why:
        return []
    quoted = words.whole(message("chat.plan.quoted", reason=plan.why))
    return sections(f"{words('chat.plan.reason_of', person=name(plan.requester))} {quoted}")


def touched(plan: Plan, words: Words) -> str:
    """Return how many things of which kind a plan touches."""
    counts = Counter(touch.kind for touch in plan.touches)
    said = ", ".join(f"{count} \u00d7 {touch_kind(kind, words)}" for kind, count in counts.items())
    return said or words("chat.plan.no_targets")


def touch_kind(kind: str, words: Words) -> str:
    """Return the words for a kind of thing."""
    known = f"chat.touch.{kind.replace('_', '-').removesuffix('s')}"
    return words(known) if words.has(known) else shown(kind, 40)


def touch_lines(touches: Sequence[Touch], words: Words) -> list[str]:
    """Return the exact ids of what would be touched, as the cloud itself gave them: a line for each kind."""
    by_kind: dict[str, list[str]] = {}
    for touch in touches:
        named = f" ({shown(touch.name, WHOLE)})" if touch.name and touch.name != touch.id else ""
        there = by_kind.setdefault(touch_kind(touch.kind, words), [])
        there.append(code(touch.id, WHOLE, words.language) + named)
    return [f"\u2022 {kind} {', '.join(ids)}" for kind, ids in by_kind.items()]


def account_of(plan: Plan) -> str:
    """Return the account with its name where the plan read one, and the region."""
    names = [touch.name for touch in plan.touches if touch.id == plan.target.account and touch.name]
    names += [
        str(seen["account_name"])
        for seen in plan.shown.values()
        if isinstance(seen, dict) and "account_name" in seen
    ]
    named = next(iter(names), "")
    parts = [code(plan.target.account, 80), shown(named, 80), shown(plan.target.region, 40)]
    return " ".join(part for part in parts if part)


def approvals_of(status: ApprovalStatus, name: Names, words: Words) -> str:
    """Return how many have agreed, and who."""
    people = ", ".join(shown(name(person), 60) for person in status.people)
    count = words("chat.plan.approvals", there=len(status.people), needed=status.needed)
    return f"{count}: {people}" if people else count


def page_buttons(action: str, page: int, count: int, words: Words) -> list[Block | None]:
    """Return the ways to the pages before and after this one."""
    return [
        button(words.plain("chat.button.page_back", 75, page=page - 1), f"{action}_back", str(page - 1))
        if page > 1
        else None,
        button(
            words.plain("chat.button.page_next", 75, page=page + 1),
            f"{action}_next",
            str(page + 1),
            style="primary",
        )
        if page < count
        else None,
    ]


def _essentials(plan: Plan, words: Words) -> list[tuple[str, str]]:
    return [
        (words("chat.plan.where"), f"{_cloud(plan, words)} {account_of(plan)}"),
        (words("chat.plan.touches"), touched(plan, words)),
        (words("chat.plan.undo"), words(f"chat.reversible.{plan.reversible}")),
        (words("chat.plan.for"), shown(plan.incident_id, 40)),
    ]


def params(plan: Plan, name: Names, words: Words, told: Collection[str]) -> list[Block]:
    """Return the parameters that came from one of these, with who gave each."""
    lines = []
    for param, source in plan.provenance.items():
        if source not in told:
            continue
        who = words(f"chat.plan.from.{source}", person=name(plan.requester))
        value = plan.params.get(param)
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        mark = "\u26a0\ufe0f " if source == Provenance.PERSON else ""
        lines.append(f"\u2022 {mark}{shown(param, 60)}: {code(text, WHOLE, words.language)} \u00b7 {who}")
    return sections("\n".join([f"*{words('chat.plan.params')}*", *lines])) if lines else []


def _cloud(plan: Plan, words: Words) -> str:
    known = f"chat.cloud.{plan.provider}"
    return words(known) if words.has(known) else shown(plan.provider, 40)


def _targets(plan: Plan, touches: Sequence[Touch], page: int, words: Words) -> list[Block]:
    if not touches:
        return []
    first = (page - 1) * PER_PAGE + 1
    last = first + len(touches) - 1
    title = (
        words("chat.plan.targets_from", first=first, last=last, count=len(plan.touches))
        if len(plan.touches) > PER_PAGE
        else words("chat.plan.targets")
    )
    return sections("\n".join([f"*{title}*", *touch_lines(touches, words)]))


def _extent(plan: Plan, status: ApprovalStatus, name: Names, words: Words, kind: str) -> Block:
    writes = len(plan.writes)
    said = words(
        "chat.plan.extent",
        writes=writes,
        reads=len(plan.steps) - writes,
        guards=len(plan.guards),
        digest=plan.short,
    )
    if plan.expires_at:
        said += f" \u00b7 {words('chat.plan.until')} {when(plan.expires_at, words.language)}"
        said += f" \u00b7 {approvals_of(status, name, words)}"
    else:
        minutes = int(expires_after_s(plan) // 60)
        said += f" \u00b7 {words('chat.plan.until')} {words('chat.plan.waits', minutes=minutes)}"
    return section(
        said,
        accessory=button(words.plain("chat.button.details", 75), f"{kind}_details", "1"),
        block_id="extent",
    )
