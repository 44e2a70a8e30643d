"""The page on rules is complete, and its examples work."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from twokey.catalog import rule_files
from twokey.catalog.rules import load_rules
from twokey.core import patterns
from twokey.core.responsibility import Label
from twokey.core.signals import Signal

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "rules.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_on_the_page_can_be_used_as_it_stands(tmp_path: Path, block: str) -> None:
    path = tmp_path / "page.yaml"
    path.write_text(block)
    assert load_rules(path).check() == []


def test_every_key_label_matcher_and_field_is_on_the_page() -> None:
    names = [
        *rule_files._KEYS,
        *(label.value for label in Label),
        *patterns.MATCHERS,
        *(field.name for field in fields(Signal) if field.name != "raw_id"),
    ]
    assert [name for name in names if not re.search(rf"[`\"| ]{re.escape(name)}[`\",|;: ]", PAGE)] == []


def test_every_fact_that_a_default_rule_asks_for_is_on_the_page() -> None:
    asked = {path for rule in load_rules().rules for path in (*rule.pattern.paths(), *rule.fields)}
    facts = {path.split(".")[2] for path in asked if path.startswith("signal.facts.")}
    assert [fact for fact in sorted(facts) if not re.search(rf"\b{fact}\b", PAGE)] == []
