"""One installation in one fresh folder: its cloud, its people, its settings, its processes and its record."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.bots import FaultyBot
from twokey import app as wiring
from twokey import settings
from twokey.core.notices import Notice
from twokey.core.signals import RawNotification
from twokey.demo import notifications
from twokey.demo.company import EXTERNAL_ID, REGION, ROLE, Company
from twokey.demo.emulators import Ministack
from twokey.demo.proxy import CloudProxy
from twokey.demo.slack import FakeSlack
from twokey.testing.codes import Authenticator

DOOR_SECRET = "door-secret-that-is-long-enough-for-a-webhook-0001"
WAIT = 60.0
WRITES = (
    "UpdateAccessKey",
    "PutUserPolicy",
    "DeleteUserPolicy",
    "PutBucketPolicy",
    "DeleteBucketPolicy",
    "AttachPolicy",
    "MoveAccount",
    "CreatePolicy",
    "CreateOrganizationalUnit",
)
SECRETS = {name: Authenticator().secret for name in ("p-ana", "p-ben", "p-cy", "p-dee", "p-eve")}
ROSTER = """\
people:
  - {{id: p-ana, name: Ana, slack: [{{team: {team}, user: U0ANA}}, {{team: {team}, user: U0ANA2}}], roles: [approver], scopes: ["*"], step_up: totp}}
  - {{id: p-ben, name: Ben, slack: [{{team: {team}, user: U0BEN}}], roles: [responder, commander, approver], scopes: ["*"], step_up: totp}}
  - {{id: p-cy, name: Cy, slack: [{{team: {team}, user: U0CY}}], roles: [approver], scopes: ["*"], step_up: totp}}
  - {{id: p-dee, name: Dee, slack: [{{team: {team}, user: U0DEE}}], roles: [approver], scopes: ["*"], step_up: totp}}
  - {{id: p-eve, name: Eve, slack: [{{team: {team}, user: U0EVE}}], roles: [approver], scopes: ["*"], step_up: totp}}
  - {{id: p-gus, name: Gus, slack: [{{team: {team}, user: U0GUS}}], roles: [approver], scopes: ["*"]}}
  - {{id: p-rob, name: Rob, slack: [{{team: {team}, user: U0ROB}}], roles: [approver], scopes: ["*"]}}
