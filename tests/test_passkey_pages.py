"""The pages for passkeys, served by the real web door: what they show, what they take, and their own script."""

from __future__ import annotations

import html
import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from typer.testing import CliRunner

from tests.attacks.test_s31_forged_keys import Signing
from tests.lab.authenticator import Device
from tests.lab.web import served
from twokey.app.doctor import examine
from twokey.app.passkey_links import Links
from twokey.cli import runbook
from twokey.core.errors import Invalid, Refused
from twokey.core.notices import NoticeKind
from twokey.core.passkeys import Enrolment
from twokey.core.runbooks import Plan, digest_of
from twokey.passkeys import WebPasskeys
from twokey.settings import load
from twokey.web import mounted
from twokey.web.passkeys import passkey_routes
from twokey.words import say

ORIGIN = "https://twokey.example"
NODE = shutil.which("node")


@dataclass
class Browser:
    """What a person's browser sends and sees."""

    port: int

    def get(self, path: str) -> tuple[int, dict[str, str], str]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as link:
            link.request("GET", path)
            answer = link.getresponse()
            return (
                answer.status,
                {name.lower(): value for name, value in answer.getheaders()},
                answer.read().decode(),
            )

    def post(self, path: str, body: Any, origin: str = ORIGIN) -> tuple[int, Any]:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as link:
            link.request("POST", path, sent, {"origin": origin, "content-type": "application/json"})
            answer = link.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None


@pytest.fixture
def world() -> Signing:
    return Signing()


@pytest.fixture
def browser(world: Signing) -> Iterator[Browser]:
    links = Links(world.containment, "twokey.example", "en")
    app = Starlette(routes=[mounted(route) for route in passkey_routes(links, ORIGIN)])
    with served(app, hide=str) as door:
        yield Browser(door.port)


def asked_by(page: str) -> Any:
    (found,) = re.findall(r'<script nonce="[^"]+" type="application/json" id="asked">(.*?)</script>', page)
    return json.loads(found)


def path_of(address: str) -> str:
    return address.removeprefix(ORIGIN)


def to_sign(world: Signing, plan: Plan, name: str = "ben") -> str:
    world.sees(name, plan)
    return path_of(world.containment.signing_link(plan.id, world.who(name)))


def test_the_page_shows_the_whole_plan_and_takes_one_signature(world: Signing, browser: Browser) -> None:
    plan = world.proposes("dia")
    path = to_sign(world, plan)
    status, headers, page = browser.get(path)
    assert status == 200
    shown = html.unescape(page)
    for part in (plan.title, plan.digest, plan.target.account, "Ben", *(touch.id for touch in plan.touches)):
        assert part in shown
    for step in plan.steps:
        assert f"{step.id}: {step.action}" in shown
    for warning in plan.warnings:
        assert say(warning, "en") in shown
    asked = asked_by(page)
    assert asked["known"] == [world.devices["ben"].passkey.id]
    signed = world.devices["ben"].sign(bytes.fromhex(asked["challenge"]))
    assert browser.post(path, {**signed, "typed": "nope"})[0] == 403
    status, told = browser.post(path, {**signed, "typed": plan.typed_target})
    assert (status, told["done"]) == (200, True)
    assert told["says"].startswith("Signed. 1 of 2")
    assert [key.person_id for key in world.keys(plan)] == ["d-ben"]
    assert browser.get(path)[0] == 404
    status, told = browser.post(path, {**signed, "typed": plan.typed_target})
    assert (status, told["done"]) == (403, False)
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert (headers["cache-control"], headers["x-frame-options"]) == ("no-store", "DENY")
    assert not re.findall(r"""(?:src|href)=["']""", page)


def test_what_is_not_from_the_page_itself_is_not_read(world: Signing, browser: Browser) -> None:
    plan = world.proposes("dia")
    path = to_sign(world, plan)
    signed = world.devices["ben"].sign(bytes.fromhex(asked_by(browser.get(path)[2])["challenge"]))
    good = {**signed, "typed": plan.typed_target}
    for origin in ("https://elsewhere.example", "null", ""):
        assert browser.post(path, good, origin)[0] == 403
    for body in (b"{", b"[]", b"\xff", b"[" * 50_000, b"1"):
        assert browser.post(path, body)[0] == 400
    assert browser.post(path, b" " * 70_000)[0] == 413
    assert browser.post(path, {"typed": plan.typed_target})[0] == 403
    assert browser.post(path, {**good, "signature": 7})[0] == 403
    assert world.keys(plan) == []
    assert browser.post(path, good)[0] == 200


