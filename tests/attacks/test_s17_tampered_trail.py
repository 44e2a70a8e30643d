"""S17: whoever can write to the database cannot change the trail unseen: 10,000 ways tried, each found."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.lab.installation import Installation
from tests.lab.trials import Proof
from twokey import app as wiring
from twokey import settings
from twokey.core.errors import Tampered, Unavailable
from twokey.demo.company import BUCKETS
from twokey.store import SqlStore

from .tampering import SEALED, PostgresTrail, Rows, SqliteTrail, chained, changed, first_difference, resealed

SEAL = re.compile(r"audit (\d+) · ([0-9a-f]{24})")


@pytest.fixture(scope="module")
def told(shared: Installation) -> Installation:
    """An incident that was contained by two people, and the bot is at rest: a trail with everything in it."""
    world = shared
    card = world.propose()
    world.key(world.ben, card)
    world.ends(world.plan_id(card), "done")
    world.ana.command("/twokey", "note INC-1 the key was in a notebook", world.security)
    world.webhook(b'{"schemaId": "nobody knows it"}')
    world.quiet()
    world.bots[-1].stop()
    return world


@pytest.fixture
def copy(told: Installation, tmp_path: Path) -> Path:
    """A copy of the stopped bot's record, in one file."""
    path = tmp_path / "copy.db"
    with closing(sqlite3.connect(told.folder / "twokey.db")) as db:
        db.execute("VACUUM INTO ?", (str(path),))
    return path


@contextmanager
def opened(url: str) -> Iterator[SqlStore]:
    """Open a record as `twokey audit verify` does."""
    store = wiring.look_at_record(settings.load({"TWOKEY_DATABASE_URL": url}))
    try:
        yield store
    finally:
        store.close()


def posted_heads(world: Installation) -> list[tuple[int, str]]:
    """Return the heads that stand in the thread, where the bot itself cannot change what was read."""
    return sorted((int(seq), digest) for seq, digest in SEAL.findall(world.thread_text()))


def assert_found(store: SqlStore, rows: Rows, made: Rows, how: str) -> None:
    with pytest.raises(Tampered) as found:
        store.verify()
    named, first = int(found.value.message.params["seq"]), first_difference(rows, made)
    assert named > first if how in SEALED else named == first, (how, named, first)


def test_ten_thousand_changes_in_place_are_all_found_and_the_first_is_named(
    told: Installation, copy: Path, proof: Proof
) -> None:
    trail = SqliteTrail(copy)
    rows = trail.rows()
    assert len(rows) > 40
    assert len({row[6] for row in rows}) > 1
    with opened(f"sqlite:///{copy}") as store:
        assert store.verify() == (len(rows), rows[-1][10])
        trials = proof("S17", "a change in place is found", ci=10_000)
        for random in trials:
            how, made = changed(rows, random)
            trail.write(made)
            assert_found(store, rows, made, how)
            trials.outcome(f"found: {how}")
        trail.write(rows)
        assert store.verify() == (len(rows), rows[-1][10])
    trail.close()


def test_the_command_names_what_was_changed_and_exits_1(told: Installation, copy: Path, proof: Proof) -> None:
    trail = SqliteTrail(copy)
    rows = trail.rows()
    url = f"sqlite:///{copy}"
    whole = told.twokey("audit", "verify", "--database-url", url)
    assert whole.returncode == 0, whole.stderr
    trials = proof("S17", "`twokey audit verify` exits 1 and names the entry", ci=8, release=200)
    for random in trials:
        how, made = changed(rows, random)
        trail.write(made)
        ran = told.twokey("audit", "verify", "--database-url", url)
        assert ran.returncode == 1, (how, ran.stdout, ran.stderr)
        assert not ran.stderr, (how, ran.stderr)
        if how not in SEALED:
            assert str(first_difference(rows, made)) in ran.stdout, (how, ran.stdout)
        trials.outcome("exit 1")
    trail.close()


def test_a_cut_tail_an_older_copy_and_a_rewritten_trail_differ_from_the_head_in_the_thread(
    told: Installation, copy: Path, proof: Proof
) -> None:
    trail = SqliteTrail(copy)
    rows = trail.rows()
    heads = posted_heads(told)
    assert heads, told.thread_text()
    last = heads[-1]
    with opened(f"sqlite:///{copy}") as store:
        for head in heads:
            assert store.verify(head=head)[0] == len(rows)
        trials = proof("S17", "a cut tail, an older copy or a rewritten trail is found", ci=1_000)
        for random in trials:
            left = random.randrange(last[0])
            how = random.choice(["cut", "older copy that went on", "rewritten from an entry on"])
            made = rows[:left]
            if how == "older copy that went on":
                later = [resealed(row, action="noted", data='{"n":1}') for row in rows[left:]]
                made = chained([*made, *later], left, len(rows))
            elif how == "rewritten from an entry on":
                place = random.randrange(last[0])
                made = chained([*rows[:place], _mallorys(rows[place]), *rows[place + 1 :]], place, len(rows))
            trail.write(made)
            assert store.verify()[0] == len(made)  # alone it proves itself: that is why heads are posted
            with pytest.raises(Tampered) as found:
                store.verify(head=last)
            code = found.value.message.code
            assert code == ("audit.cut" if how == "cut" else "audit.head_differs")
            trials.outcome(how)
        trail.write(rows[: last[0] - 1])
    trail.close()
    url = f"sqlite:///{copy}"
    ran = told.twokey("audit", "verify", "--head", f"{last[0]}:{last[1]}", "--database-url", url)
    assert (ran.returncode, ran.stderr) == (1, "")
    assert str(last[0]) in ran.stdout