"""


@dataclass
class Built:
    """What stands there before anybody acts."""

    folder: Path
    aws: Ministack
    proxy: CloudProxy
    slack: FakeSlack
    database_url: str
    extra: dict[str, str] = field(default_factory=dict)
    bots: list[FaultyBot] = field(default_factory=list)
    phones: dict[str, Authenticator] = field(default_factory=dict)
    drawn: dict[str, list[Any]] = field(default_factory=dict)  # approval card -> its blocks when it was new
    _record: Any = None

    def __post_init__(self) -> None:
        reset = urllib.request.Request(f"{self.aws.url}/_ministack/reset", method="POST")
        urllib.request.urlopen(reset, timeout=20).close()
        self.company = Company(self.aws.url).build()
        add = self.slack.add_user
        self.ana, self.ana2 = add("ana", user_id="U0ANA"), add("ana.private", user_id="U0ANA2")
        self.ben, self.cy = add("ben", user_id="U0BEN"), add("cy", user_id="U0CY")
        self.dee, self.eve = add("dee", user_id="U0DEE"), add("eve", user_id="U0EVE")
        self.gus = add("gus", user_id="U0GUS", is_restricted=True)
        self.rob = add("rob", user_id="U0ROB", is_bot=True)
        self.stranger = add("mallory", user_id="U0MAL")  # in the workspace, but not on the roster
        self.channel = self.slack.add_channel("incidents")
        self.security = self.slack.add_channel("security-incidents", is_private=True)
        self.roster = self.folder / "roster.yaml"
        self.roster.write_text(ROSTER.format(team=self.slack.team_id))
        totp = self.folder / "totp.yaml"
        totp.write_text("".join(f"{person}: {secret}\n" for person, secret in SECRETS.items()))
        totp.chmod(0o600)
        self.runbooks = self.folder / "runbooks"
        shutil.copytree(settings.data_folder("runbooks"), self.runbooks)
        self.variables = self._variables() | self.extra

    def _variables(self) -> dict[str, str]:
        slack = self.slack
        return {
            "TWOKEY_DATABASE_URL": self.database_url,
            "TWOKEY_ROSTER_FILE": str(self.roster),
            "TWOKEY_TOTP_FILE": str(self.folder / "totp.yaml"),
            "TWOKEY_RUNBOOKS_DIR": str(self.runbooks),
            "TWOKEY_POSTMORTEMS_DIR": str(self.folder / "postmortems"),
            "TWOKEY_SLACK_API_URL": slack.api_url,
            "TWOKEY_REHEARSAL": "1",
            "TWOKEY_SLACK_BOT_TOKEN": slack.bot_token,
            "TWOKEY_SLACK_APP_TOKEN": slack.app_token,
            "TWOKEY_SLACK_SIGNING_SECRET": slack.signing_secret,
            "TWOKEY_SLACK_TEAM": slack.team_id,
            "TWOKEY_SLACK_CHANNEL": self.channel.id,
            "TWOKEY_SLACK_SECURITY_CHANNEL": self.security.id,
            "TWOKEY_AZURE_WEBHOOKS": f"e2e={DOOR_SECRET}",
            "TWOKEY_AZURE_SUBSCRIPTIONS": notifications.SUBSCRIPTION,
            "TWOKEY_AWS_REGION": REGION,
            "TWOKEY_AWS_ENDPOINT_URL": self.proxy.url,
            "TWOKEY_AWS_QUEUES": self.company.queue_url.replace(self.company.url, self.proxy.url),
            "TWOKEY_AWS_ROLE_NAME": ROLE,
            "TWOKEY_AWS_EXTERNAL_ID": EXTERNAL_ID,
            "TWOKEY_LEASE_S": "1.5",
            # Many runs in little time are what most of these try; what holds them back is tried by itself.
            "TWOKEY_BREAKER_RUNS": "1000",
            "TWOKEY_BREAKER_ACCOUNT_RUNS": "1000",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    # processes

    def bot(self, command: str = "serve", *, start: bool = True, **more: str) -> FaultyBot:
        """Start `twokey serve` (or `worker`) as a process of its own."""
        bot = FaultyBot(self.folder, self.variables | more, command)
        self.bots.append(bot)
        return bot.start() if start else bot

    def twokey(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command of the program to its end."""
        environment = {"PATH": "", "HOME": str(self.folder), **self.variables}
        return subprocess.run(
            [sys.executable, "-m", "twokey", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def log(self) -> str:
        """Return what every process has logged."""
        return "\n".join(bot.log.read_text(errors="replace") for bot in self.bots if bot.log.exists())

    def close(self) -> None:
        """Kill what still runs and let go of the record."""
        for bot in self.bots:
            with contextlib.suppress(AssertionError):
                bot.kill()
        if self._record is not None:
            self._record.close()

    # the record, read beside the bot

    @property
    def record(self) -> Any:
        """Open the record beside the bot, to read it."""
        if self._record is None:
            self._record = wiring.open_record(settings.load(self.variables))
        return self._record

    def find(self, kind: type[Any], **equal: Any) -> list[Any]:
        """Return the nouns of one kind on record."""
        with self.record.read() as look:
            return list(look.find(kind, limit=10_000, **equal))

    def audit(self) -> list[Any]:
        """Return the audit trail."""
        with self.record.read() as look:
            return list(look.audit())

    def actions(self) -> list[str]:
        """Return what the audit trail says was done, in order."""
        return [entry.action for entry in self.audit()]

    def until(self, condition: Callable[[], Any], seconds: float = WAIT) -> Any:
        """Wait until this is so and return it; say what the bot did when it never is."""
        try:
            return self.slack.wait_for(condition, seconds, every=0.03)
        except AssertionError as late:
            tails = "\n".join(bot.tail(15) for bot in self.bots if bot.log.exists())
            raise AssertionError(f"{late}\n{self.actions()[-12:]}\n{tails}") from late

    def is_quiet(self) -> bool:
        """Say whether everything is sorted and everything that is owed to Slack was said."""
        raws = self.find(RawNotification)
        notices = self.find(Notice)
        return all(r.state.value != "new" for r in raws) and all(
            n.state.value not in ("pending", "sending") for n in notices
        )

    def quiet(self, seconds: float = WAIT) -> None:
        """Wait until nothing is owed to anybody."""
        self.until(self.is_quiet, seconds)

    # what arrives

    def webhook(self, body: bytes, bot: FaultyBot | None = None) -> int | None:
        """Return the answer's status; None when the connection was lost."""
        link = http.client.HTTPConnection("127.0.0.1", (bot or self.bots[-1]).port, timeout=12)
        try:
            link.request("POST", f"/azure/{DOOR_SECRET}", body, {"Content-Type": "application/json"})
            return link.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            link.close()

    def queued(self) -> int:
        """Count the notifications that wait in the queue."""
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        sqs = self.company.client("sqs", "test")
        got = sqs.get_queue_attributes(QueueUrl=self.company.queue_url, AttributeNames=wanted)["Attributes"]
        return sum(int(value) for value in got.values())

    def proven(self) -> None:
        """The audit trail verifies, through the program."""
        proof = self.twokey("audit", "verify")
        assert proof.returncode == 0, proof.stdout + proof.stderr

    def readiness(self, bot: FaultyBot | None = None) -> dict[str, Any]:
        """Return what /readyz says."""
        link = http.client.HTTPConnection("127.0.0.1", (bot or self.bots[-1]).port, timeout=5)
        with contextlib.closing(link):
            link.request("GET", "/readyz")
            return dict(json.loads(link.getresponse().read()))
