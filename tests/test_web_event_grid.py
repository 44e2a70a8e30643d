"""Event Grid's door, through a real uvicorn: two handshakes, two schemas, allowed topics, and nothing without the secret."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from tests.lab.endpoints import application, hide
from twokey.core.errors import Invalid, Unavailable
from twokey.core.signals import RawNotification
from twokey.providers.azure.endpoints import AzureEndpoints, EventGridEndpoint, WebhookEndpoint
from twokey.providers.azure.event_topics import EventTopics
from twokey.testing.clocks import SettableClock
from twokey.web import serve

SECRET = "kJ3-vQ8xT2mN7pLw9RzY5cBf1HgD4sEa"
WEBHOOK = "Zx8_Cv6bN4mQ2wE0rT9yU7iO5pA3sD1f"
SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
TOPIC = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.EventGrid/systemTopics/health"
CODE = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"


@dataclass
class Shelf:
    """A store that may be away."""

    rows: list[RawNotification] = field(default_factory=list)
    away: bool = False

    def receive(self, notifications: Sequence[RawNotification]) -> list[str]:
        if self.away:
            raise Unavailable("store.away")
        self.rows.extend(notifications)
        return [raw.id for raw in notifications]


@dataclass
class Grid:
    """Event Grid, as far as a door of ours can see it."""

    url: str
    client: aiohttp.ClientSession

    async def deliver(
        self, events: Any, path: str = f"/azure/events/{SECRET}", **more: Any
    ) -> tuple[int, str]:
        data = events if isinstance(events, bytes) else json.dumps(events).encode()
        async with self.client.post(self.url + path, data=data, **more) as answer:
            return answer.status, await answer.text()

    async def options(
        self, origin: str = "eventgrid.azure.net", path: str = f"/azure/events/{SECRET}"
    ) -> tuple[int, dict[str, str]]:
        headers = {"WebHook-Request-Origin": origin, "WebHook-Request-Rate": "120"} if origin else {}
        async with self.client.options(self.url + path, headers=headers) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}


@asynccontextmanager
async def running(shelf: Shelf, door: EventGridEndpoint):
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    doors = AzureEndpoints((WebhookEndpoint("webhook", WEBHOOK),), (door,))
    app = application(shelf.receive, azure=doors, clock=SettableClock(), readiness=dict)
    task = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, hide=hide, on_ready=port.set_result))
    async with aiohttp.ClientSession() as client:
        try:
            yield Grid(f"http://127.0.0.1:{await port}", client)
        finally:
            stop.set()
            await asyncio.wait_for(task, 60)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def run(shelf: Shelf) -> Callable[..., None]:
    """Run a story against a door for one topic."""

    def tell(story: Callable[[Grid], Awaitable[None]], **door: Any) -> None:
        async def whole() -> None:
            made = EventGridEndpoint(
                "grid", SECRET, tenant="tenant-1", handshake=EventTopics((TOPIC,)).handshake, **door
            )
            async with running(shelf, made) as grid:
                await story(grid)

        asyncio.run(whole())

    return tell


def event(**changed: Any) -> dict[str, Any]:
    return {
        "id": "1",
        "topic": TOPIC,
        "subject": "x",
        "eventType": "Microsoft.ResourceNotifications.HealthResources.AvailabilityStatusChanged",
        "eventTime": "2026-11-20T03:10:25Z",
        "data": {},
        "dataVersion": "1",
        **changed,
    }


def validation(**changed: Any) -> list[dict[str, Any]]:
    data = {"validationCode": CODE, "validationUrl": "https://evil.example/never-called"}
    return [event(eventType="Microsoft.EventGrid.SubscriptionValidationEvent", data=data) | changed]


def cloud_event(**changed: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "2", "source": TOPIC, "type": "x", "data": {}, **changed}


def test_the_validation_event_is_stored_and_answered_with_its_code(
    run: Callable[..., None], shelf: Shelf
) -> None:
    async def story(grid: Grid) -> None:
        status, said = await grid.deliver(validation(), headers={"aeg-event-type": "SubscriptionValidation"})
        assert (status, json.loads(said)) == (200, {"validationResponse": CODE})

    run(story)
    assert [(raw.source, raw.tenant) for raw in shelf.rows] == [("azure.eventgrid:grid", "tenant-1")]


def test_a_validation_that_cannot_be_stored_is_not_answered(run: Callable[..., None], shelf: Shelf) -> None:
    async def story(grid: Grid) -> None:
        shelf.away = True
        assert await grid.deliver(validation()) == (503, "")
        assert (await grid.deliver([event()]))[0] == 503

    run(story)


def test_events_of_both_schemas_one_or_many_are_stored_as_they_came(
    run: Callable[..., None], shelf: Shelf
) -> None:
    bodies = [
        [event()],
        [event(id="a"), event(id="b")],
        cloud_event(),
        [cloud_event(id="3"), cloud_event(id="4")],
    ]

    async def story(grid: Grid) -> None:
        for body in bodies:
            assert await grid.deliver(body) == (200, "")

    run(story)
    assert [json.loads(raw.body) for raw in shelf.rows] == bodies


def test_the_secret_may_be_in_the_path_or_in_the_query_and_nowhere_else(
    run: Callable[..., None], shelf: Shelf
) -> None:
    async def story(grid: Grid) -> None:
        assert (await grid.deliver([event()], f"/azure/events?code={SECRET}"))[0] == 200
        for path in (
            "/azure/events",
            "/azure/events?code=",
            "/azure/events?code=wrong-" + "x" * 30,
            f"/azure/events?secret={SECRET}",
            f"/azure/events/{WEBHOOK}",
            f"/azure/{SECRET}",
            f"/azure/events/{SECRET}/more",
            f"/azure/events/wrong?code={SECRET}",
        ):
            assert await grid.deliver(validation(), path) == (404, "") or path.endswith("/more"), path
            assert (await grid.deliver(validation(), path))[0] in (404, 405)
            status, headers = await grid.options(path=path)
            assert status in (404, 405), path
            assert "webhook-allowed-origin" not in headers

    run(story)
    assert len(shelf.rows) == 1


@pytest.mark.parametrize(
    "topic",
    [
        "",
        None,
        7,
        SUBSCRIPTION,  # more than what is allowed
        TOPIC + "x",
        TOPIC.replace("11111111", "99999999"),
        f"{TOPIC}/../../evil",
        "https://evil.example" + TOPIC,
    ],
)
def test_another_topic_is_refused_with_its_handshake_and_its_events(
    run: Callable[..., None], shelf: Shelf, topic: Any
) -> None:
    async def story(grid: Grid) -> None:
        assert await grid.deliver(validation(topic=topic)) == (403, "")
        assert await grid.deliver([event(topic=topic)]) == (403, "")
        assert await grid.deliver([event(), event(topic=topic)]) == (403, "")
        assert await grid.deliver([event(), [[event(topic=topic)]]]) == (403, "")
        assert await grid.deliver({"value": [event(topic=topic)]}) == (403, "")
        assert await grid.deliver(cloud_event(source=topic)) == (403, "")

    run(story)
    assert shelf.rows == []


def test_a_topic_within_an_allowed_one_may_speak_in_any_letter_case(
    run: Callable[..., None], shelf: Shelf
) -> None:
    async def story(grid: Grid) -> None:
        assert (await grid.deliver(validation(topic=TOPIC.upper() + "/")))[0] == 200
        assert (await grid.deliver([event(topic=TOPIC + "/eventSubscriptions/one")]))[0] == 200

    run(story)


def test_a_validation_among_other_events_of_the_kind_is_not_answered_twice(run: Callable[..., None]) -> None:
    async def story(grid: Grid) -> None:
        assert await grid.deliver([*validation(), *validation()]) == (200, "")
        assert await grid.deliver(validation(data={"validationCode": '"><script>'})) == (200, "")
        assert await grid.deliver(validation(data={"validationCode": ["x"]})) == (200, "")

    run(story)


def test_cloud_events_permission_is_given_to_event_grid_alone(run: Callable[..., None], shelf: Shelf) -> None:
    async def story(grid: Grid) -> None:
        status, headers = await grid.options()
        assert status == 200
        assert headers["webhook-allowed-origin"] == "eventgrid.azure.net"
        assert headers["webhook-allowed-rate"] == "*"
        for origin in (
            "",
            "evil.example",
            "*",
            "eventgrid.azure.net.evil.example",
            "eventgrid.azure.net evil",
        ):
            status, headers = await grid.options(origin)
            assert status == 403, origin
            assert "webhook-allowed-origin" not in headers

    run(story)
    assert shelf.rows == []


def test_the_token_is_asked_for_first_where_the_door_wants_one(
    run: Callable[..., None], shelf: Shelf
) -> None:
    asked: list[str] = []

    def may_enter(header: str) -> bool:
        asked.append(header)
        if header == "later":
            raise Unavailable("azure.webhook_keys")
        return header == "good"

    async def story(grid: Grid) -> None:
        for header, status in (("bad", 401), ("later", 503), ("good", 200)):
            found = await grid.deliver(validation(), headers={"Authorization": header})
            assert found[0] == status
        assert (await grid.options())[0] == 401

    run(story, authorize=may_enter)
    assert asked == ["bad", "later", "good", ""]
    assert len(shelf.rows) == 1


def test_what_cannot_be_read_is_kept(run: Callable[..., None], shelf: Shelf) -> None:
    bodies = [b"", b"not JSON", b"\xff\xfe", b"[" * 5000, b"[]", b"7", b'["x"]']

    async def story(grid: Grid) -> None:
        for body in bodies:
            assert (await grid.deliver(body))[0] == 200

    run(story)
    assert [raw.body for raw in shelf.rows] == bodies


@pytest.mark.parametrize(
    "topics", [(), ("",), ("*",), ("/",), ("/subscriptions/",), ("https://x/subscriptions/1",)]
)
def test_a_door_for_every_topic_stops_the_start(topics: tuple[str, ...]) -> None:
    with pytest.raises(Invalid, match=r"azure\.topic_malformed"):
        EventTopics(topics)


def test_no_log_shows_the_secret() -> None:
    for line in (
        f"POST /azure/events/{SECRET} 200",
        f"POST /azure/events?code={SECRET} 200",
        f"/x?a=1&code={SECRET}",
    ):
        assert SECRET not in hide(line)
