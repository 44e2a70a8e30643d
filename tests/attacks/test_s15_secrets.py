"""S15: a secret that comes in anywhere comes out nowhere: not in Slack, log, trail, page, terminal, repr or answer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.lab.commands import Commands
from tests.lab.installation import Installation, installed
from tests.lab.trials import Proof
from twokey import settings
from twokey.core.incidents import Incident
from twokey.demo import notifications
from twokey.demo.emulators import Ministack

from .conftest import QUICK

DOOR = "canary-door-7Qx2Lm9Vb4Nz8Kd3Rt6Wy1Hs5"
# what a finding, a note or an exception may carry: its name, how it stands in a text, and what must not be seen
CANARIES: dict[str, tuple[str, str]] = {
    "AWS secret key": ("aws_secret {}", "wJalrXUtnFEMI7K7MDENG0bPxRfiCYCANARYKEY1"),
    "AWS session token": ("token {}", "IQoJb3JpZ2luX2VjEXAMPLE0canary1" * 4 + "Zz9"),
    "JWT": (
        "Authorization: Bearer {}",
        "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOiJqd3QifQ.c2lnbmF0dXJlLWNhbmFyeQ",
    ),
    "private key": (
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
        "MIIEpAIBAAKCAQEAcanaryprivatekey0123456789",
    ),
    "Slack bot token": ("slack says {}", "xoxb-123456789012-canarybottoken"),
    "Slack app token": ("slack says {}", "xapp-1-A0123-canaryapptoken"),
    "GitHub token": ("remote {}", "ghp_canary0123456789abcdefghijABCDEFGHIJ"),
    "database password": ("postgresql://twokey:{}@db.internal/twokey", "canary-db-password-1"),
    "password": ("password={}", "canary-hunter2-password"),
    "Azure account key": (
        "DefaultEndpointsProtocol=https;AccountKey={};",
        "Y2FuYXJ5YWNjb3VudGtleTAxMjM0NTY3ODlhYmNkZWY=",
    ),
    "signed address": ("https://x.example/a?sv=1&sig={}", "canarysignature%2Fabcdef"),
}
TEXT = " ; ".join(form.format(secret) for form, secret in CANARIES.values())
SETTINGS = {
    "TWOKEY_AZURE_WEBHOOKS": f"prod={DOOR}",
    "TWOKEY_AWS_EXTERNAL_ID": "canary-external-id-0001",
    "AWS_SESSION_TOKEN": "",
}


def canaries(world: Installation) -> dict[str, str]:
    """Return every secret there is: those in texts, and those of the installation itself."""
    totp = (world.folder / "totp.yaml").read_text()
    own = {
        "bot token": world.slack.bot_token,
        "app token": world.slack.app_token,
        "signing secret": world.slack.signing_secret,
        "webhook's path": DOOR,
        "external id": world.variables["TWOKEY_AWS_EXTERNAL_ID"],
        **{f"TOTP {n}": line.split(": ")[1] for n, line in enumerate(totp.split("\n")[:-1])},
        "stolen key's secret": world.company.secret,
    }
    return {name: secret for name, (_, secret) in CANARIES.items()} | own


def assert_none(world: Installation, where: str, text: str) -> None:
    found = [
        name for name, secret in canaries(world).items() if secret in text or json.dumps(secret)[1:-1] in text
    ]
    near = [text[max(0, text.find(canaries(world)[name]) - 200) :][:300] for name in found[:2]]
    assert not found, (where, found, near)


@pytest.fixture(scope="module")
def shell() -> Iterator[Commands]:
    with Commands() as made:
        yield made


@pytest.fixture(scope="module")
def world(aws: Ministack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    extra = {name: value for name, value in SETTINGS.items() if value and "EXTERNAL" not in name}
    with installed(tmp_path_factory.mktemp("world"), aws, settings=QUICK | extra) as made:
        made.bot()
        bodies = []
        for number, body in enumerate(
            notifications.findings(made.company.key_id, ["a-bucket"], datetime.now(UTC))
        ):
            event = json.loads(body)
            detail = event["detail"]
            detail["title"] = f"finding {number}: {TEXT}"
            detail["description"] = TEXT
            detail["service"]["additionalInfo"]["value"] = TEXT
            for bucket in detail["resource"].get("s3BucketDetails", []):
                bucket["tags"] = [{"key": "k", "value": TEXT}]
            bodies.append(json.dumps(event))
        for number, (form, secret) in enumerate(CANARIES.values()):
            event = json.loads(bodies[0])  # each alone, where an identifier belongs
            event["detail"]["id"] = form.format(secret)
            event["detail"]["title"] = form.format(secret)
            event["detail"]["resource"]["accessKeyDetails"].update(
                userName=f"password={secret}", accessKeyId=f"AKIA{number:016d}"
            )
            bodies.append(json.dumps(event))
        made.company.notify(bodies)
        maintenance = json.loads(notifications.planned_maintenance(datetime.now(UTC)))
        for name in ("title", "communication", "service", "trackingId", "defaultLanguageTitle"):
            maintenance["data"]["alertContext"]["properties"][name] = TEXT
        for body in (json.dumps(maintenance), json.dumps({"schemaId": TEXT}), f"not json {TEXT}"):
            assert post(made, f"/azure/{DOOR}", body.encode())[0] == 202
        made.until(lambda: made.card("INC-1"))
        made.until(lambda: not made.queued())
        made.quiet(120)
        yield made


def post(world: Installation, path: str, body: bytes, **headers: str) -> tuple[int, str]:
    link = http.client.HTTPConnection("127.0.0.1", world.bots[-1].port, timeout=30)
    try:
        link.request("POST", path, body, headers)
        answer = link.getresponse()
        return answer.status, f"{answer.getheaders()} {answer.read().decode(errors='replace')}"
    finally:
        link.close()


def test_no_secret_of_an_event_a_note_or_the_settings_is_in_slack(world: Installation, proof: Proof) -> None:
    trials = proof("S15", "no secret is in Slack", ci=len(CANARIES))
    for (name, (form, secret)), _ in zip(CANARIES.items(), trials, strict=True):
        text = form.format(secret).replace("\n", " ")
        commands = [f"note INC-1 {text}", f"ack INC-1 {text}"]
        # A command takes these apart, at a space or an @; the typist alone is told the rest of his own words.
        if name not in ("private key", "database password"):
            commands += [f"show {text}", text, f"contain INC-1 {text}"]
        for command in commands:
            world.ana.command("/twokey", command, world.security)
    for incident in world.find(Incident):
        for command in ("show", "audit"):
            world.ana.command("/twokey", f"{command} {incident.id}", world.security)
    world.quiet(120)
    # What Ana wrote herself is hers and stays in her own message: only the bot's words are looked at.
    state = world.slack.state
    bot = world.slack.bot_user_id
    said: list[Any] = [m for c in list(state.channels.values()) for m in c.messages if m.user == bot]
    said += [*state.ephemerals, *state.views.values()]
    for one in said:
        assert_none(
            world,
            "Slack",
            json.dumps([getattr(one, "text", ""), getattr(one, "blocks", [])], ensure_ascii=False),
        )
    trials.outcome("messages looked at", len(said))


def test_no_secret_is_in_what_the_program_writes_prints_or_answers(
    world: Installation, shell: Commands, proof: Proof
) -> None:
    trials = proof("S15", "no secret is in log, trail, pages, terminal, repr or answers", ci=0)
    path = world.folder / "event.json"
    path.write_text(
        json.dumps(
            {
                "source": "aws.guardduty",
                "detail-type": "GuardDuty Finding",
                "account": "1",
                "detail": {"title": TEXT, "type": TEXT},
            }
        )
    )
    commands: list[tuple[str, ...]] = [
        ("audit", "export"),
        ("audit", "verify"),
        ("incidents", "list", "all"),
        ("incidents", "list", "all", "--json"),
        ("classify", str(path)),
        ("classify", str(path), "--json"),
        ("rules", "explain", str(path)),
        ("doctor",),
        ("doctor", "--json"),
        ("incidents", "show", TEXT),
        ("runbook", "show", TEXT),
        ("nonsense",),
    ]
    incidents = world.find(Incident)
    for incident in incidents[:6]:
        commands += [("incidents", "show", incident.id), ("incidents", "show", incident.id, "--json")]
    for language in ("en", "ja"):
        for audience in ("internal", "public"):
            commands.append(
                ("postmortem", "draft", "INC-1", "--stdout", "--language", language, "--audience", audience)
            )
    for arguments in commands:
        ran = shell.run(world.folder, world.variables, *arguments)
        assert_none(world, " ".join(arguments)[:60], ran.output)
        trials.count(1)
    broken = {
        "TWOKEY_DATABASE_URL": "postgresql://twokey:canary-db-password-1@127.0.0.1:9/none",
        "TWOKEY_WORKERS": "canary-hunter2-password",
        "TWOKEY_SLACK_BOT_TOKEN_": world.slack.bot_token,
    }
    for name, value in broken.items():
        for command in ("doctor", "migrate", "serve"):
            ran = shell.run(world.folder, world.variables | {name: value}, command, within_s=60)
            assert ran.code != 0, (name, command, ran)
            if name != "TWOKEY_WORKERS":
                assert_none(world, f"{command} with {name}", ran.output)
            trials.count(1)
    assert_none(world, "log", world.log())
    for request, body in (
        ("/azure/guess", b"{}"),
        (f"/azure/{DOOR}", b"x" * (2 << 20)),
        (f"/azure/{DOOR}/more", b"{}"),
        ("/slack/events", TEXT.encode()),
    ):
        assert_none(world, request, str(post(world, request, body)))
    assert_none(world, "readyz", json.dumps(world.readiness()))
    loaded = settings.load(world.variables | {"TWOKEY_DATABASE_URL": broken["TWOKEY_DATABASE_URL"]})
    assert_none(world, "repr of the settings", f"{loaded!r} {loaded}")
    for incident in incidents:
        for file in (world.folder / "postmortems").rglob(f"{incident.id}*.md"):
            assert_none(world, file.name, file.read_text())
    trials.outcome("surfaces", len(commands) + 20)
