"""A scene for killing: emulated clouds that count effects, people in this process, workers as processes of their own.

A dead worker's lease is long, so that no slow one is robbed; the tests let it run out instead of sitting through it.
"""

from __future__ import annotations

import json
import sqlite3
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import psycopg

from tests.lab.arm import Arm, ArmState, Container, Identity, StorageAccount
from tests.lab.bots import FaultyBot
from tests.lab.fork_server import ForkServer
from twokey import app as wiring
from twokey import settings
from twokey.core.people import ChatAccount, ChatIdentity
from twokey.core.runbooks import Plan, PlanState
from twokey.core.signals import RawNotification, raw_id
from twokey.demo.notifications import findings
from twokey.demo.proxy import CloudProxy
from twokey.ports import Checkpoint, no_checkpoint
from twokey.testing.codes import Authenticator
from twokey.testing.showings import shown_whole

OWN = "123456789012"
SESSION = boto3.Session(region_name="eu-central-1")  # one, because reading the models takes longer than a run
ROLE = "TwokeyResponder"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}
SECRETS = {
    "p-ana": "MFRGGZDFMZTWQ2LKMFRGGZDFMZTWQ2LK",
    "p-ben": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    "p-cy": "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU",
}
ROSTER = """\
people:
  - {id: p-ana, name: Ana, slack: [{team: T1, user: UANA}], roles: [responder], scopes: ["*"]}
  - {id: p-ben, name: Ben, slack: [{team: T1, user: UBEN}], roles: [approver], scopes: ["*"], step_up: totp}
  - {id: p-cy, name: Cy, slack: [{team: T1, user: UCY}], roles: [approver], scopes: ["*"], step_up: totp}
"""


SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
STORAGE = "publicassets"


@dataclass
class Clouds:
    """The emulated clouds that every scene of a session shares, one scene after the other."""

    moto: str
    proxy: CloudProxy
    arm: Arm
    identity: Identity
    clients: dict[str, Any] = field(default_factory=dict)  # of our own account

    def __post_init__(self) -> None:
        # moto has no CloudTrail and no Access Analyzer: it says so slowly, which would be waited for.
        denied = b'{"__type":"AccessDeniedException","message":"not here"}'
        nothing = (
            b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
        )
        self.answers = {
            "LookupEvents": (400, denied),
            "ListServiceSpecificCredentials": (403, nothing),
            "PostObject": (200, b'{"findings":[]}'),  # accessanalyzer:ValidatePolicy
        }

    def reset(self) -> None:
        """As if nothing had ever been done there."""
        reset = urllib.request.Request(f"{self.moto}/moto-api/reset", method="POST")
        urllib.request.urlopen(reset).close()
        for hooks in (self.proxy.before, self.proxy.after, self.arm.after, self.arm.faults):
            hooks.clear()
        self.proxy.calls.clear()
        self.arm.calls.clear()
        self.proxy.answers.clear()
        self.proxy.answers.update(self.answers)
        self.arm.state = ArmState(subscriptions={SUBSCRIPTION: "Enabled"})
        open_to_all = [Container("private"), Container("images", "Blob")]
        self.arm.state.accounts.append(
            StorageAccount(SUBSCRIPTION, "rg-web", STORAGE, containers=open_to_all)
        )

    def credentials(self) -> dict[str, str]:
        """Return what boto3 and azure-identity find in the environment."""
        return {**CREDENTIALS, **self.identity.variables, "REQUESTS_CA_BUNDLE": self.arm.ca_bundle}


def who(name: str) -> ChatIdentity:
    return ChatIdentity(ChatAccount("T1", f"U{name.upper()}"))


