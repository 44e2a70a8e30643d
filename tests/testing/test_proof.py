"""The counting of trials is counted itself: repeatable, honest about failures, kept in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SUITE = """
def test_holds(proof):
    for random in proof("S2", "one person counts once", ci=3, release=30):
        print("drew", random.random())
def test_breaks(proof):
    for random in proof("S10", "a template is data", ci=5):
        assert random.random() < 0.5
"""


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    pytester.makepyfile(SUITE)
    return pytester.runpytest_subprocess("-p", "twokey.testing.proof", *options)


def test_a_table_says_which_promise_was_tried_how_often_and_which_broke(pytester: pytest.Pytester) -> None:
    printed = run(pytester).stdout
    printed.fnmatch_lines(["S2*held*3*one person counts once", "S10*BROKEN*a template is data"])


def test_the_counts_of_a_release_are_longer(pytester: pytest.Pytester) -> None:
    run(pytester, "--proof=release").stdout.fnmatch_lines(["S2*held*30*"])


def test_one_seed_repeats_a_run_and_another_does_not(pytester: pytest.Pytester) -> None:
    def drawn(seed: int) -> list[str]:
        lines = run(pytester, "-s", "-k", "holds", f"--proof-seed={seed}").outlines
        return [line for line in lines if "drew" in line]

    assert len(drawn(7)) == 3
    assert drawn(7) == drawn(7) != drawn(8)


def test_a_failed_trial_says_how_to_run_it_alone(pytester: pytest.Pytester) -> None:
    run(pytester, "-k", "breaks").stdout.fnmatch_lines(["*--proof-seed=1 --proof-trial=*"])


def test_figures_are_added_to_a_file_and_replace_older_ones(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    file = tmp_path / "figures.json"
    run(pytester, f"--proof-file={file}", "-n", "2")
    run(pytester, f"--proof-file={file}", "--proof=release", "-k", "holds")
    rows = {row["id"]: row for row in json.loads(file.read_text())}
    assert rows["S2"]["trials"] == 30
    assert rows["S10"]["result"] == "BROKEN"
