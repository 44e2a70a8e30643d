"""A scene for killing: emulated clouds behind a proxy, people in this process, workers as processes of their own."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from twokey import app as wiring
from twokey import settings
from twokey.core.people import ChatAccount, ChatIdentity
from twokey.core.runbooks import Plan, PlanState
from twokey.core.signals import RawNotification, raw_id
from twokey.testing.bot import CRASHED, Bot
from twokey.testing.codes import Authenticator
from twokey.testing.demo.notifications import findings
from twokey.testing.postgres import Postgres, running
from twokey.testing.proxy import CloudProxy

OWN = "123456789012"
SESSION = boto3.Session(region_name="eu-central-1")  # one, because reading the models takes longer than a run
ROLE = "TwokeyResponder"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}
SECRETS = {"p-ben": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "p-cy": "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU"}
ROSTER = """\
people:
  - {id: p-ana, name: Ana, slack: [{team: T1, user: UANA}], roles: [responder], scopes: ["*"]}
  - {id: p-ben, name: Ben, slack: [{team: T1, user: UBEN}], roles: [approver], scopes: ["*"], step_up: totp}
  - {id: p-cy, name: Cy, slack: [{team: T1, user: UCY}], roles: [approver], scopes: ["*"], step_up: totp}
"""


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def who(name: str) -> ChatIdentity:
    return ChatIdentity(ChatAccount("T1", f"U{name.upper()}"))


@dataclass
class Scene:
    """One incident in one fresh world; `variables` make a worker see the same."""

    folder: Path
    proxy: CloudProxy
    moto: str
    database_url: str
    account: str = ""
    key_id: str = ""
    buckets: list[str] = field(default_factory=list)
    quarantine: str = ""
    workers: list[Bot] = field(default_factory=list)

    def __post_init__(self) -> None:
        reset = urllib.request.Request(f"{self.moto}/moto-api/reset", method="POST")
        urllib.request.urlopen(reset).close()
        self.proxy.calls.clear()
        self._build_cloud()
        (self.folder / "roster.yaml").write_text(ROSTER)
        totp = self.folder / "totp.yaml"
        totp.write_text("".join(f"{person}: {secret}\n" for person, secret in SECRETS.items()))
        totp.chmod(0o600)
        self.app = wiring.build(settings.load(self.variables()))

    def variables(self) -> dict[str, str]:
        return {
            "TWOKEY_DATABASE_URL": self.database_url,
            "TWOKEY_ROSTER_FILE": str(self.folder / "roster.yaml"),
            "TWOKEY_TOTP_FILE": str(self.folder / "totp.yaml"),
            "TWOKEY_POSTMORTEMS_DIR": str(self.folder / "postmortems"),
            "TWOKEY_AWS_ENDPOINT_URL": self.proxy.url,
            "TWOKEY_AWS_ROLE_NAME": ROLE,
            "TWOKEY_AWS_EXTERNAL_ID": "ext-1",
            "TWOKEY_AWS_QUARANTINE_PARENT_OU": self.quarantine,
            "TWOKEY_LEASE_S": "4",
            "TWOKEY_CLOUDS": "aws",
        }

    def client(self, service: str, account: str = "") -> Any:
        given: dict[str, Any] = {"endpoint_url": self.moto, "region_name": "eu-central-1"}
        keys = {"aws_access_key_id": "AKIATESTTESTTESTTEST", "aws_secret_access_key": "test"}
        if account:
            arn = f"arn:aws:iam::{account}:role/admin"
            role = SESSION.client("sts", **keys, **given).assume_role(RoleArn=arn, RoleSessionName="admin")
            lent = role["Credentials"]
            keys = {
                "aws_access_key_id": lent["AccessKeyId"],
                "aws_secret_access_key": lent["SecretAccessKey"],
                "aws_session_token": lent["SessionToken"],
            }
        return SESSION.client(service, **keys, **given)

    def _build_cloud(self) -> None:
        org = self.client("organizations")
        org.create_organization(FeatureSet="ALL")
        root = org.list_roots()["Roots"][0]["Id"]
        org.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
        unit = org.create_organizational_unit(ParentId=root, Name="Quarantine")["OrganizationalUnit"]["Id"]
        work = org.create_organizational_unit(ParentId=root, Name="Work")["OrganizationalUnit"]["Id"]
        made = org.create_account(Email="shop@example.com", AccountName="shop")["CreateAccountStatus"]
        self.account, self.quarantine = str(made["AccountId"]), str(unit)
        org.move_account(AccountId=self.account, SourceParentId=root, DestinationParentId=work)
        iam = self.client("iam", self.account)
        iam.create_user(UserName="deploy-bot")
        self.key_id = str(iam.create_access_key(UserName="deploy-bot")["AccessKey"]["AccessKeyId"])
        s3 = self.client("s3", self.account)
        self.buckets = [f"shop-{self.account}-{name}" for name in ("orders", "images")]
        for bucket in self.buckets:
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    def incident(self) -> str:
        """Receive a finding about the key, and sort it here."""
        event = json.loads(findings(self.key_id, self.buckets[:1], datetime.now(UTC))[1])
        event["account"] = event["detail"]["accountId"] = self.account
        body = json.dumps(event).encode()
        self.app.intake.receive(
            [RawNotification(raw_id("aws.file:t", body), "aws.file:t", body, datetime.now(UTC))]
        )
        self.app.engine.drain()
        return self.app.response.listed()[0][0].id

    def approved(self, runbook: str, **params: Any) -> Plan:
        """Propose and turn every key that is needed; the run is owed then, and nobody here does it."""
        flow = self.app.containment
        plan = flow.propose(flow.preview(self.incident(), runbook, who("ana"), params), who("ana"))
        for name in ("ben", "cy"):
            code = Authenticator(SECRETS[f"p-{name}"]).code()
            standing = flow.approve(
                plan.id, who(name), digest=plan.digest, typed=plan.typed_target, code=code
            )
            if standing.is_satisfied:
                break
        return flow.plan(plan.id)

    def worker(self, dies_at: str = "") -> Bot:
        bot = Bot(self.folder, {**self.variables(), **CREDENTIALS}, "worker", dies_at=dies_at or "never")
        self.workers.append(bot)
        return bot.start()

    def ends(self, plan: Plan, seconds: float = 200.0) -> Plan:
        """Wait until the run is over."""
        import time

        end = time.monotonic() + seconds
        over = (PlanState.DONE, PlanState.FAILED, PlanState.VOIDED, PlanState.ASKING)
        while time.monotonic() < end:
            now = self.app.containment.plan(plan.id)
            if now.state in over:
                return now
            time.sleep(0.1)
        raise AssertionError(f"still {now.state}:\n" + "\n".join(bot.tail() for bot in self.workers))

    def effects(self, *operations: str) -> dict[str, int]:
        """Count the calls of each write that took effect, as the cloud saw them."""
        counts: dict[str, int] = {}
        for call in self.proxy.operations(*operations):
            if call.status < 300:
                counts[call.operation] = counts.get(call.operation, 0) + 1
        return counts

    def actions(self) -> list[str]:
        with self.app.store.read() as look:
            return [entry.action for entry in look.audit()]

    def close(self) -> None:
        for bot in self.workers:
            bot.kill()
        self.app.store.close()


@pytest.fixture
def scenes(
    request: pytest.FixtureRequest, tmp_path: Path, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Return a maker of scenes: `scenes("sqlite")` or `scenes("postgres")`, each in a fresh world."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    open_scenes: list[Scene] = []
    with CloudProxy(moto_url) as proxy:
        # moto has no CloudTrail: it says so slowly, this says so at once, as a role without the right would hear.
        proxy.answers["LookupEvents"] = (400, b'{"__type":"AccessDeniedException","message":"not here"}')
        nothing = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not here</Message></Error></ErrorResponse>"
        proxy.answers["ListServiceSpecificCredentials"] = (403, nothing)

        def make(database: str) -> Scene:
            folder = tmp_path / str(len(open_scenes))
            folder.mkdir()
            url = f"sqlite:///{folder}/twokey.db"
            if database == "postgres":
                url = request.getfixturevalue("postgres").migrated()
            scene = Scene(folder, proxy, moto_url, url)
            open_scenes.append(scene)
            return scene

        yield make
        for scene in open_scenes:
            scene.close()


__all__ = ["CRASHED", "Scene", "who"]
