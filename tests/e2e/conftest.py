"""The whole program from outside: see tests.lab.installation; one world a test or a file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.installation import Installation, installed
from tests.lab.postgres import Postgres, running
from twokey.demo.emulators import Ministack


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    with Ministack(tmp_path_factory.mktemp("aws")) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server


@pytest.fixture
def worlds(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    """Return a maker of fresh worlds: `worlds("sqlite")` or `worlds("postgres")`."""
    with contextlib.ExitStack() as stack:

        def make(database: str = "sqlite", **settings: str) -> Installation:
            url = request.getfixturevalue("postgres").migrated() if database == "postgres" else ""
            aws = request.getfixturevalue("aws")
            return stack.enter_context(installed(tmp_path, aws, url, settings))

        yield make


@pytest.fixture(scope="module")
def shared(aws: Ministack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One world for a file, with the demo's attack in it and its bot at work."""
    with installed(tmp_path_factory.mktemp("world"), aws) as world:
        world.bot()
        world.attack()
        yield world