def test_hostile_text_is_text_on_the_page(world: Signing, browser: Browser) -> None:
    evil = "</script><script>alert(1)</script>\u202e"
    world.rosters.change("d-ben", name=evil)
    plan = world.proposes("dia")
    (step, *others) = plan.steps
    lines = "own\ncloud.delete_everything: {}"
    hostile = replace(step, inputs={**step.inputs, "name": lines, "document": json.dumps({evil: lines})})
    plan = replace(plan, notes=(), steps=(hostile, *others))
    world.tampers(plan := replace(plan, digest=digest_of(plan)))
    _, _, page = browser.get(to_sign(world, plan))
    assert "<script>alert" not in page
    assert "\ncloud.delete" not in html.unescape(page)
    assert "own\u27e8U+000A\u27e9cloud.delete" in page
    assert "\u202e" not in page
    assert page.count("</script>") == 2


def test_an_unknown_link_says_so_and_nothing_else(browser: Browser) -> None:
    for kind in ("sign", "add"):
        status, _, page = browser.get(f"/passkey/{kind}/{'x' * 43}")
        assert status == 404
        assert "Ask for a new one in Slack" in page
        assert "<script" not in page


# making a passkey


def made(world: Signing, browser: Browser, name: str, device: Device) -> str:
    """Let a person make a passkey on the page, and return its fingerprint."""
    path = path_of(world.containment.enrolling.link(world.who(name)))
    status, _, page = browser.get(path)
    assert status == 200
    answer = device.make(bytes.fromhex(asked_by(page)["challenge"]))
    status, told = browser.post(path, answer)
    assert (status, told["done"]) == (200, True), told
    assert browser.post(path, answer)[0] == 403, "once"
    return str(re.findall(r"[0-9a-f]{4}(?:-[0-9a-f]{4}){4}", told["says"])[0])


def test_a_passkey_is_made_confirmed_by_another_person_and_counts_once_the_roster_has_it(
    world: Signing, browser: Browser
) -> None:
    device = Device()
    printed = made(world, browser, "dia", device)
    enrolling = world.containment.enrolling
    for name, code in (("dia", "refused.own_passkey"), ("eve", "refused.not_approver")):
        with pytest.raises(Refused, match=f"^{code}"):
            enrolling.confirm(world.who(name), printed)
    with pytest.raises(Refused, match=r"^refused.no_such_passkey"):
        enrolling.confirm(world.who("ana"), "0000-0000-0000-0000-0000")
    assert enrolling.confirm(world.who("ana"), printed.upper()).id == "d-dia"
    assert world.actions()[-5:] == [
        "passkey.made", "passkey.refused", "passkey.refused", "passkey.refused", "passkey.confirmed",
    ]  # fmt: skip
    security = [notice for notice in world.notices() if notice.kind is NoticeKind.DUTY]
    assert [notice.messages[0].code for notice in security] == ["passkey.made", "passkey.confirmed"]
    with world.store.read() as look:
        (row,) = look.find(Enrolment, state="confirmed")
    assert (row.credential, row.public_key, row.confirmed_by) == (
        device.passkey.id,
        device.passkey.public_key,
        "d-ana",
    )
    assert world.rosters.current().person("d-dia").passkeys == ()


def test_a_passkey_that_waited_for_a_day_is_not_confirmed(world: Signing, browser: Browser) -> None:
    printed = made(world, browser, "dia", Device())
    world.clock.advance(24 * 3600)
    with pytest.raises(Refused, match=r"^refused.no_such_passkey"):
        world.containment.enrolling.confirm(world.who("ana"), printed)


def test_what_another_page_made_or_nobody_verified_is_no_passkey(world: Signing, browser: Browser) -> None:
    unverified = Device()
    unverified.verifies = False
    for device in (Device().elsewhere("https://evil.example"), unverified):
        path = path_of(world.containment.enrolling.link(world.who("dia")))
        answer = device.make(bytes.fromhex(asked_by(browser.get(path)[2])["challenge"]))
        assert browser.post(path, answer)[0] == 403
    with world.store.read() as look:
        assert {row.state for row in look.find(Enrolment)} == {"asked"}


