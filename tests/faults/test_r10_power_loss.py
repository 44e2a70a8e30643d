"""R10: the power goes. What was acknowledged is on the disk, and what was not leaves nothing half.

A power cut takes of what was written and not yet synced all, some, or the second half of a page, file by file. The
model: everything that the store's SQLite writes and syncs is recorded while notifications are received, changed and
checkpointed; the files are built again as a disk may hold them at a random instant, and opened as after a restart.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.lab.sqlite_vfs import OK, VfsShim
from twokey.core.people import system
from twokey.core.signals import RawNotification, RawState, raw_id
from twokey.store import open_store
from twokey.testing.clocks import SystemClock

SECTOR = 512  # what a disk writes whole
ROUNDS = 130  # enough for several checkpoints, which move the WAL into the file while others write
SOURCE = "aws.sqs:power"


@dataclass(frozen=True)
class Op:
    """One thing that was asked of the disk, or an acknowledgement that went out."""

    what: str  # "write" | "truncate" | "sync" | "acked"
    file: str = ""
    at: int = 0
    data: bytes = b""
    ids: tuple[str, ...] = ()


@dataclass
class Recording:
    """Everything in order, from the moment at which the record was set up and empty."""

    begin: dict[str, bytes]
    ops: list[Op] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, op: Op) -> None:
        with self.lock:
            self.ops.append(op)


def raws(round_: int, count: int) -> list[RawNotification]:
    clock = SystemClock()
    bodies = [f"{round_}:{n}:".encode() + b"x" * 5000 for n in range(count)]
    return [RawNotification(raw_id(SOURCE, body), SOURCE, body, clock.now()) for body in bodies]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Receive, sort and mark jobs, as the bot does, on a disk that is watched."""
    folder = tmp_path_factory.mktemp("power")
    url, clock = f"sqlite:///{folder}/twokey.db", SystemClock()
    open_store(url, clock).close()  # the tables are there before anything is promised
    made = Recording({"twokey.db": (folder / "twokey.db").read_bytes()})

    def listen(what: str, file: str, number: int, data: bytes) -> int:
        made.note(Op(what, Path(file).name, number, data))
        return OK

    with VfsShim(listen):
        store = open_store(url, clock)
        queue = store.jobs()
        for round_ in range(ROUNDS):
            batch = raws(round_, 1 + round_ % 4)
            store.receive(batch, system("intake"))
            made.note(Op("acked", ids=tuple(raw.id for raw in batch)))
            taken = queue.take("worker", clock.now(), clock.now())  # a mark, which needs no sync of its own
            with store.change() as tx:
                tx.put(replace(batch[0], state=RawState.SORTED))
                tx.append(system("intake"), "sorted", data={"raw": batch[0].id})
            made.note(Op("acked", ids=(f"sorted {batch[0].id}",)))
            if taken is not None:
                queue.done(taken)
        made.note(Op("acked"))
        store.close()
    return made


def after_the_cut(recording: Recording, cut: int, random: Random) -> tuple[dict[str, bytes], set[str]]:
    """Return the files as a disk may hold them after `cut` operations, and what had been acknowledged by then."""
    files = {name: bytearray(content) for name, content in recording.begin.items()}
    waiting: dict[str, list[Op]] = {}
    acked: set[str] = set()
    for op in recording.ops[:cut]:
        if op.what == "acked":
            acked.update(op.ids)
        elif op.what == "sync":
            for earlier in waiting.pop(op.file, []):
                _do(files, earlier)
        else:
            waiting.setdefault(op.file, []).append(op)
    for ops in waiting.values():
        kept = random.choice((0.0, 0.5, 0.9, 1.0))
        for op in ops:
            if random.random() < kept:
                torn = random.random() < 0.1
                _do(files, replace(op, data=op.data[: _sectors(op.data, random)]) if torn else op)
    return {name: bytes(content) for name, content in files.items()}, acked


def _sectors(data: bytes, random: Random) -> int:
    return SECTOR * random.randint(0, len(data) // SECTOR)


def _do(files: dict[str, bytearray], op: Op) -> None:
    content = files.setdefault(op.file, bytearray())
    if op.what == "truncate":
        del content[op.at :]
        return
    if len(content) < op.at:
        content.extend(bytes(op.at - len(content)))
    content[op.at : op.at + len(op.data)] = op.data


def judged(folder: Path, acked: set[str]) -> int:
    """Open the record as a restart does: all that was acknowledged is there, and nothing is there by half."""
    store = open_store(f"sqlite:///{folder}/twokey.db", SystemClock())
    try:
        with store.read() as look:
            rows = {raw.id: raw for raw in look.find(RawNotification, limit=10_000)}
            trail = look.audit(limit=10_000)
        received = {str(entry.data["raw"]) for entry in trail if entry.action == "received"}
        are_sorted = {str(entry.data["raw"]) for entry in trail if entry.action == "sorted"}
        assert acked <= set(rows) | {f"sorted {raw}" for raw in are_sorted}
        assert received == set(rows)
        assert are_sorted == {key for key, raw in rows.items() if raw.state is RawState.SORTED}
        assert store.verify()[0] == len(trail)
        with contextlib.closing(sqlite3.connect(folder / "twokey.db")) as database:
            payloads = [json.loads(row[0]) for row in database.execute("SELECT payload FROM job")]
        owed = [raw for payload in payloads for raw in payload.get("raw_ids", payload.get("raw_id")).split()]
        assert sorted(owed) == sorted(rows)
        return len(rows)
    finally:
        store.close()


def test_what_was_acknowledged_is_on_the_disk_after_a_power_cut(
    recording: Recording, tmp_path: Path, proof: Any
) -> None:
    assert any(op.what == "sync" and op.file == "twokey.db" for op in recording.ops), "no checkpoint was seen"
    promise = "what was acknowledged is there after a power cut that takes what was not synced"
    trials = proof("R10", promise, ci=100, release=1000)
    for random in trials:
        cut = random.randint(1, len(recording.ops))
        files, acked = after_the_cut(recording, cut, random)
        folder = tmp_path / str(trials.number)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        trials.outcome("notifications found again", judged(folder, acked))


def test_a_store_that_did_not_sync_would_be_found(recording: Recording, tmp_path: Path) -> None:
    """The same recording without the WAL's syncs: the model must be able to lose something."""
    careless = Recording(
        recording.begin, [op for op in recording.ops if op.what != "sync" or op.file != "twokey.db-wal"]
    )
    lost = 0
    for number in range(20):
        random = Random(number)
        files, acked = after_the_cut(careless, random.randint(1, len(careless.ops)), random)
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        try:
            judged(folder, acked)
        except Exception:
            lost += 1
    assert lost > 0
