"""Every way by which something comes by itself, each as it really is: our doors behind a real server, our readers.

What feeds them are SNS, EventBridge, Azure Monitor, Event Grid and the queues as this package plays them. Nothing
here knows how a source is named: that is what the tests ask.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.lab.arm.entra import Entra
from tests.lab.arm.queues import StorageQueues
from tests.lab.arm.server import TOKEN, FakeCredential
from tests.lab.aws import FakeSns
from tests.lab.endpoints import application
from tests.lab.intake_harness import IntakeHarness
from tests.lab.web import Served, served
from twokey.app.running import Poller
from twokey.demo.emulators import Ministack
from twokey.flow.intake.cursors import StoredCursors
from twokey.ports import Source
from twokey.providers.aws import wiring as aws_wiring
from twokey.providers.aws.module import AwsModule
from twokey.providers.aws.session import AwsSession
from twokey.providers.aws.sns import SnsHosts, SnsListener, topic_of
from twokey.providers.azure import wiring as azure_wiring
from twokey.providers.azure.entra import EVENT_GRID_APP, EVENT_GRID_ROLE
from twokey.providers.azure.module import AzureModule
from twokey.providers.azure.session import AzureOptions, AzureSession
from twokey.settings import Settings, load
from twokey.store import open_store
from twokey.testing.clocks import SettableClock

REGION = "eu-central-1"
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
TOPICS = tuple(f"arn:aws:sns:{REGION}:111111111111:{name}" for name in ("findings", "health"))
SNS = "Qm3xT8vB1nZ6kL9wR4yU7iO2pA5sD0fG"
BUS, SECOND = "b7Hq2Wn9Xc4Vt6Jm1Lp8Zs3Kd5Fg0Ra-", "t4Vc9Xn2Wq7Hb0Ra5Fg3Kd8Zs1Lp6Jm_"
PLAIN, SECURE = "kJ3-vQ8xT2mN7pLw9RzY5cBf1HgD4sEa", "Zx8_Cv6bN4mQ2wE0rT9yU7iO5pA3sD1f"
GRID, GUARDED = "pL5-oK9iJ2uH6yG3tF7rD1eS4wA8qZ0x", "Mn4_Bv8Cx1Zl5Kj9Hg2Fd6Sa0Po3Iu7Y"
SECRETS = (SNS, BUS, SECOND, PLAIN, SECURE, GRID, GUARDED)
QUEUES, STORAGE = ("r14-findings", "r14-health"), ("events", "more-events")


@dataclass
class Ways:
    """The settings, the clock, the record, and one act a way: `speaks["the grid"]()` is one real delivery."""

    settings: Settings
    clock: SettableClock
    sorting: IntakeHarness
    web: Served
    sns: FakeSns
    entra: Entra
    storage: StorageQueues
    sqs: Any
    readers: Mapping[str, Poller]
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def speaks(self) -> dict[str, Callable[[], object]]:
        """Return one act for each way in that the settings name."""
        return {
            "a queue": lambda: self.queued(QUEUES[0]),
            "another queue": lambda: self.queued(QUEUES[1]),
            "a topic": lambda: self.notified(TOPICS[0]),
            "another topic": lambda: self.notified(TOPICS[1]),
            "a connection": lambda: self.posts("/aws/events", self.finding(), {"x-api-key": BUS}),
            "another connection": lambda: self.posts("/aws/events", self.finding(), basic("second", SECOND)),
            "a storage queue": lambda: self.written(STORAGE[0]),
            "another storage queue": lambda: self.written(STORAGE[1]),
            "a webhook": lambda: self.posts(f"/azure/{PLAIN}", self.alert()),
            "a secure webhook": lambda: self.posts(f"/azure/{SECURE}", self.alert(), token=True),
            "a grid": lambda: self.posts(f"/azure/events/{GRID}", self.event()),
            "a guarded grid": lambda: self.posts(
                f"/azure/events?code={GUARDED}",
                self.event(),
                token=True,
                azp=EVENT_GRID_APP,
                roles=[EVENT_GRID_ROLE],
            ),
        }

    def heard(self, way: str) -> str:
        """Let one way speak; return the source that its notification has on record."""
        before = {raw.id for raw in self.sorting.raws()}
        self.speaks[way]()
        (new,) = [raw for raw in self.sorting.raws() if raw.id not in before]
        return new.source

    # what comes: never twice the same, for a repeat is no news

    def finding(self) -> bytes:
        said = {"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "id": str(next(self.numbers))}
        return json.dumps({**said, "detail": {}}).encode()

    def alert(self) -> bytes:
        return json.dumps({"schemaId": "azureMonitorCommonAlertSchema", "data": next(self.numbers)}).encode()

    def event(self, kind: str = "x", **data: str) -> bytes:
        said = {"id": str(next(self.numbers)), "topic": f"/subscriptions/{SUBSCRIPTION}", "eventType": kind}
        return json.dumps([{**said, "eventTime": "2026-01-01", "data": data}]).encode()

    # how it comes

    def posts(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        token: bool = False,
        **claims: Any,
    ) -> None:
        """Deliver as AWS and Azure do: what is answered with 503 comes again a little later."""
        for _ in range(60):
            now = int(self.clock.now().timestamp())
            proof = {"Authorization": f"Bearer {self.entra.token(now, **claims)}"} if token else {}
            status = self.web.post(path, body, {**(headers or {}), **proof})
            if status != 503:
                assert status in (200, 202), (path.rpartition("/")[0], status)
                return
            self.clock.advance(15)
        raise AssertionError("the door never had time")

    def notified(self, topic: str) -> None:
        self.posts(f"/aws/sns/{SNS}", self.sns.notification({}, next(self.numbers), TopicArn=topic))

    def queued(self, queue: str) -> None:
        url = self.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        self.sqs.send_message(QueueUrl=url, MessageBody=self.finding().decode())
        self.fetched(queue)

    def written(self, queue: str) -> None:
        self.storage.put(queue, base64.b64encode(self.event()).decode())
        self.fetched(queue)

    def fetched(self, queue: str) -> None:
        """Let the running bot's own pump fetch, store and acknowledge."""
        assert any(self.readers[queue].once() for _ in range(60))


