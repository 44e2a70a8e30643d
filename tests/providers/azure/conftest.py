"""A fake Resource Manager with one public storage account, and the real SDKs in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.lab.arm import Arm, ArmState, Container, StorageAccount
from twokey.core.runbooks import Target
from twokey.ports import Cloud
from twokey.providers.azure import provider
from twokey.testing.clocks import SettableClock

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"
NOW = datetime(2026, 5, 14, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def _arm() -> Iterator[Arm]:
    with Arm() as arm:
        yield arm


@pytest.fixture
def arm(_arm: Arm) -> Arm:
    """The fake, as if freshly started."""
    _arm.state = ArmState(subscriptions={SUBSCRIPTION: "Enabled", OTHER: "Enabled"})
    _arm.faults.clear()
    _arm.calls.clear()
    return _arm


@pytest.fixture
def account(arm: Arm) -> StorageAccount:
    """A storage account with two open containers."""
    made = StorageAccount(
        SUBSCRIPTION,
        "rg-web",
        "publicassets",
        tags={"owner": "web"},
        containers=[Container("private"), Container("images", "Blob"), Container("dump", "Container")],
    )
    arm.state.accounts.append(made)
    return made


@pytest.fixture
def azure(arm: Arm) -> Iterator[Cloud]:
    """The cloud, configured for one of the two subscriptions."""
    session = arm.session(SUBSCRIPTION)
    yield provider(session)
    session.close()


@pytest.fixture
def target() -> Target:
    return Target(SUBSCRIPTION)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(NOW)
