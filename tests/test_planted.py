"""The planted mistakes of `make planted` still fit the code: one that no longer does proves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.plant_regressions import MISTAKES, Mistake

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_planted_mistake_stands_where_the_code_is(mistake: Mistake) -> None:
    for file, right, wrong in mistake.edits:
        assert (ROOT / file).read_text("utf-8").count(right) == 1, file
        assert right != wrong
    assert all((ROOT / test).is_file() for test in mistake.tests)