@pytest.mark.parametrize(("bits", "status"), [(2048, 200), (1024, 403), (4096, 403)])
def test_a_device_that_makes_rsa_only_is_taken_at_the_size_that_is_judged_afterwards(
    world: Signing, browser: Browser, bits: int, status: int
) -> None:
    device = Device.of_rsa(bits)
    path = path_of(world.containment.enrolling.link(world.who("dia")))
    answer = device.make(bytes.fromhex(asked_by(browser.get(path)[2])["challenge"]))
    assert browser.post(path, answer)[0] == status
    with world.store.read() as look:
        (row,) = look.find(Enrolment)
    assert row.public_key == (device.passkey.public_key if status == 200 else "")


def test_an_address_is_bound_to_its_host_and_port() -> None:
    assert WebPasskeys("https://twokey.example:8443").rp_id == "twokey.example"
    assert WebPasskeys(ORIGIN).address("sign", "t") == f"{ORIGIN}/passkey/sign/t"


@pytest.mark.parametrize(
    "url",
    [
        "http://twokey.example",
        "https://twokey.example/",
        "https://twokey.example/x",
        "twokey.example",
        "https://",
        "https://twokey.example:443",
    ],
)
def test_an_address_to_which_no_passkey_can_be_bound_stops_the_start(url: str) -> None:
    with pytest.raises(Invalid, match="TWOKEY_PUBLIC_URL"):
        load({"TWOKEY_PUBLIC_URL": url})
    assert load({"TWOKEY_PUBLIC_URL": ORIGIN}).public_url == ORIGIN
    assert load({"TWOKEY_PUBLIC_URL": "http://localhost:8080"}).public_url == "http://localhost:8080"


def test_doctor_tells_of_runbooks_that_nobody_could_sign(tmp_path: Path) -> None:
    folder = tmp_path / "runbooks"
    shutil.copytree(Path(__file__).parents[1] / "runbooks", folder)
    book = folder / "aws.protect-buckets.yaml"
    book.write_text(
        book.read_text().replace("    profile: high\n", "    profile: high\n    step_up: passkey\n")
    )
    roster, codes = tmp_path / "roster.yaml", tmp_path / "totp.yaml"
    roster.write_text((Path(__file__).parent / "fixtures" / "rosters" / "good.yaml").read_text())
    codes.write_text("")
    for file in (book, roster, codes):
        file.chmod(0o600)
    variables = {
        "TWOKEY_RUNBOOKS_DIR": str(folder),
        "TWOKEY_ROSTER_FILE": str(roster),
        "TWOKEY_TOTP_FILE": str(codes),
        "TWOKEY_DATABASE_URL": f"sqlite:///{tmp_path / 'record.db'}",
    }
    for name in ("tester", "reviewer"):
        words = ["approve", "aws.protect-buckets", "--by", name]
        done = CliRunner().invoke(runbook.app, words, env=variables)
        assert done.exit_code == 0, done.output

    def told(**more: str) -> tuple[bool, str]:
        (finding,) = [one for one in examine(load(variables | more)) if one.part == "step-up"]
        return finding.ok, finding.says

    assert told() == (
        False,
        "Passkeys need a page of the bot's own: its operator must set TWOKEY_PUBLIC_URL.",
    )
    assert told(TWOKEY_PUBLIC_URL=ORIGIN)[1].startswith(
        "0 people have a passkey; 1 runbooks ask for signatures"
    )


# the script, run by node with a browser's interface in software


def pressed(page: str, device: dict[str, str], **typed: str) -> Any:
    (script,) = re.findall(r'<script nonce="[^"]+">(.*?)</script>', page, re.DOTALL)
    told = {"asked": json.dumps(asked_by(page)), "script": script, "device": device, **typed}
    harness = Path(__file__).parent / "lab" / "page_in_node.js"
    assert NODE
    done = subprocess.run(
        [NODE, harness], input=json.dumps(told), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(NODE is None, reason="no node on this machine")
def test_the_pages_script_sends_what_the_device_answered(world: Signing, browser: Browser) -> None:
    plan = world.proposes("dia")
    path = to_sign(world, plan)
    page = browser.get(path)[2]
    challenge = asked_by(page)["challenge"]
    found = pressed(page, world.devices["ben"].sign(bytes.fromhex(challenge)), typed=plan.typed_target)
    assert (found["challenge"], found["verification"], found["over"]) == (challenge, "required", True)
    assert browser.post(path, found["sent"][0]["body"])[0] == 200
    path = path_of(world.containment.enrolling.link(world.who("dia")))
    page = browser.get(path)[2]
    found = pressed(page, Device().make(bytes.fromhex(asked_by(page)["challenge"])))
    assert (found["says"], found["verification"]) == ("it is done", "required")
    assert browser.post(path, found["sent"][0]["body"])[0] == 200
