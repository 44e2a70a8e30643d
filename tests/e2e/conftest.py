"""The whole program from outside: real processes, a fake Slack, an emulated AWS; one `World` a test or a file."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyotp
import pytest

from twokey import app as wiring
from twokey import settings
from twokey.core.notices import Notice
from twokey.core.signals import RawNotification
from twokey.testing.bot import Bot
from twokey.testing.demo import notifications
from twokey.testing.demo.company import BUCKETS, EXTERNAL_ID, REGION, ROLE, SHOP, Company
from twokey.testing.emulators import Ministack
from twokey.testing.postgres import Postgres, running
from twokey.testing.proxy import CloudProxy
from twokey.testing.slack import FakeSlack, live_mentions

DOOR_SECRET = "door-secret-that-is-long-enough-for-a-webhook-0001"
WAIT = 30.0
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
SECRETS = {name: pyotp.random_base32() for name in ("p-ben", "p-cy", "p-dee", "p-eve")}
ROSTER = """\
people:
  - {{id: p-ana, name: Ana, slack: [{{team: {team}, user: U0ANA}}, {{team: {team}, user: U0ANA2}}], roles: [approver], scopes: ["*"]}}
  - {{id: p-ben, name: Ben, slack: [{{team: {team}, user: U0BEN}}], roles: [responder, commander, approver], scopes: ["*"], step_up: totp}}
  - {{id: p-cy, name: Cy, slack: [{{team: {team}, user: U0CY}}], roles: [approver], scopes: ["*"], step_up: totp}}
  - {{id: p-dee, name: Dee, slack: [{{team: {team}, user: U0DEE}}], roles: [approver], scopes: ["*"], step_up: totp}}
  - {{id: p-eve, name: Eve, slack: [{{team: {team}, user: U0EVE}}], roles: [approver], scopes: ["*"], step_up: totp}}
  - {{id: p-gus, name: Gus, slack: [{{team: {team}, user: U0GUS}}], roles: [approver], scopes: ["*"]}}
  - {{id: p-rob, name: Rob, slack: [{{team: {team}, user: U0ROB}}], roles: [approver], scopes: ["*"]}}
