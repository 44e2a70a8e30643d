"""What an attacker can write into a finding is harmless everywhere it is shown: Slack, files, log, terminal."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from twokey.core.incidents import Incident
from twokey.demo import notifications

NASTY = (
    "<!channel> <@U0BEN> <https://evil.example|Approve> <script>alert(1)</script>"
    " {{ 7919*7907 }} {% for x in y %} ${{ incident.id }} `code` ```fence``` [text](https://evil.example)"
    " \x1b[31mred\x1b[0m \x1b]0;title\x07 a\x00b \u202egpj.exe\u2066 \u200b \r\n2026-01-01 INFO twokey: forged\n# Heading"
)
LONG = NASTY + "A" * 188_000


def finding(world: Any, number: int, where: str) -> str:
    """One finding with the text in one place, or (all) in every place."""
    event = json.loads(
        notifications.findings(f"AKIAHOSTILE{number:09d}", [f"bucket-{number}"], datetime.now(UTC))[1]
    )
    detail = event["detail"]
    detail["id"] = f"{number:032d}"
    bucket = detail["resource"]["s3BucketDetails"][0]
    parts = {
        "title": lambda: detail.update(title=NASTY),
        "description": lambda: detail.update(description=LONG),
        "user": lambda: detail["resource"]["accessKeyDetails"].update(userName=NASTY),
        "bucket": lambda: bucket.update(name=NASTY, arn=f"arn:aws:s3:::{NASTY}"),
        "region": lambda: (event.update(region=NASTY), detail.update(region=NASTY)),
        "tags": lambda: bucket.update(tags=[{"key": NASTY, "value": NASTY}]),
        "type": lambda: detail.update(type=f"Impact:S3/{NASTY}"),
    }
    for name, write in parts.items():
        if where in (name, "all"):
            write()
    return json.dumps(event)


PLACES = ("title", "description", "user", "bucket", "region", "tags", "type", "all")


def raw_controls(text: str, allowed: str = "\n") -> list[str]:
    hidden = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return [repr(c) for c in text if unicodedata.category(c) in hidden and c not in allowed]


@pytest.fixture(scope="module")
def attacked(shared: Any) -> Any:
    world = shared
    world.company.notify([finding(world, n, where) for n, where in enumerate(PLACES, start=1)])
    maintenance = json.loads(notifications.planned_maintenance(datetime.now(UTC)))
    for name in ("title", "communication", "service", "region", "trackingId", "defaultLanguageTitle"):
        maintenance["data"]["alertContext"]["properties"][name] = NASTY
    assert world.webhook(json.dumps(maintenance).encode()) == 202
    assert world.webhook(json.dumps({"schemaId": NASTY}).encode()) == 202
    world.until(lambda: not world.queued())
    world.quiet(60)
    return world


def incidents(world: Any) -> list[Any]:
    return [one for one in world.find(Incident) if one.id != "INC-1"]


def test_hostile_text_is_harmless_in_every_message_and_modal(attacked: Any) -> None:
    world = attacked
    assert len(incidents(world)) >= len(PLACES)
    world.harmless()
    for incident in incidents(world):
        card = world.card(incident.id)
        assert card is not None, incident.id
        world.ana.command("/twokey", f"show {incident.id}", world.security)
        world.ana.command("/twokey", f"audit {incident.id}", world.security)
    for incident in incidents(world)[:3]:
        world.ana.command("/twokey", f"note {incident.id} {NASTY}", world.security)
        world.ana.command("/twokey", f"postmortem {incident.id}", world.security)
        world.preview("aws.protect-buckets", incident=incident.id)
        world.ana.close(world.slack.view_of(world.ana))
    world.ana.command("/twokey", "list", world.security)
    world.ana.command("/twokey", NASTY, world.security)
    world.ana.command("/twokey", f"show {NASTY}", world.security)
    world.ana.command("/twokey", f"contain INC-2 {NASTY}", world.security)
    world.ana.mention(world.security, f"show {NASTY}")
    world.quiet(60)
    world.until(lambda: len(world.slack.ephemerals(world.ana)) >= 2 * len(incidents(world)))
    world.harmless()


def test_hostile_text_is_harmless_in_published_post_mortems(attacked: Any) -> None:
    world = attacked
    target = next(one for one in incidents(world) if "<!channel>" in one.title and one.provider == "aws")
    world.ben.command("/twokey", f"role {target.id} ic @ben", world.security)
    world.ana.command("/twokey", f"ack {target.id}", world.security)
    world.ana.command("/twokey", f"note {target.id} {NASTY}", world.security)
    world.ben.command("/twokey", f"resolve {target.id} {NASTY}", world.security)
    folder = world.folder / "postmortems"

    def published() -> list[Any]:
        for version in ("en", "ja", "en public", "ja public"):
            world.ben.command("/twokey", f"postmortem {target.id} publish {version}", world.security)
        world.slack.wait_for(lambda: True)
        import time

        time.sleep(1.0)
        return sorted(folder.rglob(f"{target.id}*.md")) if folder.exists() else []

    files = world.until(lambda: (found := published()) and len(found) == 4 and found)
    for path in files:
        text = path.read_text()
        assert not raw_controls(text), (path.name, raw_controls(text)[:5])
        assert not re.search(r"<\s*/?\s*script|<!channel>|<@U|<https?:", text), path.name
        _, front, text = text.split("---\n", 2)  # front matter is data, in quotes, and shown as such
        assert set(map(type, yaml.safe_load(front).values())) <= {
            str,
            int,
            list,
            dict,
            type(None),
            bool,
            datetime,
        }
        text = re.sub(r"`[^`\n]*`", "", text)  # inside of code nothing is a link
        assert not re.search(r"(?<!\\)\]\(https://evil", text), path.name
        assert "\n# Heading" not in text
        assert "62615533" not in text, "a template in a finding was evaluated"
        assert len(text) < 400_000


def test_hostile_text_is_harmless_in_the_log(attacked: Any) -> None:
    text = attacked.log()
    assert not raw_controls(text), raw_controls(text)[:5]
    for line in text.splitlines():
        assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+: ", line), line[:200]
    assert not any(
        line.endswith("INFO twokey: forged") for line in text.splitlines() if line.startswith("2026-01-01")
    )
    assert "Traceback" not in text, text[-3000:]


def test_hostile_text_is_harmless_in_the_terminal(attacked: Any) -> None:
    world = attacked
    for incident in incidents(world):
        for more in ((), ("--json",)):
            shown = world.twokey("incidents", "show", incident.id, *more)
            assert shown.returncode == 0, shown.stderr
            assert not raw_controls(shown.stdout + shown.stderr), raw_controls(shown.stdout)[:5]
    for more in ((), ("--json",)):
        listed = world.twokey("incidents", "list", "all", *more)
        assert not raw_controls(listed.stdout), raw_controls(listed.stdout)[:5]
    for number, where in enumerate(PLACES):
        path = world.folder / f"{where}.json"
        path.write_text(finding(world, number, where))
        for more in ((), ("--json",)):
            judged = world.twokey("classify", str(path), *more)
            assert judged.returncode == 0, judged.stderr
            assert not raw_controls(judged.stdout + judged.stderr), (where, raw_controls(judged.stdout)[:5])
