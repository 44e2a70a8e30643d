"""What the templates print of the audit trail: the timeline, and what people said has to be done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import TypeAlias

from markupsafe import Markup

from twokey.core.audit import AuditEntry
from twokey.core.errors import Json, Message
from twokey.publish.markdown import code, md, ready
from twokey.publish.words import Facts, PageWords
from twokey.words import say, word_or

TimelineRow: TypeAlias = dict[str, Markup]
"""One row: its parts, and `cells`, the parts in the usual order, joined here for speed."""

_ROWS_BYTES = 1_400_000  # of the timeline: the page must stay under the renderer's limit


def timeline(entries: Iterable[AuditEntry], words: PageWords) -> tuple[list[TimelineRow], int]:
    """Return the rows of the timeline and how many entries did not fit.

    A run of entries in which one part of twokey did the same thing again and again is one row: a storm of
    findings must not bury what people did. Every row keeps the numbers of its entries.
    """

    def run_of(entry: AuditEntry) -> object:
        is_repeated = entry.action in (
            "joined",
            "reminded",
            "containment.seen",
        ) and entry.actor.id.startswith("system:")
        return (entry.actor.id, entry.action) if is_repeated else entry.seq

    rows: list[TimelineRow] = []
    used = left_out = 0
    for _, run in groupby(entries, key=run_of):
        first, *more = run
        if used > _ROWS_BYTES:
            left_out += 1 + len(more)
            continue
        who, what = words.actor(first.actor), words.label("did", first.action) or Markup("")
        detail, seq = _detail(first.data, words), ready(str(first.seq))
        utc, local = words.both(first.at)
        if more:
            utc += Markup(" – ") + (words.utc(more[-1].at) or "")
            what += ready(f" ×{1 + len(more)}")
            seq += ready(f"–{more[-1].seq}")
        row = {"utc": utc, "local": local, "who": who, "what": what, "detail": detail, "seq": seq}
        row["cells"] = ready(" | ".join(row.values()))
        used += len(row["cells"].encode())
        rows.append(row)
    return rows, left_out


def what_happened(entry: AuditEntry, words: PageWords) -> Facts:
    """Return what an entry says that was done, and its details."""
    what = words.label("did", entry.action)
    return {"what": what, "detail": _detail(entry.data, words)}


def _detail(data: Mapping[str, Json], words: PageWords) -> Markup:
    """Return what an entry says: a reason code in words, a note as written, the rest as name and value."""
    if not data:
        return Markup("")
    if len(data) == 1 and isinstance(only := data.get("text"), str):
        return md(only)
    parts: list[str] = []  # each fit to print; together they are marked as such once
    reason = data.get("code")
    if isinstance(reason, str) and reason:
        params = {name: str(value) for name, value in data.items() if isinstance(value, str | int)}
        known = word_or(reason, words.language, "")
        parts.append(ready(say(Message(reason, params), words.language, md)) if known else code(reason))
    text = data.get("text")
    if isinstance(text, str) and text:
        parts.append(md(text))
    if not reason:
        rest = [
            (name, value)
            for name, value in data.items()
            if name != "text" and value not in (None, "", [], {})
        ]
        parts += [_detail_of(name, value, words) for name, value in rest[:6]]
    return ready(" · ".join(parts))


# Recorded values of a closed set, by the kind of word that they have.
_KIND = {"state": "state", "label": "label", "before": "label", "after": "label"}


def _detail_of(name: str, value: Json, words: PageWords) -> str:
    """Return one recorded value with its name, fit to print: people by name, digests short, sets in words."""
    shown = words.value(value)
    if isinstance(value, str):
        kind = "key" if name == "role" and words.has("key", value) else _KIND.get(name, name)
        if name in ("person", "owner"):
            shown = words.person(value) or shown
        elif name in ("digest", "sha256"):
            shown = code(value[:12])
        elif words.has(kind, value):
            shown = words.label(kind, value) or shown
        elif name in ("reason", "fault"):
            shown = md(value)
    key = words.label("field", name) if words.has("field", name) else None
    # Both are Markup already: Markup's own format, which looks again, took half of a long post-mortem's time.
    return f"{key or md(name, 60)}: {shown}"


def action_items(entries: Iterable[AuditEntry], words: PageWords) -> Iterator[Facts]:
    """Give the action items that people wrote down (`action` in the chat), in order."""
    for entry in entries:
        if entry.action != "action.added":
            continue
        item = {name: str(value) for name, value in entry.data.items() if isinstance(value, str | int)}
        yield {
            "text": md(item["text"]) if item.get("text") else None,
            "type": words.label("action_type", item.get("type", "")),
            "owner": words.person(item.get("owner", "")),
            "due": md(item["due"], 40) if item.get("due") else None,
            "priority": md(item["priority"], 40) if item.get("priority") else None,
            "ticket": code(item["ticket"], 100) if item.get("ticket") else None,
            "seq": entry.seq,
        }
