"""The way to Azure: what may be configured, who gets the token, and what errors mean."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from tests.lab.arm import Arm, Fault, StorageAccount, health_event
from tests.lab.arm.server import FakeCredential
from twokey.core.errors import Invalid, Refused, Unavailable
from twokey.ports import ACTING_FOR, ActingFor
from twokey.providers.azure import storage
from twokey.providers.azure.facts import AzureFacts
from twokey.providers.azure.identifiers import storage_account_id
from twokey.providers.azure.pipeline import OnlyThisHost
from twokey.providers.azure.session import AzureOptions, AzureSession
from twokey.testing.clocks import SettableClock

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize("subscription", ["", "*", "prod", "11111111-2222-3333-4444-55555555555Z", "../x"])
def test_a_subscription_that_is_not_an_id_stops_the_start(subscription: str) -> None:
    with pytest.raises(Invalid, match=r"azure\.subscription_malformed"):
        AzureOptions(tenant="", subscriptions=(subscription,))


def test_a_resource_manager_without_tls_stops_the_start() -> None:
    with pytest.raises(Invalid, match=r"azure\.base_url_not_https"):
        AzureOptions(tenant="", subscriptions=(), base_url="http://127.0.0.1:1")


def test_no_subscription_configured_means_none_may_be_read(arm: Arm) -> None:
    session = AzureSession(replace(arm.options(), subscriptions=()), FakeCredential())
    with pytest.raises(Refused, match=r"azure\.subscription_not_configured"):
        session.storage(SUBSCRIPTION)


def test_clients_are_kept_per_subscription(arm: Arm) -> None:
    session = arm.session()
    assert session.storage(SUBSCRIPTION) is session.storage(SUBSCRIPTION.upper())
    assert session.storage(SUBSCRIPTION) is not session.health(SUBSCRIPTION)
    session.close()


def test_a_next_page_link_to_another_host_is_not_followed_and_gets_no_token(
    arm: Arm, clock: SettableClock, tmp_path: Path
) -> None:
    arm.state.events[SUBSCRIPTION] = [health_event("A1")]
    with Arm() as stranger:
        # Trusted by certificate: it is the host alone that must keep the token back.
        both = tmp_path / "both.pem"
        both.write_text(Path(arm.ca_bundle).read_text() + Path(stranger.ca_bundle).read_text())
        stranger.state.subscriptions[SUBSCRIPTION] = "Enabled"
        real = arm.base_url
        arm.state.page_size = 0  # every page is empty and points on
        arm.base_url = stranger.base_url
        try:
            options = replace(arm.options(SUBSCRIPTION), base_url=real, ca_bundle=str(both))
            session = AzureSession(options, FakeCredential())
            with pytest.raises(Unavailable, match=r"azure\.unreachable"):
                AzureFacts(session, clock).events_of_subscription(SUBSCRIPTION)
        finally:
            arm.base_url = real
        assert stranger.calls == []


def test_a_certificate_that_is_not_trusted_is_not_talked_to(arm: Arm, clock: SettableClock) -> None:
    session = AzureSession(replace(arm.options(SUBSCRIPTION), ca_bundle=""), FakeCredential())
    reach = AzureFacts(session, clock).reach(SUBSCRIPTION)
    assert reach.problem is not None
    assert reach.problem.code in ("azure.unreachable", "azure.answer_lost")
    assert arm.calls == []


def test_nobody_there_is_unreachable(arm: Arm, clock: SettableClock) -> None:
    options = replace(arm.options(SUBSCRIPTION), base_url="https://127.0.0.1:1", connect_timeout_s=0.5)
    reach = AzureFacts(AzureSession(options, FakeCredential()), clock).reach(SUBSCRIPTION)
    assert reach.problem is not None
    assert reach.problem.code == "azure.unreachable"


def test_a_failed_sign_in_says_so_and_does_not_repeat_azures_words(arm: Arm, clock: SettableClock) -> None:
    class NoCredential(FakeCredential):
        def get_token(self, *scopes: str, **options: object) -> AccessToken:
            raise ClientAuthenticationError("secret=hunter2 was refused")

    session = AzureSession(arm.options(SUBSCRIPTION), NoCredential())
    reach = AzureFacts(session, clock).reach(SUBSCRIPTION)
    assert reach.problem is not None
    assert reach.problem.code == "azure.sign_in_failed"
    assert "hunter2" not in str(reach.problem)


def test_azures_answer_must_be_about_the_account_that_was_asked_for(
    arm: Arm, account: StorageAccount
) -> None:
    session = arm.session()
    asked = storage_account_id(account.id)
    found = session.storage(SUBSCRIPTION).storage_accounts.get_properties(asked.group, asked.name)
    with pytest.raises(Invalid, match=r"azure\.other_answer"):
        storage.account_of(found, replace(asked, name="anotheraccount"))


@pytest.mark.parametrize(
    ("status", "code", "ours"),
    [
        (409, "StorageAccountOperationInProgress", "azure.concurrent_modification"),
        (412, "PreconditionFailed", "azure.concurrent_modification"),
        (500, "InternalServerError", "azure.server_error"),
        (502, "BadGateway", "azure.server_error"),
        (408, "RequestTimeout", "azure.server_error"),
        (400, "InvalidRequest", "azure.request_refused"),
    ],
)
def test_every_answer_of_azure_has_one_meaning(
    arm: Arm, account: StorageAccount, clock: SettableClock, status: int, code: str, ours: str
) -> None:
    arm.order(Fault(status=status, code=code, times=9))
    reach = AzureFacts(arm.session(), clock).reach(SUBSCRIPTION)
    assert reach.problem is not None
    assert reach.problem.code == ours


def test_a_slow_azure_is_given_up_after_the_read_timeout(arm: Arm, clock: SettableClock) -> None:
    options = replace(arm.options(SUBSCRIPTION), read_timeout_s=0.2)
    arm.order(Fault(delay_s=3, times=9))
    reach = AzureFacts(AzureSession(options, FakeCredential()), clock).reach(SUBSCRIPTION)
    assert reach.problem is not None
    assert reach.problem.code == "azure.answer_lost"


def test_importing_the_package_loads_no_sdk() -> None:
    """The normaliser lives in this package and is used by `twokey classify`, which must start fast."""
    code = (
        "import sys, twokey.providers.azure;"
        "sys.exit(any(m == 'azure' or m.startswith('azure.') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_runs_requests_carry_one_id_that_follows_from_its_plans(
    arm: Arm, account: StorageAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    real = OnlyThisHost.on_request

    def noted(self: OnlyThisHost, request: Any) -> None:
        sent.append(request.http_request.headers["x-ms-client-request-id"])
        real(self, request)

    monkeypatch.setattr(OnlyThisHost, "on_request", noted)
    session = arm.session(SUBSCRIPTION)
    client = session.storage(SUBSCRIPTION).storage_accounts
    client.get_properties(account.group, account.name)
    before = ACTING_FOR.set(ActingFor("plan-0123456789abcdef0123", "INC-1", 7, "0" * 64))
    client.get_properties(account.group, account.name)
    client.get_properties(account.group, account.name)
    ACTING_FOR.reset(before)
    client.get_properties(account.group, account.name)
    session.close()
    one, *of_the_run, other = sent
    assert of_the_run == [str(uuid5(NAMESPACE_URL, "twokey:plan-0123456789abcdef0123"))] * 2
    assert len({one, other, *of_the_run}) == 3
