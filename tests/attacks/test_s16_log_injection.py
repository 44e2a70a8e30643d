"""S16: one event is one line, each line can be parsed, and nobody can write a line of their own."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.lab.commands import Commands
from tests.lab.installation import Installation, installed
from tests.lab.trials import Proof
from twokey.core.incidents import Incident
from twokey.core.signals import RawNotification
from twokey.demo.emulators import Ministack

from .conftest import QUICK
from .hostile import at_every_place, hidden_in

FORGED = "2026-01-01 00:00:00,000 CRITICAL twokey: FORGED"
BREAKS = {
    "LF": f"a\n{FORGED}",
    "CR": f"a\r{FORGED}",
    "CR LF": f"a\r\n\r\n{FORGED}",
    "NEL": f"a\x85{FORGED}",
    "line separator": f"a\u2028{FORGED}",
    "paragraph separator": f"a\u2029{FORGED}",
    "vertical tab": f"a\x0b{FORGED}",
    "form feed": f"a\x0c{FORGED}",
    "file separator": f"a\x1c{FORGED}\x1d\x1e",
    "ANSI": f"a\x1b[2K\x1b[1G{FORGED}\x1b[0m",
    "C1": f"a\x9b2K{FORGED}",
    "backspace": f"a{chr(8) * 200}{FORGED}",
    "JSON": f'a","level":"CRITICAL","message":"{FORGED}"}}\n{{"x":"',
    "JSON, escaped": f'a\\n{FORGED}\\"',
    "NUL": f"a\0\n{FORGED}",
    "bidi": f"a\u202e{FORGED}\u2066",
    "percent": "%s %d %(x)s %n {} {0} {levelname}\n" + FORGED,
}
LINE = re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+: ")


@pytest.fixture(scope="module")
def world(aws: Ministack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("world"), aws, settings=QUICK) as made:
        made.bot()
        made.attack()
        yield made


def send(world: Installation, target: str, headers: dict[str, str], body: bytes) -> None:
    link = http.client.HTTPConnection("127.0.0.1", world.bots[-1].port, timeout=30)
    with suppress(OSError, http.client.HTTPException):
        link.putrequest("POST", "/", skip_host=True)
        link._buffer[0] = f"POST {target} HTTP/1.1".encode("utf-8", "surrogateescape")  # type: ignore[attr-defined]
        for name, value in ({"Host": "x", "Content-Length": str(len(body))} | headers).items():
            link._buffer.append(f"{name}: {value}".encode("utf-8", "surrogateescape"))  # type: ignore[attr-defined]
        link.endheaders(body)
        link.getresponse().read()
    link.close()


def test_nobody_can_write_a_line_of_the_log(world: Installation, proof: Proof) -> None:
    trials = proof("S16", "one event is one line of the log", ci=len(BREAKS))
    from random import Random

    for (name, text), _ in zip(BREAKS.items(), trials, strict=True):
        flat = text.encode("utf-8").decode("latin-1")
        quoted = "".join(f"%{byte:02x}" for byte in text.encode())
        send(world, f"/azure/{quoted}", {}, b"{}")
        send(world, f"/{flat}", {"X-Forwarded-For": flat, "User-Agent": flat}, b"{}")
        send(world, "/slack/events", {"X-Slack-Signature": flat, "Upgrade": flat}, text.encode())
        assert world.webhook(text.encode()) == 202
        assert world.webhook(json.dumps({"schemaId": text, "data": {"essentials": text}}).encode()) == 202
        for command in (f"note INC-1 {text}", text, f"contain INC-1 {text}", f"show {text}"):
            world.ana.command("/twokey", command, world.security)
        trials.outcome(name)
    random = Random(16)
    world.company.notify(
        [json.dumps(at_every_place("guardduty-access-key", turn, random)) for turn in range(6)]
    )
    world.roster.write_text(f"people: [{BREAKS['ANSI']}]")  # and what is told of our own files
    world.ana.command("/twokey", "list", world.security)
    world.quiet(120)
    text = world.log()
    assert not hidden_in(text), hidden_in(text)[:5]
    for line in text.split("\n")[:-1]:
        assert LINE.match(line), line[:300]
        assert not line.startswith("2026-01-01 00:00:00,000"), line
        assert "FORGED" not in line or LINE.match(line)
    assert text.splitlines() == text.removesuffix("\n").split("\n"), "some reader would see more lines"


def test_every_line_for_machines_is_one_object(world: Installation, proof: Proof) -> None:
    trials = proof("S16", "every line for machines is one JSON object", ci=0)
    with Commands() as shell:
        exported = shell.run(world.folder, world.variables, "audit", "export")
        assert exported.code == 0, exported.err
        entries = [json.loads(line) for line in exported.out.split("\n")[:-1]]
        assert [entry["seq"] for entry in entries] == list(range(1, len(world.audit()) + 1))
        listed = shell.run(world.folder, world.variables, "incidents", "list", "all", "--json")
        known = {incident.id for incident in world.find(Incident)}
        assert {json.loads(line)["id"] for line in listed.out.splitlines()} <= known
        path = world.folder / "events.jsonl"
        events = [json.dumps({"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": {"type": text, "title": text}}) for text in BREAKS.values()]  # fmt: skip
        path.write_text("\n".join(events))
        judged = shell.run(world.folder, world.variables, "classify", str(path), "--json")
        assert not hidden_in(judged.output)
        for line in judged.out.splitlines():
            assert isinstance(json.loads(line), dict)
        for ran in (exported, listed, judged):
            assert "Traceback" not in ran.output
            trials.count(len(ran.out.splitlines()))
        doctor = shell.run(world.folder, world.variables, "doctor", "--json")
        assert all(isinstance(json.loads(line), dict) for line in doctor.out.splitlines())
        assert not hidden_in(doctor.output)
    assert all(raw.state.value != "new" for raw in world.find(RawNotification))
    world.proven()
