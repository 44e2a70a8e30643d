"""One world for each story."""

import pytest

from tests.lab.message_lint import audit_lint, message_lint
from twokey.testing.world import World

__all__ = ["audit_lint", "message_lint"]


@pytest.fixture
def world() -> World:
    """Return everything wired together, before anything has arrived."""
    return World()
