"""AWS for tests: a moto server on the loopback address, and nothing else that can be reached."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.config import Config

from twokey.core.runbooks import Target
from twokey.providers.aws import provider
from twokey.providers.aws.options import AwsOptions
from twokey.providers.aws.session import AwsSession
from twokey.testing.clocks import SettableClock

OWN = "123456789012"  # moto's own account: the bot's, and the organisation's management account
VICTIM = "222222222222"
# Calls that need no grant, and the one that the process makes for itself.
FREE = frozenset({"sts:GetCallerIdentity", "sts:AssumeRole"})
_NAMES = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "accessanalyzer:ValidatePolicy": "access-analyzer:ValidatePolicy",
}


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Start moto once; its data is wiped before each test that asks for `aws`."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches an address that is not on this machine, nor credentials that are."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address[0]}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


_LOADER = boto3.Session(region_name="us-east-1")._session.get_component("data_loader")


class RecordingSession(AwsSession):
    """The real session; every call that reaches a client's wire is written down by its permission."""

    def __init__(self, options: AwsOptions, clock: SettableClock, sleep: Any = None) -> None:
        super().__init__(options, clock, sleep)
        self.made: list[str] = []
        self.bodies: list[tuple[str, dict[str, Any]]] = []

    def _session(self) -> Any:
        session = super()._session()
        session.register_component("data_loader", _LOADER)  # reading the models anew is half a test's time
        return session

    def _make(self, service: str, account: str, region: str, attempts: int) -> Any:
        client = super()._make(service, account, region, attempts)

        def note(model: Any, params: dict[str, Any], **_: Any) -> None:
            name = f"{service}:{model.name}"
            self.made.append(_NAMES.get(name, name))
            self.bodies.append((name, params))

        client.meta.events.register("before-call.*.*", note)
        return client


@dataclass
class World:
    """The bot's AWS, and the hands of somebody who prepares it."""

    url: str
    options: AwsOptions
    own: str = OWN
    victim: str = VICTIM
    free: frozenset[str] = FREE
    clock: SettableClock = field(default_factory=SettableClock)
    session: RecordingSession = field(init=False)
    slept: list[float] = field(default_factory=list)
    _admins: dict[tuple[str, str], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.session = RecordingSession(self.options, self.clock, self._sleep)
        self.cloud = provider(self.options, self.clock, session=self.session)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)

    def admin(self, service: str, account: str = "") -> Any:
        """Return a client of the test's own, which is not recorded."""
        key = (service, account)
        if key not in self._admins:
            self._admins[key] = self._admin(service, account)
        return self._admins[key]

    def _admin(self, service: str, account: str) -> Any:
        given: dict[str, Any] = {
            "endpoint_url": self.url,
            "region_name": "us-east-1",
            "config": Config(retries={"mode": "standard", "total_max_attempts": 1}),
        }
        own = {"aws_access_key_id": "AKIATESTTESTTESTTEST", "aws_secret_access_key": "test"}
        if not account or account == OWN:
            return boto3.client(service, **own, **given)
        role = boto3.client("sts", **own, **given).assume_role(
            RoleArn=f"arn:aws:iam::{account}:role/admin", RoleSessionName="admin"
        )["Credentials"]
        return boto3.client(
            service,
            aws_access_key_id=role["AccessKeyId"],
            aws_secret_access_key=role["SecretAccessKey"],
            aws_session_token=role["SessionToken"],
            **given,
        )

    def target(self, account: str = VICTIM) -> Target:
        """Return where an action acts."""
        return Target(account, "us-east-1")

    def calls(self) -> list[str]:
        """Return the permissions of the calls that were made."""
        return list(self.session.made)


@dataclass
class Leak:
    """A user with a leaked key, and another key and policy that must stay as they are."""

    user: str
    key: str
    other_key: str


