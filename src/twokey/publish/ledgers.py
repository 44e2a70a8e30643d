"""The responsibility ledger on paper: rows for a table, CSV for a spreadsheet, JSON, and a page with one chart."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from twokey.core.errors import Json
from twokey.core.ledgers import Impact, Ledger, LedgerRow
from twokey.core.responsibility import Origin
from twokey.core.texts import printable, visible
from twokey.publish.render import TemplateRenderer
from twokey.words import word_or

TEMPLATE = "report.responsibility.html.j2"
BARS = 12  # what one looks at; the table has the rest
_ROOM = 800_000  # bytes of the page's table, and of its evidence: together below the limit of a page
_AROUND = 400  # bytes of markup around one line of them
SIDES = (Origin.PROVIDER, Origin.CUSTOMER, Origin.SHARED, Origin.UNDETERMINED)
COLUMNS = (
    "side",
    "provider",
    "service",
    "region",
    "account",
    "minutes",
    "planned",
    "stated",
    "incidents",
    "tracking",
)
_Line = TypeVar("_Line")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def heading(name: str, language: str) -> str:
    """Return a column's or a side's name for people."""
    return word_or(f"report.{name}", language, name)


def cells(row: LedgerRow, language: str) -> tuple[str, ...]:
    """Return a row of the table; text of notifications is made visible and short."""
    return (
        heading(f"side.{row.side.value}", language),
        word_or(f"chat.cloud.{row.provider}", language, visible(row.provider)[:80] or "-"),
        *(visible(text)[:80] or "-" for text in (row.service, row.region, row.account)),
        *(f"{round(minutes):,}" for minutes in (row.minutes, row.planned_minutes, row.stated_minutes)),
        ", ".join(one.incident_id for one in row.impacts[:5]) + ("…" if len(row.impacts) > 5 else ""),
        ", ".join(visible(one.rpartition("/")[2])[:40] for one in row.tracking_ids[:2]) or "-",
    )


def to_csv(ledger: Ledger) -> str:
    """Return one line an incident: what a spreadsheet adds up. A cell that could be a formula is quoted as text."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_IMPACT_NAMES)
    for row in ledger.rows:
        for impact in row.impacts:
            texts = [visible(str(value)) for value in _impact(impact).values()]
            # A spreadsheet runs what begins like a formula: titles and ids may be an attacker's.
            writer.writerow([f"'{text}" if text.startswith(_FORMULA) else text for text in texts])
    return out.getvalue()


def to_json(ledger: Ledger) -> str:
    """Return the whole ledger, with every incident as evidence and the audit head to check the trail against."""
    document: dict[str, Json] = {
        "since": ledger.since.isoformat(),
        "until": ledger.until.isoformat(),
        "audit_head": {"seq": ledger.head[0], "hash": ledger.head[1]},
        "totals": {side.value: round(ledger.total(side), 1) for side in SIDES},
        "left_out": ledger.left_out,
        "rows": [
            {
                "side": row.side.value,
                "provider": row.provider,
                "service": row.service,
                "region": row.region,
                "account": row.account,
                "minutes": round(row.minutes, 1),
                "planned_minutes": round(row.planned_minutes, 1),
                "stated_only_minutes": round(row.stated_minutes, 1),
                "tracking_ids": list(row.tracking_ids),
                "evidence": [_impact(impact) for impact in row.impacts],
            }
            for row in ledger.rows
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=True)


def _impact(impact: Impact) -> dict[str, Json]:
    return {
        "incident": impact.incident_id,
        "side": impact.side.value,
        "label": impact.label.value,
        "planned": impact.is_planned,
        "rule": impact.rule,
        "provider": impact.provider,
        "service": impact.service,
        "region": impact.region,
        "account": impact.account,
        "start": impact.start.isoformat(),
        "end": impact.end.isoformat(),
        "ended_by": impact.ended.value,
        "minutes": round(impact.minutes, 1),
        "proof": impact.proof.value,
        "tracking_id": impact.tracking_id,
        "title": impact.title,
    }


_IMPACT_NAMES = (
    *("incident", "side", "label", "planned", "rule", "provider", "service", "region", "account"),
    *("start", "end", "ended_by", "minutes", "proof", "tracking_id", "title"),
)


def _escaped(text: str) -> Markup:
    return escape(printable(text))


def _fitting(lines: list[_Line], texts: Callable[[_Line], Iterable[str]]) -> list[_Line]:
    """Return as many lines as a page has room for; CSV and JSON have every one."""
    left = _ROOM
    for number, line in enumerate(lines):
        left -= _AROUND + sum(len(_escaped(text).encode()) for text in texts(line))
        if left < 0:
            return lines[:number]
    return lines


def to_html(ledger: Ledger, templates: Path, language: str, zone: ZoneInfo) -> str:
    """Return a page of its own: one chart, the table, and every incident behind it. Everything is escaped."""

    def local(moment: datetime) -> str:
        return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"

    rows = [(row.side.value, cells(row, language)) for row in ledger.rows]
    impacts = [
        {
            **{name: visible(str(value))[:200] for name, value in _impact(impact).items()},
            "when": f"{local(impact.start)} - {local(impact.end)}",
            "minutes": f"{round(impact.minutes):,}",
            "proof": heading(f"proof.{impact.proof.value}", language),
            "ended": heading(f"ended.{impact.ended.value.replace(' ', '_')}", language),
            "side_word": heading(f"side.{impact.side.value}", language),
        }
        for row in ledger.rows
        for impact in row.impacts
    ]
    shown_rows = _fitting(rows, lambda line: line[1])
    shown_impacts = _fitting(impacts, lambda line: line.values())
    facts: dict[str, Any] = {
        "language": language,
        "zone": str(zone),
        "since": local(ledger.since),
        "until": local(ledger.until),
        "words": {name: heading(name, language) for name in _WORDS},
        "totals": [
            (side.value, heading(f"side.{side.value}", language), f"{round(ledger.total(side)):,}")
            for side in SIDES
        ],
        "bars": bars(ledger, language),
        "bars_left": max(len(ledger.rows) - BARS, 0),
        "columns": [heading(name, language) for name in COLUMNS],
        "rows": shown_rows,
        "rows_left": len(rows) - len(shown_rows),
        "impacts": shown_impacts,
        "impacts_left": len(impacts) - len(shown_impacts),
        "head": {"seq": ledger.head[0], "hash": ledger.head[1]},
        "left_out": ledger.left_out,
    }
    return TemplateRenderer(templates, escaped=_escaped).render(TEMPLATE, facts, "-")


_WORDS = (
    *("title", "period", "chart", "chart_more", "evidence", "nothing", "left_out", "audit", "stated_note"),
    *("when", "incident", "proof", "ended", "what", "minutes_unit", "lines_more"),
)


def bars(ledger: Ledger, language: str) -> list[dict[str, Any]]:
    """Return the chart's bars, longest first: widths in percent of the longest, the stated part apart."""
    longest = sorted(ledger.rows, key=lambda row: -row.minutes)[:BARS]
    most = max((row.minutes for row in longest), default=1.0) or 1.0
    return [
        {
            "side": row.side.value,
            "side_word": heading(f"side.{row.side.value}", language),
            "name": " · ".join(text for text in cells(row, language)[1:4] if text != "-") or "-",
            "account": visible(row.account)[:40],
            "minutes": f"{round(row.minutes):,}",
            "width": round(100 * (row.minutes - row.stated_minutes) / most, 2),
            "stated": round(100 * row.stated_minutes / most, 2),
        }
        for row in longest
    ]
