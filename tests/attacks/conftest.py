"""Attacks go through the real doors of a running bot: see tests.lab.installation; one world a test or a file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.installation import DOOR_SECRET, Installation, installed
from tests.lab.postgres import Postgres, running
from twokey.demo.emulators import Ministack

# Messages are not what is tried here, and a loaded machine must not lose a lease.
QUICK = {"TWOKEY_SLACK_PER_SECOND": "25", "TWOKEY_LEASE_S": "10"}

# Every door that the program can have is open.
DOORS = {
    "TWOKEY_AZURE_EVENT_GRID": f"grid={DOOR_SECRET}-2",
    "TWOKEY_AWS_SNS_TOPICS": "arn:aws:sns:eu-central-1:111111111111:twokey",
    "TWOKEY_AWS_SNS_SECRET": f"{DOOR_SECRET}-3",
    "TWOKEY_AWS_EVENT_KEYS": f"bus={DOOR_SECRET}-4",
}


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
            return stack.enter_context(installed(tmp_path, aws, url, QUICK | settings))

        yield make


@pytest.fixture(scope="module")
def shared(aws: Ministack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One world for a file, with an incident in it and its bot at work."""
    with installed(tmp_path_factory.mktemp("world"), aws, settings=QUICK | DOORS) as world:
        world.bot()
        world.attack()
        yield world
