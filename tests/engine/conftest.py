"""Records to work on; one Postgres server for the whole session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.postgres import Postgres, running
from twokey.testing.clocks import SystemClock


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that nobody else uses."""
    with running() as server:
        yield server


@pytest.fixture
def clock() -> SystemClock:
    """The machine's own time: engines and a database take part in it."""
    return SystemClock()