def basic(name: str, key: str) -> dict[str, str]:
    """Return an EventBridge connection's other way to say its key."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{key}".encode()).decode()}


def variables(aws_url: str, storage_url: str, entra: Entra) -> dict[str, str]:
    """Return settings in which every way in is configured, most of them twice."""
    return {
        "TWOKEY_AWS_REGION": REGION,
        "TWOKEY_AWS_ENDPOINT_URL": aws_url,
        "TWOKEY_REHEARSAL": "1",
        "TWOKEY_AWS_QUEUES": f"{aws_url}/111111111111/{QUEUES[0]},{aws_url}/111111111111/{QUEUES[1]}/",
        "TWOKEY_AWS_SNS_TOPICS": ",".join(TOPICS),
        "TWOKEY_AWS_SNS_SECRET": SNS,
        "TWOKEY_AWS_EVENT_KEYS": f"bus={BUS},second={SECOND}",
        "TWOKEY_AZURE_QUEUES": ",".join(f"{storage_url}/{name}" for name in STORAGE),
        "TWOKEY_AZURE_WEBHOOKS": f"plain={PLAIN},secure={SECURE}",
        "TWOKEY_AZURE_EVENT_GRID": f"grid={GRID},guarded={GUARDED}",
        "TWOKEY_AZURE_SUBSCRIPTIONS": SUBSCRIPTION,
        "TWOKEY_AZURE_WEBHOOK_AUDIENCE": "api://twokey",
        "TWOKEY_AZURE_WEBHOOK_TENANT": entra.tenant,
        "TWOKEY_AZURE_AUTHORITY": entra.base_url,
        "TWOKEY_AZURE_DOORS_WITHOUT_TOKEN": "plain,grid",
    }


@contextlib.contextmanager
def open_ways(folder: Path, aws: Ministack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ways]:
    """Open every way in. The clock begins a month ago, so that what comes can grow old before today."""
    clock = SettableClock(datetime.now(UTC) - timedelta(days=30))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with contextlib.ExitStack() as stack:
        entra = stack.enter_context(Entra())
        monkeypatch.setenv("SSL_CERT_FILE", entra.ca_bundle)
        sns = stack.enter_context(FakeSns(folder, topic=TOPICS[0], now=clock.now()))
        storage = stack.enter_context(StorageQueues(TOKEN, now=lambda: clock.now().timestamp()))
        storage.queues.update({name: [] for name in STORAGE})
        given = variables(aws.url, storage.base_url, entra)
        settings = load({**given, "TWOKEY_DATABASE_URL": f"sqlite:///{folder}/twokey.db"})
        sqs = boto3.client("sqs", region_name=REGION, endpoint_url=aws.url)
        for name in QUEUES:
            sqs.create_queue(QueueName=name)
        store = open_store(settings.database_url, clock, migrate=True)
        stack.callback(store.close)
        sorting = IntakeHarness(store, store.jobs(), clock=clock)
        readers = _readers(settings, storage, sorting)
        web = stack.enter_context(served(_web(settings, clock, sns, sorting)))
        yield Ways(settings, clock, sorting, web, sns, entra, storage, sqs, readers)


def _web(settings: Settings, clock: SettableClock, sns: FakeSns, sorting: IntakeHarness) -> Any:
    """Return the doors as the bot wires them; only where SNS's names lead to is another place."""
    hosts = SnsHosts(
        frozenset(topic_of(topic).host for topic in TOPICS),
        timeout_s=60,
        reach=sns.reach,
        context=sns.context,
    )
    doors = aws_wiring.endpoints_of(settings.module(AwsModule).settings, clock)
    assert doors.sns is not None
    listener = SnsListener(settings.module(AwsModule).settings.sns_topics, clock, hosts=hosts)
    doors = replace(doors, sns=replace(doors.sns, hear=listener.hear, judge_s=100.0))
    azure = azure_wiring.endpoints_of(settings.module(AzureModule).settings, clock)
    return application(sorting.intake.receive, azure=azure, aws=doors, clock=clock, readiness=dict)


def _readers(settings: Settings, storage: StorageQueues, sorting: IntakeHarness) -> dict[str, Poller]:
    options = AzureOptions("", (), ca_bundle=storage.ca_bundle, use_environment_proxy=False)
    azure = AzureSession(options, FakeCredential())
    cursors = StoredCursors(sorting.store, sorting.clock)
    found: list[Source] = [
        *aws_wiring.sources_of(
            settings.module(AwsModule).settings,
            AwsSession(aws_wiring.options_of(settings.module(AwsModule).settings), sorting.clock),
            cursors,
        ),
        *azure_wiring.queues_of(settings.module(AzureModule).settings, azure, sorting.clock),
    ]
    names = (*QUEUES, *STORAGE)
    assert len(found) == len(names)
    pollers = [Poller(source, sorting.intake, threading.Event()) for source in found]
    return dict(zip(names, pollers, strict=True))
