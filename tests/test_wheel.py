"""What people install: the program, its data, the doubles and the demo; nothing of the tests."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return the names of the files in a wheel that was built just now."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_no_file_of_the_tests_nor_of_their_laboratory(wheel: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"twokey"}
    laboratory = {path.name for path in (ROOT / "tests" / "lab").rglob("*.py")} - {"__init__.py"}
    assert laboratory
    of_the_program = {path.name for path in (ROOT / "src" / "twokey").rglob("*.py")}
    assert not {name for name in wheel if Path(name).name in laboratory - of_the_program}
    assert not {name for name in wheel if {"tests", "lab"} & set(Path(name).parts)}


def test_the_wheel_holds_the_whole_program_with_its_doubles_and_its_demo(wheel: set[str]) -> None:
    source = ROOT / "src"
    modules = {path.relative_to(source).as_posix() for path in (source / "twokey").rglob("*.py")}
    assert modules == {name for name in wheel if name.endswith(".py")}
    assert {"twokey/testing/world.py", "twokey/demo/story.py", "twokey/py.typed"} <= wheel


def test_the_wheel_holds_the_data_beside_the_program(wheel: set[str]) -> None:
    for folder in ("runbooks", "rules", "templates", "deploy/aws"):
        shipped = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert shipped
        assert {f"twokey/_data/{name}" for name in shipped} <= wheel
