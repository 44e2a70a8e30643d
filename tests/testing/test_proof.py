"""The counting of trials is counted itself: repeatable, honest about failures, kept in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lab import import_path

pytest_plugins = ["pytester"]

SUITE = """
def test_holds(proof):
    for random in proof("S2", "one person counts once", ci=3, release=30):
        print("drew", random.random())
def test_breaks(proof):
    for random in proof("S10", "a template is data", ci=40):
        assert random.random() < 0.5
"""


@pytest.fixture(autouse=True)
def _laboratory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in import_path().items():
        monkeypatch.setenv(name, value)


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    pytester.makepyfile(SUITE)
    return pytester.runpytest_subprocess("-p", "tests.lab.trials", *options)


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


def test_two_tests_of_one_name_are_two(pytester: pytest.Pytester, tmp_path: Path) -> None:
    for name in ("sqlite", "postgres"):
        pytester.makepyfile(
            **{f"test_{name}": 'def test_same(proof): list(proof("R2", "one promise", ci=4))'}
        )
    file = tmp_path / "figures.json"
    printed = pytester.runpytest_subprocess("-p", "tests.lab.trials", f"--proof-file={file}").stdout
    printed.fnmatch_lines(["R2*held*8*one promise"])
    assert [row["trials"] for row in json.loads(file.read_text())] == [4, 4]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_that_was_cut_off_goes_on(pytester: pytest.Pytester, tmp_path: Path, workers: str) -> None:
    """What held is not tried again; what broke is, and so is all that was counted otherwise."""
    options = (f"--proof-file={tmp_path / 'figures.json'}", "--proof-resume", "-n", workers)
    run(pytester, "-k", "holds", *options)
    again = run(pytester, "--proof=release", "-k", "holds", *options)
    again.stdout.fnmatch_lines(["*:*:* S2 *held*30*test_holds", "S2*held*30*"])
    rest = run(pytester, "--proof=release", *options)
    rest.stdout.fnmatch_lines(["S2*held*30*", "S10*BROKEN*"])
    rest.assert_outcomes(failed=1)
    rest = run(pytester, "--proof=release", *options)
    rest.assert_outcomes(failed=1)
    run(pytester, "--proof=release", "--proof-seed=2", *options).assert_outcomes(passed=1, failed=1)


def test_figures_are_kept_while_the_run_goes_on(pytester: pytest.Pytester, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    pytester.makepyfile(
        f"""
        import os, pathlib
        def test_holds(proof):
            list(proof("S2", "one person counts once", ci=3))
        def test_is_cut_off(proof):
            assert "S2" in pathlib.Path({str(file)!r}).read_text()
            os._exit(9)
        """
    )
    assert pytester.runpytest_subprocess("-p", "tests.lab.trials", f"--proof-file={file}").ret == 9
    assert [row["result"] for row in json.loads(file.read_text())] == ["held"]


def test_going_on_without_a_file_is_an_error(pytester: pytest.Pytester) -> None:
    run(pytester, "--proof-resume").stderr.fnmatch_lines(["*--proof-file*name one"])