"""


@dataclass
class World:
    """One installation in one fresh folder, with its people; what they see and what is on record."""

    folder: Path
    aws: Ministack
    proxy: CloudProxy
    slack: FakeSlack
    database_url: str
    extra: dict[str, str] = field(default_factory=dict)
    bots: list[Bot] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)
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
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    # processes

    def bot(self, command: str = "serve", *, start: bool = True, **more: str) -> Bot:
        bot = Bot(self.folder, self.variables | more, command)
        self.bots.append(bot)
        return bot.start() if start else bot

    def twokey(self, *arguments: str) -> subprocess.CompletedProcess[str]:
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
        return "\n".join(bot.log.read_text(errors="replace") for bot in self.bots if bot.log.exists())

    def close(self) -> None:
        for bot in self.bots:
            with contextlib.suppress(AssertionError):
                bot.kill()
        if self._record is not None:
            self._record.close()

    # the record, read beside the bot

    @property
    def record(self) -> Any:
        if self._record is None:
            self._record = wiring.open_record(settings.load(self.variables))
        return self._record

    def find(self, kind: type[Any], **equal: Any) -> list[Any]:
        with self.record.read() as look:
            return list(look.find(kind, limit=10_000, **equal))

    def audit(self) -> list[Any]:
        with self.record.read() as look:
            return list(look.audit())

    def actions(self) -> list[str]:
        return [entry.action for entry in self.audit()]

    def until(self, condition: Callable[[], Any], seconds: float = WAIT) -> Any:
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
        self.until(self.is_quiet, seconds)

    # what arrives

    def webhook(self, body: bytes, bot: Bot | None = None) -> int | None:
        """Return the answer's status; None when the connection was lost."""
        link = http.client.HTTPConnection("127.0.0.1", (bot or self.bots[-1]).port, timeout=12)
        try:
            link.request("POST", f"/azure/{DOOR_SECRET}", body, {"Content-Type": "application/json"})
            return link.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            link.close()

    def attack(self, buckets: tuple[str, ...] = BUCKETS) -> str:
        """Let the demo's findings arrive, and return the incident once its card stands."""
        body = notifications.findings(self.company.key_id, list(buckets), datetime.now(UTC))
        self.company.notify(body)
        self.until(lambda: self.card("INC-1"))
        self.until(lambda: not self.queued())
        self.quiet()
        return "INC-1"

    def queued(self) -> int:
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        sqs = self.company.client("sqs", "test")
        got = sqs.get_queue_attributes(QueueUrl=self.company.queue_url, AttributeNames=wanted)["Attributes"]
        return sum(int(value) for value in got.values())

    # what people see

    def cards(self, incident: str) -> list[Any]:
        return [
            message
            for channel in (self.security, self.channel)
            for message in self.slack.messages(channel)
            if f"· {incident} ·" in self.slack.show(message)
        ]

    def card(self, incident: str) -> Any:
        found = self.cards(incident)
        return found[0] if found else None

    def thread(self, incident: str = "INC-1") -> list[Any]:
        card = self.card(incident)
        return list(self.slack.thread(card.channel, card.ts))

    def thread_text(self, incident: str = "INC-1") -> str:
        return "\n".join(self.slack.show(message, 4000) for message in self.thread(incident))

    def plan_cards(self, incident: str = "INC-1") -> list[Any]:
        return [
            message
            for message in self.thread(incident)
            if message.ts in self.drawn or any("approval:" in b.get("block_id", "") for b in message.blocks)
        ]

    def view(self, person: Any, *callbacks: str) -> Any:
        seen = self.slack.view_of(person)
        return seen if seen is not None and seen.callback_id in callbacks else None

    def private(self, person: Any, act: Callable[[], Any]) -> str:
        """Do something, and return what only this person is told then; nobody else hears it."""
        everyone = [p for p in self.slack.state.members if p != person.id]
        before, others = (
            len(self.slack.ephemerals(person)),
            sum(len(self.slack.ephemerals(p)) for p in everyone),
        )
        act()
        self.until(lambda: len(self.slack.ephemerals(person)) > before)
        assert sum(len(self.slack.ephemerals(p)) for p in everyone) == others
        return self.slack.show(self.slack.ephemerals(person)[-1], 4000)

    # what people do

    def code(self, person: Any) -> str:
        """Return a code that has not been used: one is good once, half a minute early or late."""
        person_id = f"p-{person.name}"
        if person_id not in SECRETS:
            return "123456"
        used = self.codes.get(person_id, 0)
        now = int(time.time()) // 30
        counter = max(used + 1, now - 1)
        while counter > int(time.time()) // 30 + 1:
            time.sleep(0.5)
        self.codes[person_id] = counter
        return pyotp.TOTP(SECRETS[person_id]).at(counter * 30)

    def fill(self, person: Any, view: Any, **values: str) -> Any:
        """Send a modal with the fields that it has."""
        asked = {block.get("block_id") for block in view.blocks}
        filled: dict[str, Any] = {name: value for name, value in values.items() if name in asked}
        if "checked" in asked:
            filled["checked"] = ["yes"]
        if "code" in asked and "code" not in filled:
            filled["code"] = self.code(person)
        return person.submit(view, filled)

    def preview(self, runbook: str, incident: str = "INC-1", person: Any = None, **params: str) -> Any:
        person = person or self.ana
        given = "".join(f" {name}={value}" for name, value in params.items())
        person.command("/twokey", f"contain {incident} {runbook}{given}", self.security)
        return self.until(lambda: self.view(person, "contain_propose", "told", "contain_params"))

    def propose(self, runbook: str = "aws.protect-buckets", person: Any = None, **params: str) -> Any:
        """Go through the modal as Ana, and return the approval card."""
        person = person or self.ana
        known = len(self.plan_cards())
        view = self.preview(runbook, person=person, **params)
        assert view.callback_id == "contain_propose", self.slack.show(view)
        delivery = self.fill(person, view)
        assert delivery.acked and not delivery.errors, delivery.errors
        self.until(lambda: len(self.plan_cards()) > known)
        card = self.plan_cards()[-1]
        self.drawn[card.ts] = card.blocks
        return card

    def old_click(self, person: Any, plan_card: Any) -> str:
        """Press the Review button that stood there when the card was new; return what only this person is told."""
        blocks = self.drawn[plan_card.ts]
        return self.private(person, lambda: person.click(plan_card, "plan_review", blocks=blocks))

    def modal(self, person: Any, plan_card: Any) -> Any:
        """Press Review & approve and return the modal."""
        person.click(self.fresh(plan_card), "plan_review")
        return self.until(lambda: self.view(person, "plan_approve"))

    def key(self, person: Any, plan_card: Any, typed: str = SHOP) -> Any:
        """Turn a key through the modal."""
        return self.fill(person, self.modal(person, plan_card), typed=typed)

    def fresh(self, message: Any) -> Any:
        return next((m for m in self.thread() if m.ts == message.ts), message)

    def plan_id(self, plan_card: Any) -> str:
        return next(
            b["block_id"] for b in self.drawn[plan_card.ts] if "approval:" in b.get("block_id", "")
        ).partition(":")[2]

    def state(self, plan_id: str) -> str:
        from twokey.core.runbooks import Plan

        with self.record.read() as look:
            return str(look.get(Plan, plan_id).state.value)

    def ends(self, plan_id: str, state: str) -> None:
        self.until(lambda: self.state(plan_id) == state)

    def writes(self) -> list[str]:
        return [call.operation for call in self.proxy.operations(*WRITES)]

    # what must always hold

    def proven(self) -> None:
        """The audit trail verifies, through the program."""
        proof = self.twokey("audit", "verify")
        assert proof.returncode == 0, proof.stdout + proof.stderr

    def harmless(self) -> None:
        """No text of an attacker's is live anywhere in Slack."""
        slack = self.slack
        for channel in list(slack.state.channels.values()):
            for message in channel.messages:
                if message.user == slack.bot_user_id:
                    assert not self._live(message), (message.text, message.blocks)
        for message in slack.state.ephemerals:
            assert not self._live(message), (message.text, message.blocks)
        for view in slack.state.views.values():
            assert not self._live(view), view.body

    @staticmethod
    def _live(content: Any) -> list[Any]:
        """Slack shows `text` only in notifications, where nothing can be followed, once there are blocks."""
        shown = bool(getattr(content, "blocks", []))
        return [
            mention
            for mention in live_mentions(content)
            if not (shown and mention.where == "/text" and mention.kind == "link" and not mention.label)
        ]

    def readiness(self, bot: Bot | None = None) -> dict[str, Any]:
        link = http.client.HTTPConnection("127.0.0.1", (bot or self.bots[-1]).port, timeout=5)
        with contextlib.closing(link):
            link.request("GET", "/readyz")
            return dict(json.loads(link.getresponse().read()))


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    with Ministack(tmp_path_factory.mktemp("aws")) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server


@contextlib.contextmanager
def _world(request: pytest.FixtureRequest, folder: Path, database: str, **extra: str) -> Iterator[World]:
    url = f"sqlite:///{folder}/twokey.db"
    if database == "postgres":
        url = request.getfixturevalue("postgres").migrated()
    aws = request.getfixturevalue("aws")
    with CloudProxy(aws.url) as proxy, FakeSlack() as slack:
        world = World(folder, aws, proxy, slack, url, dict(extra))
        try:
            yield world
        finally:
            world.close()


@pytest.fixture
def worlds(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Return a maker of fresh worlds: `worlds("sqlite")` or `worlds("postgres")`."""
    with contextlib.ExitStack() as stack:
        yield lambda database="sqlite", **extra: stack.enter_context(
            _world(request, tmp_path, database, **extra)
        )


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for a file, with the demo's attack in it and its bot at work."""
    with _world(request, tmp_path_factory.mktemp("world"), "sqlite") as world:
        world.bot()
        world.attack()
        yield world
