"""Incidents as people see them: the one card, thread messages, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from twokey.chat.slack.views.blocks import (
    Block,
    actions,
    button,
    context,
    fields,
    fitted,
    header,
    overflow,
    section,
)
from twokey.chat.slack.views.text import Words, code, plain, shown, when
from twokey.core.audit import SHOWN
from twokey.core.containments import InForce, InForceState
from twokey.core.errors import Message
from twokey.core.incidents import Incident, State
from twokey.core.responsibility import Label, Origin, Verdict
from twokey.words import reason_of, sides_of

Names = Callable[[str], str]
"""Gives the name of a person by the directory's id."""

MARKS = {
    Label.CUSTOMER_SECURITY: "\U0001f534",
    Label.CUSTOMER_CONFIG: "\U0001f7e0",
    Label.CUSTOMER_INITIATED: "\U0001f7e1",
    Label.PROVIDER_OUTAGE: "\U0001f7e3",
    Label.PROVIDER_MAINTENANCE: "\U0001f535",
    Label.PROVIDER_ADVISORY: "\U0001f535",
    Label.INFORMATIONAL: "\u26aa",
    Label.UNKNOWN: "\u2753",
}
IN_FORCE_MARKS = {
    InForceState.IN_FORCE: "\U0001f512",
    InForceState.DRIFTED: "\u26a0\ufe0f",
    InForceState.UNSEEN: "\u2753",
    InForceState.UNDONE: "\u21a9\ufe0f",
}
SHOWN_RESOURCES = 5


def incident_text(incident: Incident, words: Words) -> str:
    """Return the line that notifications and screen readers get."""
    label = words(f"chat.label.{incident.verdict.label.value}")
    title = shown(incident.title, 200, words.language)
    return f"{incident.severity.value} · {incident.id} · {label} · {title}"


def incident_card(
    incident: Incident, name: Names, words: Words, in_force: Sequence[InForce] = ()
) -> list[Block]:
    """Return the incident's card: whose side it is on first, then what, where, who, and what can be done."""
    blocks = [
        header(plain(f"{incident.severity.value} · {incident.id} · {incident.title}", 150, words.language))
    ]
    verdict = incident.verdict
    label = f"{MARKS.get(verdict.label, '')} *{words(f'chat.label.{verdict.label.value}')}*"
    level = words("chat.card.confidence", level=words(f"chat.confidence.{verdict.confidence.value}"))
    reason = shown(reason_of(verdict, words.language), 900, words.language)
    blocks.append(section(f"{label}  ·  {level}  ·  {code(verdict.rule, 80)}\n{reason}"))
    if incident.disputed:
        blocks.append(section(f"\u26a0\ufe0f {words.of(incident.disputed)}"))
    blocks += fields(_facts(incident, name, words))
    if incident.resources:
        blocks.append(section(f"*{words('chat.card.resources')}*\n{_resources(incident, words)}"))
    if in_force:
        blocks.append(section(f"*{words('chat.card.in_force')}*\n{_in_force(in_force, words)}"))
    blocks += _ours(incident, words)
    blocks.append(context(*_small(incident, words)))
    blocks += _buttons(incident, words)
    return fitted(blocks, words)


def thread_message(
    messages: Sequence[Message], seal: Mapping[str, str], words: Words, mark: str = ""
) -> tuple[str, list[Block]]:
    """Return a message about a change; its small print carries the audit trail's head to the outside."""
    sentences = [words.of(message) for message in messages]
    small = [mark] if mark else []
    if seal.get("audit_seq"):
        small.append(words("chat.audit_seal", seq=seal["audit_seq"], hash=seal.get("audit_hash", "")[:SHOWN]))
    blocks = [section(sentence) for sentence in sentences]
    if small:
        blocks.append(context(*small))
    return " ".join(sentences)[:3000], fitted(blocks, words)


