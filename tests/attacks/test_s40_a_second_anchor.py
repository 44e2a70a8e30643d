"""S40: who owns the database and Slack's token can write the past anew, and is found; an outsider finds it alone."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from typer.testing import CliRunner

from tests.lab import tsa
from tests.lab.authenticator import Device
from tests.lab.trials import Proof
from twokey.app.doctor import examine
from twokey.cli import audit
from twokey.core.errors import Tampered
from twokey.core.signals import Principal
from twokey.flow.stamping import require_stamp, stamps
from twokey.settings import load
from twokey.store import open_store
from twokey.testing.clocks import SettableClock
from twokey.testing.world import World
from twokey.timestamps import Rfc3161Stamper

from .tampering import Rows, SqliteTrail, chained, resealed

pytestmark = pytest.mark.skipif(tsa.OPENSSL is None, reason="needs openssl, which signs the stamps")

OTHERS = "the other customer's name is Initech"


def is_stamped(world: World) -> None:
    """Let an hour pass, and the process look whether a stamp is due."""
    world.clock.advance(3600)
    assert world.stamping.owe()
    world.works()


@dataclass(frozen=True)
class Stamped:
    """A record of two incidents, of which the first was contained and undone, with stamps in between."""

    record: Path
    authority: tsa.Authority
    packed: Path


@pytest.fixture(scope="module")
def stamped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stamped]:
    folder = tmp_path_factory.mktemp("stamped")
    with tsa.authority(folder / "tsa") as authority:
        clock = SettableClock()
        store = open_store(f"sqlite:///{folder / 'record.db'}", clock)
        stamper = Rfc3161Stamper(authority.url, authority.root)
        world = World(store=store, queue=store.jobs(), clock=clock, stamper=stamper)
        world.incident()
        other = world.incident("f2", principal=Principal("another", "IAMUser", "AKIAANOTHERANOTHER00"))
        assert other.id == "INC-2"
        is_stamped(world)
        plan = world.proposes("ana", incident="INC-1")
        world.response.note("INC-2", OTHERS, world.who("ana"))
        world.approves("ben", plan)
        world.works_on()
        assert world.plan(plan).state.value == "done"
        is_stamped(world)
        world.response.note("INC-1", "the key was in a notebook", world.who("ana"))
        is_stamped(world)
        world.response.note("INC-1", "nobody has stamped this yet", world.who("ana"))
        store.close()
        made = Stamped(folder / "record.db", authority, folder / "INC-1-evidence.zip")
        with pytest.MonkeyPatch.context() as patch:
            code, said = twokey(made, patch, "evidence", "inc-1", "--out", str(made.packed))
        assert code == 0, said
        yield made


def twokey(stamped: Stamped, patch: pytest.MonkeyPatch, *arguments: str, record: Path | None = None) -> Any:
    """Run `twokey audit` as somebody at the shell, with the authority's address unset: it is not asked."""
    patch.setenv("TWOKEY_DATABASE_URL", f"sqlite:///{record or stamped.record}")
    patch.setenv("TWOKEY_TSA_CA", str(stamped.authority.root))
    ran = CliRunner().invoke(audit.app, list(arguments))
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran.exit_code, ran.output


@pytest.fixture
def copy(stamped: Stamped, tmp_path: Path) -> Path:
    return Path(shutil.copy(stamped.record, tmp_path / "copy.db"))


def rewritten(rows: Rows, place: int) -> Rows:
    """Return a trail in which Mallory did what somebody else did, and that is perfect in itself."""
    mallory = resealed(rows[place], actor="p-mallory")
    return chained([*rows[:place], mallory, *rows[place + 1 :]], place, len(rows))


