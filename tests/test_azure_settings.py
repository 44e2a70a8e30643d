"""The settings of Azure's ways in: what would leave a door open, or shut for everybody, is told before the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from twokey.app import build
from twokey.app.doctor import Finding, examine
from twokey.core.errors import Invalid
from twokey.providers.azure import entra, signing_keys
from twokey.providers.azure.endpoints import AzureEndpoints
from twokey.providers.azure.module import AzureModule
from twokey.providers.azure.settings import AzureSettings
from twokey.providers.azure.wiring import endpoints_of, session_of, sources_of
from twokey.settings import Settings, load
from twokey.testing.clocks import SettableClock

SECRET = "kJ3-vQ8xT2mN7pLw9RzY5cBf1HgD4sEa"
SECOND = "Zx8_Cv6bN4mQ2wE0rT9yU7iO5pA3sD1f"
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
TENANT = "00000000-0000-0000-0000-00000000000f"
GOOD = {
    "TWOKEY_AZURE_WEBHOOKS": f"prod={SECRET}",
    "TWOKEY_AZURE_EVENT_GRID": f"grid={SECOND}",
    "TWOKEY_AZURE_SUBSCRIPTIONS": SUBSCRIPTION,
    "TWOKEY_AZURE_WEBHOOK_AUDIENCE": "api://twokey",
    "TWOKEY_AZURE_TENANT": TENANT,
}


def azure_of(settings: Settings) -> AzureSettings:
    return settings.module(AzureModule).settings


def doors_of(settings: Settings) -> AzureEndpoints:
    return endpoints_of(azure_of(settings), SettableClock())


class Nowhere:
    """Cursors of a source that was never read."""

    def position(self, source: str) -> str:
        return ""

    def move(self, source: str, position: str) -> None:
        raise AssertionError("nothing is read here")


def test_the_defaults_are_those_of_the_public_cloud() -> None:
    settings = AzureSettings()
    assert settings.webhook_app == entra.ACTION_GROUPS_APP
    assert settings.event_grid_app == entra.EVENT_GRID_APP
    assert settings.authority == signing_keys.AUTHORITY


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"TWOKEY_AZURE_EVENT_GRID": "grid=short"}, "TWOKEY_AZURE_EVENT_GRID: grid"),
        ({"TWOKEY_AZURE_EVENT_GRID": SECOND}, "TWOKEY_AZURE_EVENT_GRID: (no name)"),
        ({"TWOKEY_AZURE_WEBHOOKS": SECRET}, "TWOKEY_AZURE_WEBHOOKS: (no name)"),
        ({"TWOKEY_AZURE_DOORS_WITHOUT_TOKEN": "prd"}, "TWOKEY_AZURE_DOORS_WITHOUT_TOKEN: prd"),
        (
            {"TWOKEY_AZURE_DOORS_WITHOUT_TOKEN": "prod", "TWOKEY_AZURE_WEBHOOK_AUDIENCE": ""},
            "TWOKEY_AZURE_WEBHOOK_AUDIENCE",
        ),
        ({"TWOKEY_AZURE_TENANT": ""}, "TWOKEY_AZURE_WEBHOOK_TENANT"),
        ({"TWOKEY_AZURE_SUBSCRIPTIONS": ""}, "TWOKEY_AZURE_EVENT_GRID_TOPICS"),
        ({"TWOKEY_AZURE_POLL_S": "300", "TWOKEY_AZURE_SUBSCRIPTIONS": ""}, "TWOKEY_AZURE_SUBSCRIPTIONS"),
        ({"TWOKEY_AZURE_POLL_S": "5"}, "TWOKEY_AZURE_POLL_S"),
        ({"TWOKEY_AZURE_POLL_S": "-60"}, "TWOKEY_AZURE_POLL_S"),
        ({"TWOKEY_AZURE_ANNOTATION_WAIT_S": "-1"}, "TWOKEY_AZURE_ANNOTATION_WAIT_S"),
    ],
)
def test_a_wrong_setting_is_named_and_its_secret_is_not(changed: dict[str, str], said: str) -> None:
    load(GOOD)
    with pytest.raises(Invalid, match=r"settings\.wrong") as refused:
        load({**GOOD, **changed})
    assert said in str(refused.value)
    assert SECOND not in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"TWOKEY_AZURE_TENANT": "common"}, "webhook_tenant"),
        ({"TWOKEY_AZURE_WEBHOOK_APP": "*"}, "webhook_app"),
        ({"TWOKEY_AZURE_EVENT_GRID_APP": ""}, "webhook_app"),
        (
            {"TWOKEY_AZURE_AUTHORITY": "http://login.example", "TWOKEY_REHEARSAL": "1"},
            "base_url_not_https",
        ),
        ({"TWOKEY_AZURE_EVENT_GRID_TOPICS": "*"}, "topic_malformed"),
    ],
)
def test_a_door_that_could_not_be_guarded_stops_the_start(changed: dict[str, str], code: str) -> None:
    with pytest.raises(Invalid, match=rf"azure\.{code}"):
        doors_of(load({**GOOD, **changed}))


def test_one_audience_guards_every_door_but_those_that_are_named() -> None:
    doors = doors_of(load(GOOD))
    assert all(door.authorize for door in (*doors.webhooks, *doors.events))
    partly = doors_of(load({**GOOD, "TWOKEY_AZURE_DOORS_WITHOUT_TOKEN": "prod"}))
    assert [door.authorize is None for door in (*partly.webhooks, *partly.events)] == [True, False]
    open_doors = doors_of(load({**GOOD, "TWOKEY_AZURE_WEBHOOK_AUDIENCE": ""}))
    assert [door.authorize for door in (*open_doors.webhooks, *open_doors.events)] == [None, None]


def test_two_doors_do_not_share_a_secret_across_kinds() -> None:
    with pytest.raises(Invalid, match=r"web\.door_twice"):
        doors_of(load({**GOOD, "TWOKEY_AZURE_EVENT_GRID": f"grid={SECRET}"}))


def test_what_is_read_follows_from_the_settings() -> None:
    def names(**changed: str) -> list[str]:
        settings = azure_of(load({**GOOD, **changed}))
        made = sources_of(settings, session_of(settings), SettableClock(), Nowhere())
        return [source.name for source in made]

    polled = [f"azure.poll:{SUBSCRIPTION}", f"azure.activitylog:{SUBSCRIPTION}"]
    queue = "https://account.queue.core.windows.net/events"
    assert names() == []
    assert names(TWOKEY_AZURE_QUEUES=queue) == ["azure.queue:account/events"]
    assert names(TWOKEY_AZURE_POLL_S="60") == polled
    assert names(TWOKEY_AZURE_POLL_S="60", TWOKEY_AZURE_POLL_CATEGORIES="") == polled[:1]
    assert names(TWOKEY_AZURE_POLL_S="60", TWOKEY_AZURE_POLL_TENANT="yes") == [*polled, "azure.poll:tenant"]


def test_doctor_says_which_doors_are_guarded_and_what_is_wrong_with_the_queues(tmp_path: Path) -> None:
    good = {**GOOD, "TWOKEY_DATABASE_URL": f"sqlite:///{tmp_path}/record.db"}
    settings = load(good)
    said = {finding.part: finding for finding in examine(settings)}
    assert "1 Azure webhooks and 1 Event Grid addresses, 2 of them want an Entra token" in said["doors"].says
    assert "no polling" in said["azure"].says
    wrong = load({**good, "TWOKEY_AZURE_QUEUES": "https://account.example/events?sig=abc"})
    (finding,) = [finding for finding in examine(wrong) if finding.part == "azure"]
    assert not finding.ok
    assert "sig=" not in finding.says


def test_for_whom_a_source_may_speak_is_read_from_the_settings() -> None:
    scopes = f"webhook:prod={SUBSCRIPTION}+{TENANT},eventgrid:grid=*,"
    loaded = load({**GOOD, "TWOKEY_AZURE_SOURCE_SCOPES": scopes})
    assert azure_of(loaded).source_scopes == (f"webhook:prod={SUBSCRIPTION}+{TENANT}", "eventgrid:grid=*")
    loaded.module(AzureModule).source_authorization()
    with pytest.raises(Invalid, match=r"azure\.scope\.entry") as refused:
        load({**GOOD, "TWOKEY_AZURE_SOURCE_SCOPES": f"eventgrid:grid=*,prod={SUBSCRIPTION}"}).module(
            AzureModule
        ).source_authorization()
    assert f"prod={SUBSCRIPTION}" in str(refused.value)


@pytest.mark.parametrize("clouds", ["aws,azure", "aws"])
def test_a_wrong_list_of_sources_stops_the_start(tmp_path: Path, clouds: str) -> None:
    """Also where nothing is contained in Azure: its notifications are read all the same."""
    database = f"sqlite:///{tmp_path}/record.db"
    wrong = {"TWOKEY_AZURE_SOURCE_SCOPES": "webhook:prod", "TWOKEY_CLOUDS": clouds}
    with pytest.raises(Invalid, match=r"azure\.scope\.entry"):
        build(load({**GOOD, **wrong, "TWOKEY_DATABASE_URL": database}))


def test_doctor_says_for_whom_sources_of_azure_may_speak_and_names_a_wrong_entry(tmp_path: Path) -> None:
    def told(**changed: str) -> Finding:
        good = {**GOOD, "TWOKEY_DATABASE_URL": f"sqlite:///{tmp_path}/record.db"}
        (found,) = [finding for finding in examine(load({**good, **changed})) if finding.part == "azure"]
        return found

    assert "TWOKEY_AZURE_SOURCE_SCOPES limits that" in told().says
    listed = told(TWOKEY_AZURE_SOURCE_SCOPES=f"webhook:prod={SUBSCRIPTION}")
    assert listed.ok
    assert "each source speaks for its own subscriptions" in listed.says
    for clouds in ("aws,azure", "aws"):
        wrong = told(TWOKEY_AZURE_SOURCE_SCOPES="webhook:prod=all", TWOKEY_CLOUDS=clouds)
        assert not wrong.ok
        assert "webhook:prod=all" in wrong.says
