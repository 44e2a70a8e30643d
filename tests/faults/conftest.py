"""What the fault tests stand on: a Postgres, emulated clouds, bots that start in a blink, and fresh scenes of a run."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.arm import TOKEN, Arm, Identity
from tests.lab.fork_server import ForkServer, share_models
from tests.lab.installation import Installation, installed
from tests.lab.postgres import Postgres, running
from twokey.demo.emulators import Ministack
from twokey.demo.proxy import CloudProxy
from twokey.store import open_store
from twokey.testing.clocks import SystemClock

from .scenes import Clouds, Scene


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    with ForkServer() as fork_server:
        yield fork_server


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    with Ministack(tmp_path_factory.mktemp("aws")) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def clouds() -> Iterator[Clouds]:
    from moto.server import ThreadedMotoServer

    share_models()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    with CloudProxy(url) as proxy, Arm() as arm, Identity(TOKEN, arm.base_url) as identity:
        yield Clouds(url, proxy, arm, identity)
    server.stop()


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite record with all its tables and nothing in them: copied, not made again for each scene."""
    file = tmp_path_factory.mktemp("empty") / "twokey.db"
    open_store(f"sqlite:///{file}", SystemClock()).close()
    return file


@pytest.fixture
def scenes(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    clouds: Clouds,
    fork_server: ForkServer,
    empty: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Scene]]:
    """Return a maker of scenes: `scenes("sqlite")` or `scenes("postgres")`, each in a fresh world.

    There is one at a time: making the next closes the one before, because they share the clouds.
    """
    for name, value in clouds.credentials().items():
        monkeypatch.setenv(name, value)
    numbers = itertools.count()
    with contextlib.ExitStack() as standing:

        def make(database: str, **more: Any) -> Scene:
            standing.close()
            folder = tmp_path / str(next(numbers))
            folder.mkdir()
            url = f"sqlite:///{folder}/twokey.db"
            if database == "postgres":
                server = request.getfixturevalue("postgres")
                url = server.migrated()
                standing.callback(server.drop, url)
            else:
                shutil.copy(empty, folder)
            scene = Scene(folder, clouds, fork_server, url, **more)
            standing.callback(scene.close)
            return scene

        yield make


@pytest.fixture
def worlds(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    """Return a maker of whole installations: `worlds("sqlite")` or `worlds("postgres")`.

    There is one at a time: making the next closes the one before, because they share the emulated AWS.
    """
    numbers = itertools.count(1)
    with contextlib.ExitStack() as standing:

        def make(database: str = "sqlite", **settings: str) -> Installation:
            standing.close()
            url = request.getfixturevalue("postgres").migrated() if database == "postgres" else ""
            folder = tmp_path / f"world-{next(numbers)}"
            folder.mkdir()
            return standing.enter_context(installed(folder, request.getfixturevalue("aws"), url, settings))

        yield make