def test_s40_a_trail_that_was_written_anew_with_its_posted_heads_is_not_the_one_that_was_stamped(
    stamped: Stamped, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert twokey(stamped, monkeypatch, "stamps")[0] == 0
    trail = SqliteTrail(copy)
    made = rewritten(trail.rows(), 2)
    trail.write(made)
    trail.close()
    # who has the bot's token too draws the heads in Slack again: the chain and its heads say nothing
    head = f"{made[9][0]}:{made[9][10]}"
    assert twokey(stamped, monkeypatch, "verify", "--head", head, record=copy)[0] == 0
    code, said = twokey(stamped, monkeypatch, "stamps", record=copy)
    assert code == 1
    assert said.count("BROKEN: The audit trail is not the one that was stamped") == 3


def looked_at(record: Path, authority: tsa.Authority, **more: str) -> tuple[bool, str]:
    """Return what `twokey doctor` says of the time stamps."""
    settings = load(
        {
            "TWOKEY_DATABASE_URL": f"sqlite:///{record}",
            "TWOKEY_TSA_URL": authority.url,
            "TWOKEY_TSA_CA": str(authority.root),
            **more,
        }
    )
    (found,) = [one for one in examine(settings) if one.part == "time stamps"]
    return found.ok, found.says


def test_s40_the_doctor_sees_a_trail_written_anew_and_stamps_that_do_not_come(
    stamped: Stamped, copy: Path, tmp_path: Path
) -> None:
    ok, says = looked_at(copy, stamped.authority)
    assert not ok, "the last note is of a clock that stands in March"
    assert "has had no time stamp since 2026-03-02" in says
    trail = SqliteTrail(copy)
    trail.write(rewritten(trail.rows(), 2))
    trail.close()
    ok, says = looked_at(copy, stamped.authority)
    assert not ok
    assert "is not the one that was stamped" in says
    assert looked_at(tmp_path / "new.db", stamped.authority) == (
        True,
        f"none yet; asked: {stamped.authority.url}",
    )
    ok, says = looked_at(tmp_path / "new.db", stamped.authority, TWOKEY_TSA_CA=str(tmp_path / "none.pem"))
    assert not ok
    assert "cannot be read" in says
    ok, says = looked_at(copy, stamped.authority, TWOKEY_TSA_URL="")
    assert ok, "stamps are not everybody's"
    assert "can write the past anew" in says


def test_s40_whatever_is_written_anew_before_a_stamp_is_found(
    stamped: Stamped, copy: Path, proof: Proof
) -> None:
    trail = SqliteTrail(copy)
    rows = trail.rows()
    stamper = Rfc3161Stamper("", stamped.authority.root)
    with closing(open_store(f"sqlite:///{copy}", SettableClock())) as store:
        with store.read() as look:
            last = stamps(look)[-1]
        trials = proof("S40", "what is written anew before a stamp is found by it", ci=60, release=1_000)
        for random in trials:
            how = random.choice(["changed", "cut", "taken out"])
            place = random.randrange(last.seq - 1)
            made = rewritten(rows, place)
            if how == "cut":
                made = rows[:place]
            elif how == "taken out":
                made = chained([*rows[:place], *rows[place + 1 :]], place, len(rows) - 1)
            trail.write(made)
            assert store.verify()[0] == len(made)
            with store.read() as look, pytest.raises(Tampered, match="stamp_differs"):
                require_stamp(look, last, stamper)
            trials.outcome(how)
    trail.close()


def test_s40_a_stamp_for_the_past_cannot_be_had_today(stamped: Stamped, tmp_path: Path) -> None:
    """Who writes the trail anew can have it stamped: with today's date, by any authority that is honest."""
    other = tsa.Authority(tmp_path / "other")
    theirs = Rfc3161Stamper("http://mallory/", other.root, post=lambda _url, query: other.answer(query))
    _, answer = theirs.stamp(b"a trail of Mallory's")
    with pytest.raises(Tampered):
        Rfc3161Stamper("", stamped.authority.root).check(b"a trail of Mallory's", answer)


# what an outsider does with the file


@dataclass
class Pack:
    """The file that was handed out, taken apart."""

    files: dict[str, bytes]
    says: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path) -> Pack:
        with zipfile.ZipFile(path) as pack:
            files = {name: pack.read(name) for name in pack.namelist()}
        return cls(files, json.loads(files["evidence.json"]))

    def written(self, path: Path) -> Path:
        self.files["evidence.json"] = json.dumps(self.says).encode()
        with zipfile.ZipFile(path, "w") as pack:
            for name, content in self.files.items():
                pack.writestr(name, content)
        return path

    def entry(self, action: str) -> int:
        """Return the place of the last entry with this action."""
        return max(at for at, line in enumerate(self.says["entries"]) if f'"action":"{action}"' in line)

    def reseal(self, place: int, change: Callable[[dict[str, Any]], object]) -> None:
        """Change an entry and give it, and all behind it that follow directly, the hashes that are right for them."""
        lines, previous, seq = self.says["entries"], "", 0
        for at in range(place, len(lines)):
            entry = json.loads(lines[at])
            if at == place:
                change(entry)
            elif entry["seq"] == seq + 1:
                entry["previous"] = previous
            else:
                return
            del entry["hash"]
            previous, seq = hashlib.sha256(rfc8785.dumps(entry)).hexdigest(), entry["seq"]
            lines[at] = rfc8785.dumps({**entry, "hash": previous}).decode()


