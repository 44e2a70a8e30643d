"""A bot for one cloud carries no other cloud's SDK: counted in the process itself, after everything was built."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "kJ3-vQ8xT2mN7pLw9RzY5cBf1HgD4sEa"
KEY = "b7Hq2Wn9Xc4Vt6Jm1Lp8Zs3Kd5Fg0Ra-"
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
SDKS = {"aws": ("boto3", "botocore", "s3transfer"), "azure": ("azure", "msal", "msrest")}
BUILDS = """
import asyncio, json, sys

from twokey import app as wiring, settings
from twokey.app.running import slack_options, web_door
from twokey.chat.slack.app import slack_bot
from twokey.chat.slack.options import Flows


async def built():
    app = wiring.build(settings.load())
    flows = Flows(app.intake, app.response, app.containment, app.review, app.watch)
    bot = slack_bot(flows, slack_options(app.settings), store=app.hooked, clock=app.clock, rosters=app.rosters)
    routes = [route.path for route in web_door(app, bot, dict).routes]
    runbooks = [book.id for book in wiring.build_library(app.settings).approved()]
    await bot.close()
    app.store.close()
    return {"sources": [source.name for source in app.sources], "routes": routes, "runbooks": runbooks}


print(json.dumps({**asyncio.run(built()), "modules": sorted(sys.modules)}))
"""


@pytest.mark.parametrize(
    ("cloud", "other", "source"),
    [("aws", "azure", "aws.sqs:findings"), ("azure", "aws", "azure.queue:account/events")],
)
def test_a_bot_of_one_cloud_imports_no_other_clouds_sdk(
    cloud: str, other: str, source: str, tmp_path: Path
) -> None:
    """Although the other's notifications are read, its endpoints are there, and its runbooks are checked."""
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "TWOKEY_DATABASE_URL": f"sqlite:///{tmp_path}/record.db",
        "TWOKEY_CLOUDS": cloud,
        "TWOKEY_SLACK_SIGNING_SECRET": "s",
        "TWOKEY_SLACK_BOT_TOKEN": "xoxb-none",
        "TWOKEY_AWS_QUEUES": "https://sqs.us-east-1.amazonaws.com/123456789012/findings",
        "TWOKEY_AWS_EVENT_KEYS": f"bus={KEY}",
        "TWOKEY_AZURE_SUBSCRIPTIONS": SUBSCRIPTION,
        "TWOKEY_AZURE_QUEUES": "https://account.queue.core.windows.net/events",
        "TWOKEY_AZURE_WEBHOOKS": f"prod={SECRET}",
    }
    done = subprocess.run(
        [sys.executable, "-c", BUILDS],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["sources"] == [source]
    assert {"/aws/events", "/azure/{secret}", "/slack/events"} <= set(told["routes"])
    assert {name.partition(".")[0] for name in told["runbooks"]} == {"aws", "azure"}
    assert f"twokey.providers.{other}.endpoints" in told["modules"]
    tops = {name.partition(".")[0] for name in told["modules"]}
    strange = {top for top in tops for sdk in SDKS[other] if top == sdk or top.startswith(f"{sdk}_")}
    assert len(strange) == 0, strange
