"""Core and flow read no provider's words: what they ask of a signal, its cloud's reader has answered."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src" / "twokey"
CORE = sorted((SRC / "core").rglob("*.py"))
FLOW = sorted((SRC / "flow").rglob("*.py"))
WORDS = re.compile(
    r"\b(aws|amazon|azure|microsoft|guardduty|security ?hub|defender|cloudtrail|arn)\b|arn:"
    r"|(service|resource)health|\.storage|isAlarm|eventTags|eventScopeCode|bucket",
    re.IGNORECASE,
)


def strings(tree: ast.AST) -> list[str]:
    """Return every text in the code that is not a docstring."""
    said = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in said)
    return [node.value for node in found if isinstance(node.value, str)]


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(SRC)))
def test_core_has_no_clouds_words(path: Path) -> None:
    assert [text for text in strings(ast.parse(path.read_text())) if WORDS.search(text)] == []


@pytest.mark.parametrize("path", CORE + FLOW, ids=lambda path: str(path.relative_to(SRC)))
def test_core_and_flow_do_not_look_into_a_signals_facts(path: Path) -> None:
    """They are under the source's own names: only rules match on them."""
    looked = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
    assert [node.lineno for node in looked if node.attr == "facts"] == []