_ALONE = """
import runpy, sys
try:
    runpy.run_path({script!r}, run_name="__main__")
finally:
    strange = [name for name in sys.modules if name.partition(".")[0] not in sys.stdlib_module_names
               and name not in ("__main__", "sitecustomize")]
    print("strange modules:", strange)
"""


def verified(pack: Path, folder: Path, script: bytes | None = None) -> tuple[int, str]:
    """Run the verifier of the pack as an outsider does: no site-packages, no twokey, an empty folder."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(pack) as opened:
        (folder / "verify.py").write_bytes(script or opened.read("verify.py"))
    code = _ALONE.format(script=str(folder / "verify.py"))
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(pack)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "strange modules: []" in ran.stdout, ran.stdout + ran.stderr
    return ran.returncode, ran.stdout + ran.stderr


def test_s40_what_is_handed_out_is_verified_without_us(stamped: Stamped, tmp_path: Path) -> None:
    code, said = verified(stamped.packed, tmp_path / "elsewhere")
    assert code == 0, said
    assert "held" in said
    assert re.search(r"INC-1: \d+ entries, 1 plans, 3 stamps", said)
    assert "NOT STAMPED: entries" in said, "the last note"
    assert "d-ana (proposer), d-ben (approver)" in said
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(stamped.packed) as pack:
        pack.extractall(folder)
    assert verified(stamped.packed, folder)[0] == 0
    ran = subprocess.run([sys.executable, "-I", "verify.py"], cwd=folder, check=False, capture_output=True)
    assert ran.returncode == 0, ran.stderr


def test_s40_the_verifier_needs_nothing_but_python(stamped: Stamped) -> None:
    tree = ast.parse(Pack.of(stamped.packed).files["verify.py"])
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


def test_s40_nothing_of_another_incident_is_handed_out(stamped: Stamped) -> None:
    pack = Pack.of(stamped.packed)
    every = b"".join(pack.files.values())
    assert b"INC-1" in every
    for word in (OTHERS, "INC-2", "AKIAANOTHERANOTHER00"):
        assert word.encode() not in every


def _entry_changed(pack: Pack) -> str:
    at = pack.entry("noted")
    pack.says["entries"][at] = pack.says["entries"][at].replace("nobody", "somebody")
    return r"entry \d+ was changed"


def _entry_changed_and_sealed(pack: Pack) -> str:
    pack.reseal(pack.entry("approved"), lambda entry: entry.update(actor="d-cho"))
    return r"the entries up to \d+ are not those that were stamped"


def _entry_taken_out(pack: Pack) -> str:
    del pack.says["entries"][pack.entry("step.verified")]
    return r"the entries up to \d+ are not those that were stamped"


def _entry_put_in(pack: Pack) -> str:
    pack.says["entries"].insert(1, pack.says["entries"][0])
    return r"entry \d+ is out of order"


def _entry_of_another(pack: Pack) -> str:
    pack.reseal(len(pack.says["entries"]) - 1, lambda entry: entry.update(incident="INC-2"))
    return r"entry \d+ is of another incident"


def _plan_changed(pack: Pack) -> str:
    plan = pack.says["plans"][0]
    assert "Inactive" in plan["confirmed"]
    plan["confirmed"] = plan["confirmed"].replace("Inactive", "Active")
    return r"plan-\w+ was changed: it is not what its digest says"


def _plan_and_digest_changed(pack: Pack) -> str:
    _plan_changed(pack)
    plan = pack.says["plans"][0]
    plan["digest"] = hashlib.sha256(plan["confirmed"].encode()).hexdigest()
    for key in plan["keys"]:
        key["digest"] = plan["digest"]
    return r"entry \d+ \(approved\) is for another digest"


def _key_removed(pack: Pack) -> str:
    del pack.says["plans"][0]["keys"][1]
    return r"the key of d-ben \(entry \d+\) is missing"


def _proposers_key_removed(pack: Pack) -> str:
    del pack.says["plans"][0]["keys"][0]
    return r"the key of d-ana \(entry \d+\) is missing"


def _key_added(pack: Pack) -> str:
    keys = pack.says["plans"][0]["keys"]
    keys.append({**keys[1], "person_id": "d-cho"})
    return r"no entry \(approved\) says that d-cho turned a key"


def _key_for_another(pack: Pack) -> str:
    pack.says["plans"][0]["keys"][1]["digest"] = "0" * 64
    return r"the key of d-ben is for another digest"


def _step_removed(pack: Pack) -> str:
    step = pack.says["plans"][0]["steps"].pop()
    return rf"step {re.escape(step['step_id'])} \(entry \d+\) is missing"


def _write(pack: Pack) -> dict[str, Any]:
    steps: list[dict[str, Any]] = pack.says["plans"][0]["steps"]
    return next(step for step in steps if step["prior"])


def _before_changed(pack: Pack) -> str:
    step = _write(pack)
    step["prior"] = dict.fromkeys(step["prior"], "as Mallory has it")
    return rf"the state before of step {step['step_id']} is not what entry \d+ says"


def _after_changed(pack: Pack) -> str:
    step = _write(pack)
    step["seen"] = {"found": "never"}
    return rf"the state after of step {step['step_id']} is not what entry \d+ says"


def _call_changed(pack: Pack) -> str:
    step = _write(pack)
    step["inputs"] = {**step["inputs"], "user_name": "mallory"}
    return rf"the call of step {step['step_id']} is not what entry \d+ says"


def _answer_changed(pack: Pack) -> str:
    step = _write(pack)
    step["outputs"] = {"user_name": "mallory"}
    return rf"the answer of step {step['step_id']} is not what entry \d+ says"


def _seqs(pack: Pack) -> list[int]:
    return [stamp["seq"] for stamp in pack.says["stamps"]]


def _stamps_swapped(pack: Pack) -> str:
    one, other, *_ = (f"stamps/{seq}.tsr" for seq in _seqs(pack))
    pack.files[one], pack.files[other] = pack.files[other], pack.files[one]
    return r"the stamp over entry \d+ is over another text"


def _stamp_moved_to_another_moment(pack: Pack) -> str:
    pack.says["stamps"][0]["at"] = "2020-01-01T00:00:00+00:00"
    return r"the stamp over entry \d+ states another moment"


def _stamped_text_changed(pack: Pack) -> str:
    name = f"stamps/{_seqs(pack)[0]}.txt"
    pack.files[name] = pack.files[name].replace(b'"seq":', b'"seq" :')
    return r"the stamp over entry \d+ is over another text"


def _stamp_signed_by_nobody(pack: Pack) -> str:
    name = f"stamps/{_seqs(pack)[0]}.tsr"
    answer = bytearray(pack.files[name])
    answer[-1] ^= 1
    pack.files[name] = bytes(answer)
    return r"the stamp over entry \d+ is not signed by whom authority.pem names"


def _head_changed(pack: Pack) -> str:
    pack.says["stamps"][0]["hash"] = "0" * 64
    return r"the stamp over entry \d+ is of another head"


def _never_approved(pack: Pack) -> str:
    del pack.says["entries"][pack.entry("approved")]
    return r"plan-\w+ ran with \['d-ana'\] behind it, which is too few"


# a key that is a signature of its person's passkey


def signed(pack: Pack, **changes: str) -> None:
    """Let ben's key be signed as a passkey does it, but for what `changes` say was signed instead."""
    (plan,) = pack.says["plans"]
    key, device = plan["keys"][1], Device.of_rsa() if changes.get("makes") == "rsa" else Device()
    said = {"plan": plan["id"], "digest": plan["digest"], "person": "d-ben", "nonce": "n1", **changes}
    text = "\n".join(("twokey key", said["plan"], said["digest"], said["person"], said["nonce"]))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    client = json.dumps({"type": changes.get("type", "webauthn.get"), "challenge": challenge}).encode()
    data = hashlib.sha256(b"bot.example.com").digest() + bytes([int(changes.get("flags", "5"))]) + bytes(4)
    key["assertion"] = {
        "credential": "c1",
        "nonce": "n1",
        "client_data": client.hex(),
        "authenticator_data": data.hex(),
        "signature": device.signature(data + hashlib.sha256(client).digest()).hex(),
    }
    pack.says["passkeys"] = {"d-ben": {"c1": device.passkey.public_key}}
    pack.says["stamps"] = []  # this incident's entries are others now
    pack.reseal(pack.entry("approved"), lambda entry: entry["data"].update(passkey=key["assertion"]))


