"""Lists that only one person sees: incidents, plans that wait, the timeline, help, and who one is."""

from __future__ import annotations

from collections.abc import Sequence

from twokey.chat.slack.views.blocks import Block, actions, button, context, divider, fitted, header, section
from twokey.chat.slack.views.cards import MARKS, Names
from twokey.chat.slack.views.plans import plan_text
from twokey.chat.slack.views.review import account_of
from twokey.chat.slack.views.text import Words, code, fenced, shown, when
from twokey.core.audit import SHOWN, AuditEntry
from twokey.core.errors import Message
from twokey.core.incidents import Incident
from twokey.core.people import Person
from twokey.core.runbooks import Plan, PlanState

PAGE = 10
PICKED = 5
TIMELINE = 30
_LEFT_OUT = ("notice.", "containment.seen", "shown")  # the export has them
_SHOWN_DATA = frozenset(
    [
        "text",
        "reason",
        "role",
        "state",
        "severity",
        "person",
        "runbook",
        "code",
        "step",
        "decision",
        "label",
        "keys",
        "needed",
        "error",
    ]
)  # what the list shows of an entry's data; the export has everything


def incidents(
    found: Sequence[Incident], total: int, name: Names, words: Words, *, which: str, page: int
) -> list[Block]:
    """Return one page of incidents with what one does next."""
    title = words(f"chat.list.{which}", total=total)
    if not found:
        return [section(f"*{title}*\n{words('chat.list.none')}")]
    blocks = [section(f"*{title}*")]
    for incident in found:
        show = button(words.plain("chat.button.show"), "pick_show", incident.id)
        blocks.append(section(_row(incident, name, words), accessory=show))
    last = max(1, -(-total // PAGE))
    if last > 1:
        blocks.append(context(words("chat.list.page", page=page, last=last)))
        blocks += actions(
            button(words.plain("chat.button.earlier"), "list_previous", f"{which} {page - 1}")
            if page > 1
            else None,
            button(words.plain("chat.button.later"), "list_next", f"{which} {page + 1}")
            if page < last
            else None,
        )
    return fitted(blocks, words)


def pick_incident(found: Sequence[Incident], verb: str, usage: str, words: Words) -> list[Block]:
    """Return the latest incidents to choose from, for a verb that was given none."""
    if not found:
        return [section(words("chat.list.none"))]
    blocks = [section(words("chat.pick.which", verb=verb))]
    for incident in found[:PICKED]:
        blocks.append(
            section(
                _row(incident, lambda person: person, words, short=True),
                accessory=button(words.plain("chat.button.this_one"), f"pick_{verb}", incident.id),
            )
        )
    blocks.append(context(words("chat.pick.or_type", usage=usage)))
    return fitted(blocks, words)


def pending(plans: Sequence[Plan], name: Names, words: Words) -> list[Block]:
    """Return the plans that one could approve, each with its review."""
    if not plans:
        return [section(words("chat.pending.none"))]
    blocks = [section(f"*{words('chat.pending.title', count=len(plans))}*")]
    for plan in plans[:PAGE]:
        lines = [
            f"*{shown(plan.title, 120)}* · {plan.incident_id} · {code(plan.short)}",
            " · ".join(
                (account_of(plan), words(f"chat.risk.{plan.risk.value}"), shown(name(plan.requester), 60))
            ),
        ]
        if plan.expires_at:
            lines.append(words("chat.plan.expires") + ": " + when(plan.expires_at, words.language))
        review = button(words.plain("chat.button.review"), "plan_review", plan.id, style="primary")
        blocks.append(section("\n".join(lines), accessory=review))
    return fitted(blocks, words)


def runs(incident_id: str, plans: Sequence[Plan], words: Words) -> list[Block]:
    """Return an incident's runs that could be taken back."""
    done = [plan for plan in plans if plan.state in (PlanState.DONE, PlanState.FAILED) and not plan.undo_of]
    if not done:
        return [section(words("chat.undo.none", incident=incident_id))]
    blocks = [section(words("chat.undo.which", incident=incident_id))]
    for plan in done[-PAGE:]:
        undo = button(words.plain("chat.button.undo"), "plan_undo", plan.id)
        blocks.append(section(plan_text(plan, words), accessory=undo))
    return fitted(blocks, words)


def timeline(incident: Incident, entries: Sequence[AuditEntry], name: Names, words: Words) -> list[Block]:
    """Return the latest entries of an incident's audit trail, oldest first."""
    whole = entries
    entries = [entry for entry in entries if not entry.action.startswith(_LEFT_OUT)]
    blocks = [section(f"*{incident.id}* · {words('chat.timeline.title', count=len(entries))}")]
    if len(entries) > TIMELINE:
        blocks.append(context(words("chat.more_lines", count=len(entries) - TIMELINE)))
    lines = []
    for entry in entries[-TIMELINE:]:
        known = f"chat.done.{entry.action}"
        what = words(known) if words.has(known) else code(entry.action, 60)
        head = f"{entry.seq}. {when(entry.at, words.language)}  *{shown(name(entry.actor.id), 60)}*  {what}"
        lines.append(f"{head}  {_detail(entry, name, words)}".rstrip())
    for start in range(0, len(lines), 10):
        blocks.append(section("\n".join(lines[start : start + 10])[:2900]))
    if whole:
        last = whole[-1]
        blocks.append(context(words("chat.audit_seal", seq=last.seq, hash=last.hash[:SHOWN])))
    return fitted(blocks, words)


def postmortem(incident_id: str, text: str, command: str, words: Words) -> list[Block]:
    """Return the beginning of a post-mortem as it would be drafted now."""
    blocks = [section(words("chat.postmortem.draft", incident=incident_id))]
    blocks += [
        section(fenced(text[i : i + 2600], 2900, words.language))
        for i in range(0, min(len(text), 7800), 2600)
    ]
    if len(text) > 7800:
        blocks.append(context(words("chat.more_characters", count=len(text) - 7800)))
    blocks.append(context(words("chat.postmortem.then", command=command, incident=incident_id)))
    return fitted(blocks, words)


def whoami(person: Person, words: Words) -> list[Block]:
    """Return what the roster says about oneself."""
    roles = ", ".join(sorted(words(f"chat.person_role.{role.value}") for role in person.roles)) or "-"
    scopes = ", ".join(
        words("chat.whoami.everywhere") if scope == "*" else code(scope, 60) for scope in person.scopes
    )
    step_up = words("chat.yes" if person.has_step_up else "chat.no")
    return [section(words("chat.whoami.you", person=person.name) + f"\n{roles} · {scopes or '-'}"),
            context(words("chat.whoami.step_up") + " " + step_up)]  # fmt: skip


def help_page(command: str, words: Words) -> list[Block]:
    """Return the menu: the daily buttons, then every verb."""
    return [
        header(words.plain("chat.help.title")),
        *actions(
            button(words.plain("chat.button.list_open"), "menu_open", "open 1"),
            button(words.plain("chat.button.list_mine"), "menu_mine", "mine 1"),
            button(words.plain("chat.button.pending"), "menu_pending", "-"),
        ),
        section(words("chat.help.look", command=command)),
        section(words("chat.help.work", command=command)),
        section(words("chat.help.contain", command=command)),
        divider(),
        context(words("chat.help.threads"), words("chat.help.rule")),
    ]


def _row(incident: Incident, name: Names, words: Words, short: bool = False) -> str:
    mark = MARKS.get(incident.verdict.label, "")
    head = (
        f"{mark} *{incident.severity.value} · {incident.id}* · {shown(incident.title, 120, words.language)}"
    )
    if short:
        return head
    leader = shown(name(incident.commander), 60) if incident.commander else words("chat.card.nobody")
    state = words(f"chat.state.{incident.state.value}")
    facts = (code(incident.account, 60), state, leader, when(incident.opened_at, words.language))
    return head + "\n" + " · ".join(facts)


def _detail(entry: AuditEntry, name: Names, words: Words) -> str:
    """Return what an entry says beside its action: the words of its reason, else the data that people read."""
    reason = str(entry.data.get("code") or "")
    if reason and words.has(reason):
        return words.of(Message(reason, {key: str(value) for key, value in entry.data.items()}))
    data = {key: value for key, value in entry.data.items() if key in _SHOWN_DATA and value not in ("", None)}
    if "person" in data:
        data["person"] = name(str(data["person"]))
    return " ".join(shown(str(value), 160, words.language) for value in data.values())
