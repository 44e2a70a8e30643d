"""Correlation on outages of record: the figures on the page are those of this code."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
WINDOWS = ROOT / "../shared/corpus/outage-windows.csv"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "evaluate_correlation", ROOT / "tools/evaluate_correlation.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not WINDOWS.exists(), reason="the outages of record are not beside the project")
def test_real_outages_are_found_and_little_else_is_tied_to_them(tool: ModuleType) -> None:
    known = tool.windows(WINDOWS)
    figures = {"outages": len(known), **tool.evaluate(known, tool.alarms(known, Random(1))).figures()}
    assert figures["precision"] >= 0.9
    assert figures["recall"] >= 0.95
    assert figures == json.loads((ROOT / "docs/why/figures/correlation.json").read_text())


def test_the_page_shows_the_figures() -> None:
    page = (ROOT / "docs/why/correlation.md").read_text()
    for name, value in json.loads((ROOT / "docs/why/figures/correlation.json").read_text()).items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        assert f"| {name} | {shown} |" in page