@pytest.mark.parametrize("makes", ["", "rsa"])
def test_s40_a_key_that_is_a_signature_is_verified_with_the_public_key_alone(
    stamped: Stamped, tmp_path: Path, makes: str
) -> None:
    pack = Pack.of(stamped.packed)
    signed(pack, makes=makes)
    code, said = verified(pack.written(tmp_path / "signed.zip"), tmp_path / "elsewhere")
    assert code == 0, said
    assert "signed with the passkeys of d-ben" in said


def _another_digest_signed(pack: Pack) -> str:
    signed(pack, digest="0" * 64)
    return "the passkey of d-ben signed something else"


def _another_plan_signed(pack: Pack) -> str:
    signed(pack, plan="plan-0")
    return "the passkey of d-ben signed something else"


def _a_passkey_made_and_not_used(pack: Pack) -> str:
    signed(pack, type="webauthn.create")
    return "the passkey of d-ben signed something else"


def _signed_without_its_person(pack: Pack) -> str:
    signed(pack, flags="1")
    return "the passkey of d-ben signed without its person"


def _signature_of_another_key(pack: Pack) -> str:
    signed(pack)
    theirs = pack.says["passkeys"]
    del pack.says["plans"][0]["keys"][1]["assertion"]
    signed(pack)
    pack.says["passkeys"] = theirs
    return "the passkey of d-ben did not make its signature"