def _mallorys(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return resealed(row, actor="p-mallory")


def test_a_bit_flipped_anywhere_in_the_file_is_found_or_not_in_the_trail(
    copy: Path, tmp_path: Path, proof: Proof
) -> None:
    with closing(sqlite3.connect(copy)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    whole = copy.read_bytes()
    rows = _rows_of(copy)
    broken = tmp_path / "broken.db"
    trials = proof("S17", "a bit flipped in the file is found, or is not in the trail", ci=400, release=5_000)
    for random in trials:
        raw = bytearray(whole)
        raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
        for name in ("broken.db-wal", "broken.db-shm", "broken.db-journal"):
            (tmp_path / name).unlink(missing_ok=True)
        broken.write_bytes(raw)
        try:
            with opened(f"sqlite:///{broken}") as store:
                store.verify()
        except Tampered:
            trials.outcome("found")
        except Unavailable:
            trials.outcome("the file cannot be read")
        else:
            assert _rows_of(broken) == rows
            trials.outcome("not in the trail")


def _rows_of(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return list(db.execute("SELECT * FROM audit_entry ORDER BY seq"))


CHANGES = (
    "UPDATE audit_entry SET actor = 'p-mallory' WHERE seq = 2",
    "UPDATE audit_entry SET seq = seq + 1000",
    "DELETE FROM audit_entry WHERE seq = (SELECT max(seq) FROM audit_entry)",
    "DELETE FROM audit_entry",
    'INSERT INTO audit_entry SELECT seq + 100000, at, actor, team, "user", action, incident_id, plan_id,'
    " data, previous, hash FROM audit_entry WHERE seq = 2",
    'INSERT INTO audit_entry SELECT -seq, at, actor, team, "user", action, incident_id, plan_id, data,'
    " previous, hash FROM audit_entry WHERE seq = 2",
)
SQLITE_CHANGES = (
    *CHANGES,
    "INSERT OR REPLACE INTO audit_entry SELECT * FROM audit_entry WHERE seq = 2",
    "REPLACE INTO audit_entry SELECT seq, at, 'p-mallory', team, \"user\", action, incident_id, plan_id, data,"
    " previous, hash FROM audit_entry WHERE seq = (SELECT max(seq) FROM audit_entry)",
    "INSERT INTO audit_entry SELECT * FROM audit_entry WHERE seq = 2 ON CONFLICT (seq)"
    " DO UPDATE SET actor = 'p-mallory'",
    "UPDATE OR REPLACE audit_entry SET seq = 1 WHERE seq = 2",
    "UPDATE OR IGNORE audit_entry SET actor = 'p-mallory'",
)
POSTGRES_CHANGES = (
    *CHANGES,
    "TRUNCATE audit_entry",
    "TRUNCATE audit_entry CASCADE",
    "INSERT INTO audit_entry SELECT * FROM audit_entry WHERE seq = 2 ON CONFLICT (seq)"
    " DO UPDATE SET actor = 'p-mallory'",
    "WITH gone AS (DELETE FROM audit_entry RETURNING *) SELECT * FROM gone",
)


def test_sqlite_refuses_to_change_the_trail(copy: Path, proof: Proof) -> None:
    rows = _rows_of(copy)
    trials = proof("S17", "the database refuses to change the trail", ci=len(SQLITE_CHANGES))
    for _ in trials:
        statement = SQLITE_CHANGES[trials.number % len(SQLITE_CHANGES)]
        with closing(sqlite3.connect(copy)) as db:
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(statement)
            db.commit()
        assert _rows_of(copy) == rows, statement
        trials.outcome("refused")


def test_postgres_refuses_to_change_the_trail_and_what_its_owner_changes_is_found(
    worlds: Callable[..., Installation], proof: Proof
) -> None:
    world = worlds("postgres")
    bot = world.bot()
    world.attack(BUCKETS[:2])
    world.ana.command("/twokey", "note INC-1 somebody looks into it", world.security)
    world.until(lambda: posted_heads(world))
    world.webhook(b'{"schemaId": "nobody knows it"}')
    world.quiet()
    bot.stop()
    url = world.database_url
    trials = proof("S17", "the database refuses to change the trail", ci=len(POSTGRES_CHANGES))
    for _ in trials:
        statement = POSTGRES_CHANGES[trials.number % len(POSTGRES_CHANGES)]
        with psycopg.connect(url) as db, pytest.raises(psycopg.errors.IntegrityError):
            db.execute(statement)
        trials.outcome("refused")
    world.proven()
    head = posted_heads(world)[-1]
    with closing(PostgresTrail(url)) as trail, opened(url) as store:
        rows = trail.rows()
        trials = proof("S17", "a change in place is found", ci=500, release=10_000)
        for random in trials:
            how, made = changed(rows, random)
            while any(isinstance(cell, bytes) or "\0" in str(cell) for row in made for cell in row):
                how, made = changed(rows, random)  # Postgres takes no bytes for text
            trail.write(made)
            assert_found(store, rows, made, how)
            trials.outcome(f"found: {how}")
        trail.write(rows[: head[0] - 1])
        with pytest.raises(Tampered):
            store.verify(head=head)


def test_a_copy_of_the_record_is_the_record(copy: Path, told: Installation) -> None:
    """The suite would prove nothing on a file of its own making."""
    with closing(sqlite3.connect(told.folder / "twokey.db")) as db:
        assert list(db.execute("SELECT * FROM audit_entry ORDER BY seq")) == _rows_of(copy)