def _facts(incident: Incident, name: Names, words: Words) -> list[tuple[str, str]]:
    cloud = (
        words(f"chat.cloud.{incident.provider}")
        if incident.provider in ("aws", "azure")
        else incident.provider
    )
    leader = shown(name(incident.commander), 80) if incident.commander else words("chat.card.nobody")
    pairs = [
        (words("chat.card.account"), f"{shown(cloud, 40)} {code(incident.account, 80)}"),
        (words("chat.card.region"), code(incident.region, 60)),
        (words("chat.card.service"), shown(incident.service, 80, words.language) or "-"),
        (words("chat.card.state"), words(f"chat.state.{incident.state.value}")),
        (words("chat.card.commander"), leader),
        (words("chat.card.signals"), str(incident.signals)),
    ]
    if incident.principal.key:
        pairs.append(
            (words("chat.card.principal"), code(incident.principal.name or incident.principal.key, 120))
        )
    if incident.principal.access_key_id:
        pairs.append((words("chat.card.access_key"), code(incident.principal.access_key_id, 60)))
    for role, person in list(incident.roles.items())[:2]:
        pairs.append((words(f"chat.role.{role}"), shown(name(person), 80)))
    return pairs[:10]


def _resources(incident: Incident, words: Words) -> str:
    there = incident.resources[:SHOWN_RESOURCES]
    lines = [
        f"{code(resource.id, 260, words.language)} {shown(resource.type, 60)}".rstrip() for resource in there
    ]
    left = len(incident.resources) + incident.more_resources - len(there)
    return "\n".join([*lines, *([words("chat.more_lines", count=left)] if left else [])])


def _in_force(rows: Sequence[InForce], words: Words) -> str:
    """Return a line for each containment, those that do not hold first."""
    worst_first = sorted(rows, key=lambda row: row.state is InForceState.IN_FORCE)
    lines = [
        f"{IN_FORCE_MARKS[row.state]} {words(f'chat.inforce.state.{row.state.value}')}: "
        f"{shown(row.what, 160, words.language)} · {code(row.short)}"
        for row in worst_first[:SHOWN_RESOURCES]
    ]
    left = len(rows) - len(lines)
    return "\n".join([*lines, *([words("chat.more_lines", count=left)] if left else [])])


def _ours(incident: Incident, words: Words) -> list[Block]:
    verdict: Verdict = incident.verdict
    code_ = f"chat.remains.{verdict.label.value}"
    lines = [words(code_)] if words.has(code_) else []
    if sides := sides_of(verdict.service_model, words.language):
        lines.append(sides)
    if incident.provider_resolved and incident.is_open:
        lines.append(words("chat.card.provider_resolved"))
    if incident.state is State.CANCELLED and incident.cancel_reason:
        lines.append(words("chat.card.cancelled_because", reason=incident.cancel_reason))
    return [section("\n".join(lines))] if lines else []


def _small(incident: Incident, words: Words) -> list[str]:
    first = incident.times.started or incident.times.detected or incident.opened_at
    is_to_come = first > incident.opened_at
    small = [
        words("chat.card.begins" if is_to_come else "chat.card.first_seen")
        + " "
        + when(first, words.language)
    ]
    if incident.tracking_id:
        small.append(words("chat.card.tracking", id=incident.tracking_id[:120]))
    small.append(words("chat.card.source", source=incident.family or incident.provider))
    if incident.verdict.origin in (Origin.PROVIDER, Origin.SHARED):
        small.append(words("chat.card.accountable"))
    return small


def _buttons(incident: Incident, words: Words) -> list[Block]:
    """Five at most; none that would only be refused."""
    later = [
        (words.plain("chat.button.timeline", 75), f"timeline {incident.id}"),
        (words.plain("chat.button.note", 75), f"note {incident.id}"),
        (words.plain("chat.button.status", 75), f"status {incident.id}"),
        (words.plain("chat.button.severity", 75), f"severity {incident.id}"),
        (words.plain("chat.button.postmortem", 75), f"postmortem {incident.id}"),
    ]
    if not incident.is_open:
        later = [later[0], later[4]]
    new = incident.is_open and incident.times.acked is None
    to_contain = incident.is_open and incident.verdict.is_contained_by_us
    return actions(
        button(words.plain("chat.button.ack"), "incident_acknowledge", incident.id, style="primary")
        if new
        else None,
        button(words.plain("chat.button.command"), "incident_command", incident.id)
        if incident.is_open and not incident.commander
        else None,
        button(words.plain("chat.button.contain"), "incident_contain", incident.id, style="danger")
        if to_contain
        else None,
        overflow("incident_more", later),
        block_id=f"card:{incident.id}",
    )