def _public_key_missing(pack: Pack) -> str:
    signed(pack)
    pack.says["passkeys"] = {}
    return "the passkey of d-ben is not among the public keys that were handed out"


def _signature_taken_away(pack: Pack) -> str:
    signed(pack)
    del pack.says["plans"][0]["keys"][1]["assertion"]
    return r"what d-ben signed is not what entry \d+ says"


WAYS = (
    _another_digest_signed,
    _another_plan_signed,
    _a_passkey_made_and_not_used,
    _signed_without_its_person,
    _signature_of_another_key,
    _public_key_missing,
    _signature_taken_away,
    _entry_changed,
    _entry_changed_and_sealed,
    _entry_taken_out,
    _entry_put_in,
    _entry_of_another,
    _plan_changed,
    _plan_and_digest_changed,
    _key_removed,
    _proposers_key_removed,
    _key_added,
    _key_for_another,
    _step_removed,
    _before_changed,
    _after_changed,
    _call_changed,
    _answer_changed,
    _stamps_swapped,
    _stamp_moved_to_another_moment,
    _stamped_text_changed,
    _stamp_signed_by_nobody,
    _head_changed,
    _never_approved,
)


@pytest.mark.parametrize("change", WAYS, ids=lambda way: way.__name__.strip("_"))
def test_s40_what_was_changed_after_it_was_handed_out_is_named(
    stamped: Stamped, tmp_path: Path, change: Callable[[Pack], str], proof: Proof
) -> None:
    for _ in (trials := proof("S40", "evidence that was changed is found by its verifier alone, and named")):
        pack = Pack.of(stamped.packed)
        wanted = change(pack)
        code, said = verified(pack.written(tmp_path / "changed.zip"), tmp_path / "elsewhere")
        assert code == 1, said
        assert re.search(rf"^BROKEN .*{wanted}", said, re.MULTILINE), said
        trials.outcome("named")