@dataclass
class Scene:
    """One incident in one fresh world; `variables` make a worker see the same."""

    folder: Path
    clouds: Clouds
    fork_server: ForkServer
    database_url: str
    lease_s: float = 60.0
    provider: str = "aws"  # whose cloud is built
    account: str = ""
    key_id: str = ""
    buckets: list[str] = field(default_factory=list)
    quarantine: str = ""
    workers: list[FaultyBot] = field(default_factory=list)
    checkpoint: Checkpoint = no_checkpoint

    def __post_init__(self) -> None:
        self.moto, self.proxy, self.arm = self.clouds.moto, self.clouds.proxy, self.clouds.arm
        self.clouds.reset()
        if self.provider == "aws":
            self._build_cloud()
        (self.folder / "roster.yaml").write_text(ROSTER)
        totp = self.folder / "totp.yaml"
        totp.write_text("".join(f"{person}: {secret}\n" for person, secret in SECRETS.items()))
        totp.chmod(0o600)
        self.app = wiring.build(settings.load(self.variables()), checkpoint=self.checkpoint)

    def variables(self) -> dict[str, str]:
        return {
            "TWOKEY_DATABASE_URL": self.database_url,
            "TWOKEY_ROSTER_FILE": str(self.folder / "roster.yaml"),
            "TWOKEY_TOTP_FILE": str(self.folder / "totp.yaml"),
            "TWOKEY_POSTMORTEMS_DIR": str(self.folder / "postmortems"),
            "TWOKEY_AWS_ENDPOINT_URL": self.proxy.url,
            "TWOKEY_REHEARSAL": "1",
            "TWOKEY_AWS_ROLE_NAME": ROLE,
            "TWOKEY_AWS_EXTERNAL_ID": "ext-1",
            "TWOKEY_AWS_QUARANTINE_PARENT_OU": self.quarantine,
            "TWOKEY_AZURE_TENANT": self.arm.state.tenant,
            "TWOKEY_AZURE_SUBSCRIPTIONS": SUBSCRIPTION,
            "TWOKEY_AZURE_ENDPOINT_URL": self.arm.base_url,
            "TWOKEY_LEASE_S": str(self.lease_s),
        }

    def client(self, service: str, account: str = "") -> Any:
        given: dict[str, Any] = {"endpoint_url": self.moto, "region_name": "eu-central-1"}
        if not account:
            if service not in self.clouds.clients:
                keys = {"aws_access_key_id": "AKIATESTTESTTESTTEST", "aws_secret_access_key": "test"}
                self.clouds.clients[service] = SESSION.client(service, **keys, **given)
            return self.clouds.clients[service]
        arn = f"arn:aws:iam::{account}:role/admin"
        lent = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="admin")["Credentials"]
        return SESSION.client(
            service,
            aws_access_key_id=lent["AccessKeyId"],
            aws_secret_access_key=lent["SecretAccessKey"],
            aws_session_token=lent["SessionToken"],
            **given,
        )

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

    def incident(self, provider: str = "aws") -> str:
        """Receive a finding about the key, or about the storage account, and sort it here."""
        event = self._opened_storage() if provider == "azure" else self._used_key()
        body = json.dumps(event).encode()
        source = f"{provider}.file:t"
        self.app.intake.receive([RawNotification(raw_id(source, body), source, body, datetime.now(UTC))])
        self.app.engine.drain()
        return self.app.response.listed()[0][0].id

    def _used_key(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(findings(self.key_id, self.buckets[:1], datetime.now(UTC))[1])
        event["account"] = event["detail"]["accountId"] = self.account
        return event

    def _opened_storage(self) -> dict[str, Any]:
        return {
            "AlertDisplayName": "Anonymous access to a storage account was allowed",
            "AlertType": "Storage.Blob_OpenACL",
            "SystemAlertId": "2518770965529163669_F144EE95-A3E5-42DA-A279-967D115809AA",
            "Severity": "High",
            "Status": "New",
            "TimeGeneratedUtc": datetime.now(UTC).isoformat(),
            "ResourceIdentifiers": [{"Type": "AzureResource", "AzureResourceId": self.storage().id}],
        }

    def storage(self) -> StorageAccount:
        return self.arm.state.accounts[0]

    def approved(self, runbook: str, **params: Any) -> Plan:
        """Propose and turn every key that is needed; the run is owed then, and nobody here does it."""
        flow = self.app.containment
        incident = self.incident(runbook.partition(".")[0])
        code = Authenticator(SECRETS["p-ana"]).code()
        seen = shown_whole(flow, flow.preview(incident, runbook, who("ana"), params), who("ana"))
        plan = flow.propose(seen, who("ana"), code=code)
        for name in ("ben", "cy"):
            shown_whole(flow, plan, who(name))
            code = Authenticator(SECRETS[f"p-{name}"]).code()
            standing = flow.approve(
                plan.id, who(name), digest=plan.digest, typed=plan.typed_target, code=code
            )
            if standing.is_satisfied:
                break
        return flow.plan(plan.id)

    def worker(self, dies_at: str = "", count: int = 1) -> FaultyBot:
        environment = {**self.variables(), **self.clouds.credentials()}
        bot = FaultyBot(
            self.folder,
            environment,
            "worker",
            dies_at=dies_at,
            dies_at_count=count,
            fork_server=self.fork_server,
        )
        self.workers.append(bot)
        return bot.start()

    def lease_runs_out(self) -> None:
        """Let the time pass after which a dead worker's jobs are anybody's."""
        if self.database_url.startswith("sqlite"):
            with sqlite3.connect(self.folder / "twokey.db", timeout=60) as database:
                database.execute("UPDATE job SET lease_until = '2000-01-01 00:00:00.000000'")
            database.close()
            return
        with psycopg.connect(self.database_url, autocommit=True) as postgres:
            postgres.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 day'")

    def until(self, condition: Callable[[], Any], seconds: float = 200.0) -> Any:
        """Wait until this is so; say what the workers did when it never is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.02)
        tails = "\n".join(bot.tail() for bot in self.workers)
        raise AssertionError(f"not within {seconds} s; {self.actions()[-12:]}\n{tails}")

    def ends(self, plan: Plan) -> Plan:
        """Wait until the run is over."""
        over = (PlanState.DONE, PlanState.FAILED, PlanState.VOIDED, PlanState.ASKING)
        return self.until(lambda: (now := self.app.containment.plan(plan.id)) and now.state in over and now)

    def effects(self, *operations: str) -> dict[str, int]:
        """Count the calls of each write that took effect, as the clouds saw them."""
        counts: dict[str, int] = {}
        for call in self.proxy.operations(*operations):
            if call.status < 300:
                counts[call.operation] = counts.get(call.operation, 0) + 1
        for patch in self.arm.writes:
            counts[patch.method] = counts.get(patch.method, 0) + 1
        return counts

    def actions(self) -> list[str]:
        with self.app.store.read() as look:
            return [entry.action for entry in look.audit()]

    def close(self) -> None:
        for bot in self.workers:
            bot.kill()
        self.app.store.close()
