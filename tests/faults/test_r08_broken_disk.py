"""R8: the disk is full, broken or read-only under the running bot. It acknowledges nothing that it cannot keep, says
so in its readiness, and goes on without loss when the disk is well again.

The bot's own SQLite is told that its disk fails (see tests.lab.sqlite_vfs); a limit on the size of files and a small
file system, where one may be mounted, are the kernel's own refusals.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.lab.bots import FaultyBot
from tests.lab.fork_server import ForkServer
from tests.lab.sqlite_vfs import FAULT_FILE, FAULTS
from twokey.core.signals import RawNotification
from twokey.demo import notifications

from .streams import FAST, maintenance


class BotOnFailingDisk:
    """A bot on a disk that can be broken, with what was acknowledged by it."""

    def __init__(self, world: Any, fork_server: ForkServer) -> None:
        self.world = world
        self.order = world.folder / "disk"
        world.variables[FAULT_FILE] = str(self.order)
        self.bot: FaultyBot = world.bot(start=False)
        self.bot.fork_server = fork_server
        self.bot.start(ready_within=120)
        self.acknowledged: set[bytes] = set()
        self.queued: set[str] = set()
        self._number = 0

    def sends(self) -> int | None:
        """Send the next notification and return the answer's status."""
        self._number += 1
        body = maintenance(self._number % 3, self._number)
        status: int | None = self.world.webhook(body, self.bot)
        if status == 202:
            self.acknowledged.add(body)
        return status

    def queues(self) -> None:
        self._number += 1
        burst = notifications.findings(self.world.company.key_id, [f"b-{self._number}"], datetime.now(UTC))
        self.world.company.notify(burst)
        self.queued.update(burst)

    def refuses(self) -> None:
        """It says 503, it is not ready, and what is in the queue stays there."""
        self.world.until(lambda: self.sends() == 503, 120)
        self.queues()
        self.world.until(lambda: not self.world.readiness(self.bot)["ready"], 120)
        assert self.sends() != 202
        assert self.world.queued() > 0

    def recovers(self) -> None:
        """It acknowledges again, and everything that it ever acknowledged, or left in the queue, is on record."""
        self.world.until(lambda: self.sends() == 202, 240)
        self.world.until(lambda: self.world.readiness(self.bot)["ready"], 240)
        self.world.until(lambda: not self.world.queued(), 240)
        self.is_kept()

    def is_kept(self) -> None:
        raws = {raw.body for raw in self.world.find(RawNotification)}
        assert self.acknowledged <= raws
        assert {body.encode() for body in self.queued} <= raws
        assert self.bot.is_running
        self.world.record.verify()


@contextlib.contextmanager
def broken(on_disk: BotOnFailingDisk, kind: str) -> Iterator[None]:
    """Break the disk for as long as the block runs."""
    if kind == "no room for the file":
        files = [Path(f"{on_disk.world.folder}/twokey.db{end}") for end in ("", "-wal")]
        size = max(file.stat().st_size for file in files if file.exists())
        usual = resource.prlimit(on_disk.bot.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(on_disk.bot.pid, resource.RLIMIT_FSIZE, (min(size, 40_000), usual[1]))
        try:
            yield
        finally:
            resource.prlimit(on_disk.bot.pid, resource.RLIMIT_FSIZE, usual)
        return
    on_disk.order.write_text(kind)
    try:
        yield
    finally:
        on_disk.order.unlink()


def test_a_disk_that_fails_stops_the_acknowledgements_and_nothing_is_lost(
    worlds: Callable[..., Any], fork_server: ForkServer, proof: Any
) -> None:
    trials = proof(
        "R8",
        "a full, broken or read-only disk stops the acknowledgements and loses nothing",
        ci=16,
        release=160,
    )
    on_disk = BotOnFailingDisk(_with_a_quick_queue(worlds("sqlite", **FAST)), fork_server)
    kinds = [*FAULTS, "no room for the file"]
    for random in trials:
        kind = kinds[trials.number % len(kinds)]
        _some(on_disk, random)
        with broken(on_disk, kind):
            on_disk.refuses()
        on_disk.recovers()
        trials.outcome(kind)
    on_disk.world.proven()


def _with_a_quick_queue(world: Any) -> Any:
    sqs = world.company.client("sqs", "test")
    sqs.set_queue_attributes(QueueUrl=world.company.queue_url, Attributes={"VisibilityTimeout": "2"})
    return world


def _some(on_disk: BotOnFailingDisk, random: Random) -> None:
    for _ in range(random.randint(1, 10)):
        assert on_disk.sends() == 202


def test_a_wal_that_is_deleted_is_saved_before_anything_is_acknowledged(
    worlds: Callable[..., Any], fork_server: ForkServer, proof: Any
) -> None:
    """What is written into a deleted file is gone with the process: so it is killed right after the answers."""
    trials = proof(
        "R8", "a deleted WAL loses nothing that is acknowledged afterwards, nor before", ci=4, release=40
    )
    on_disk = BotOnFailingDisk(_with_a_quick_queue(worlds("sqlite", **FAST)), fork_server)
    for random in trials:
        _some(on_disk, random)
        Path(f"{on_disk.world.folder}/twokey.db-wal").unlink()
        on_disk.world.until(lambda: on_disk.sends() == 202, 120)
        _some(on_disk, random)
        on_disk.bot.kill()
        on_disk.world.record.close()
        on_disk.world._record = None
        on_disk.bot.start(ready_within=120)
        on_disk.is_kept()
        trials.outcome("WAL deleted")
    on_disk.world.proven()


def test_a_small_file_system_that_is_full_is_refused_and_recovered_from(
    worlds: Callable[..., Any], fork_server: ForkServer, proof: Any, tmp_path: Path
) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    with _mounted(mount):
        url = f"sqlite:///{mount}/twokey.db"
        world = _with_a_quick_queue(worlds("sqlite", TWOKEY_DATABASE_URL=url, **FAST))
        on_disk = BotOnFailingDisk(world, fork_server)
        for random in proof(
            "R8", "a full file system stops the acknowledgements and loses nothing", ci=2, release=20
        ):
            _some(on_disk, random)
            filler = mount / "filler"
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * 4096)
            on_disk.refuses()
            filler.unlink()
            on_disk.recovers()
        on_disk.world.close()


@contextlib.contextmanager
def _mounted(at: Path) -> Iterator[None]:
    mount = shutil.which("mount")
    made = mount and subprocess.run([mount, "-t", "tmpfs", "-o", "size=24m", "none", str(at)], check=False)
    if not made or made.returncode:
        pytest.skip("no file system may be mounted here; a limit on files stands in for it above")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)