def test_s40_a_file_that_is_no_evidence_is_said_to_be_none(stamped: Stamped, tmp_path: Path) -> None:
    whole = Pack.of(stamped.packed)
    for name in ("evidence.json", f"stamps/{_seqs(whole)[0]}.tsr", f"stamps/{_seqs(whole)[0]}.txt"):
        pack = Pack.of(stamped.packed)
        pack.files[name] = b"\x30\x82nothing"
        path = tmp_path / "broken.zip"
        with zipfile.ZipFile(path, "w") as made:
            for file, content in pack.files.items():
                made.writestr(file, content)
        code, said = verified(path, tmp_path / "elsewhere")
        assert code == 2, (name, said)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE plan SET body = replace(body, 'Inactive', 'Active')",
        "DELETE FROM approval WHERE person_id = 'd-ben'",
        "UPDATE step_record SET body = replace(body, '\"Active\"', '\"Inactive\"')",
    ],
)
def test_s40_rows_that_were_changed_before_are_named_when_the_evidence_is_made(
    stamped: Stamped, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    with closing(sqlite3.connect(copy)) as db:
        db.execute(statement)
        db.commit()
    code, said = twokey(
        stamped, monkeypatch, "evidence", "INC-1", "--out", str(tmp_path / "made.zip"), record=copy
    )
    assert code == 1, said
    assert "BROKEN" in said
    assert verified(tmp_path / "made.zip", tmp_path / "elsewhere")[0] == 1


def test_s40_stamps_are_kept_elsewhere_in_the_form_that_openssl_reads(
    stamped: Stamped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = twokey(stamped, monkeypatch, "stamps", "--out", str(tmp_path / "kept"))
    assert code == 0
    assert said.count("held") == 3
    answer = sorted((tmp_path / "kept").glob("*.tsr"))[0]
    command = [
        *(str(tsa.OPENSSL), "ts", "-verify", "-in", str(answer), "-data", str(answer.with_suffix(".txt"))),
        *("-CAfile", str(stamped.authority.root)),
    ]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_s40_an_evidence_file_is_never_written_over(
    stamped: Stamped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWOKEY_DATABASE_URL", f"sqlite:///{stamped.record}")
    ran = CliRunner().invoke(audit.app, ["evidence", "INC-1", "--out", str(stamped.packed)])
    assert "audit.file_there" in str(ran.exception)