@pytest.fixture
def leak(aws: World) -> Leak:
    """Make the user in the victim's account."""
    iam = aws.admin("iam", aws.victim)
    iam.create_user(UserName="backup", Tags=[{"Key": "team", "Value": "storage"}])
    keys = [iam.create_access_key(UserName="backup")["AccessKey"]["AccessKeyId"] for _ in range(2)]
    iam.put_user_policy(
        UserName="backup",
        PolicyName="its-own",
        PolicyDocument='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}',
    )
    return Leak("backup", keys[0], keys[1])


@dataclass
class Organization:
    """An organisation: Root / Workloads / the account, and Root / Security / Quarantine for new units."""

    root: str
    workloads: str
    quarantine: str
    account: str
    other: str
    aws: World

    def world(self) -> object:
        """Return units, accounts, policies and attachments as plain data, ids of new things by their names."""
        org = self.aws.admin("organizations")
        policies = org.list_policies(Filter="SERVICE_CONTROL_POLICY")["Policies"]
        names = {policy["Id"]: policy["Name"] for policy in policies}
        tree: dict[str, Any] = {}

        def walk(parent: str, path: str) -> None:
            attached = org.list_policies_for_target(TargetId=parent, Filter="SERVICE_CONTROL_POLICY")[
                "Policies"
            ]
            accounts = org.list_accounts_for_parent(ParentId=parent)["Accounts"]
            tree[path] = (sorted(p["Name"] for p in attached), sorted(a["Id"] for a in accounts))
            for unit in org.list_organizational_units_for_parent(ParentId=parent)["OrganizationalUnits"]:
                walk(unit["Id"], f"{path}/{unit['Name']}")

        walk(self.root, "")
        texts = {name: org.describe_policy(PolicyId=one)["Policy"]["Content"] for one, name in names.items()}
        return tree, texts


@pytest.fixture
def organization(aws: World) -> Organization:
    """Make the organisation with the bot's own account as its management account."""
    org = aws.admin("organizations")
    org.create_organization(FeatureSet="ALL")
    root = org.list_roots()["Roots"][0]["Id"]
    org.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")

    def unit(parent: str, name: str) -> str:
        made = org.create_organizational_unit(ParentId=parent, Name=name)
        return str(made["OrganizationalUnit"]["Id"])

    def account(name: str, parent: str) -> str:
        made = org.create_account(Email=f"{name}@example.com", AccountName=name)
        account_id = str(made["CreateAccountStatus"]["AccountId"])
        org.move_account(AccountId=account_id, SourceParentId=root, DestinationParentId=parent)
        return account_id

    workloads = unit(root, "Workloads")
    quarantine = unit(unit(root, "Security"), "Quarantine")
    found = Organization(
        root, workloads, quarantine, account("prod", workloads), account("dev", workloads), aws
    )
    guard = org.create_policy(
        Name="no-leave", Description="-", Type="SERVICE_CONTROL_POLICY", Content=NO_LEAVE
    )["Policy"]["PolicySummary"]["Id"]
    org.attach_policy(PolicyId=guard, TargetId=workloads)
    return found


NO_LEAVE = (
    '{"Version":"2012-10-17","Statement":'
    '[{"Effect":"Deny","Action":"organizations:LeaveOrganization","Resource":"*"}]}'
)


@pytest.fixture
def aws(moto_url: str) -> World:
    """Return an empty AWS with two accounts."""
    request = urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")
    urllib.request.urlopen(request).close()
    return World(moto_url, an_options(moto_url))


def an_options(url: str, **changes: Any) -> AwsOptions:
    """Return options for the emulator."""
    given: dict[str, Any] = {
        "endpoint_url": url,
        "access_key_id": "AKIATESTTESTTESTTEST",
        "secret_access_key": "test",
        "external_id": "ext-1",
        "max_attempts": 2,
        "connect_timeout_s": 2.0,
        "read_timeout_s": 5.0,
    }
    return AwsOptions(**{**given, **changes})
