"""The how-to names exactly what templates can use."""

import re
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from twokey.app import disclosure
from twokey.publish.facts import internal_facts
from twokey.publish.public import public_facts
from twokey.publish.sandbox import Sandbox
from twokey.publish.words import PageWords
from twokey.testing.builders import a_record

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_how_to_names_every_fact_that_templates_get():
    page = (DOCS / "how-to" / "change-a-template.md").read_text("utf-8")
    words = set(re.findall(r"[a-z0-9_]+", page))
    record = a_record()
    shown = PageWords("en", ZoneInfo("UTC"), record.names)
    inside: Any = internal_facts(record, shown, disclosure())
    outside: Any = public_facts(record, shown, disclosure())
    assert set(inside) | {"not_recorded"} <= words
    assert set(outside) <= words
    for nested in (inside["incident"], inside["responsibility"], inside["impact"], inside["supporting"]):
        assert set(nested) <= words
    for rows in (inside["plans"], inside["timeline"], inside["metrics"], inside["missing"], outside["plans"]):
        assert set(rows[0]) <= words


def test_the_how_to_names_every_filter(tmp_path):
    page = (DOCS / "how-to" / "change-a-template.md").read_text("utf-8")
    for name in set(Sandbox(tmp_path, str).filters) - {"d"}:
        assert f"`{name}`" in page


def test_the_reference_names_every_command():
    import typer.main

    from twokey.cli.postmortem import app

    page = (DOCS / "reference" / "postmortems.md").read_text("utf-8")
    group: Any = typer.main.get_command(app)
    for name in group.commands:
        assert f"twokey postmortem {name}" in page
