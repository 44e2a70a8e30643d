"""One world for each story."""

import pytest

from tests.lab.message_lint import what_is_kept, what_is_said
from twokey.testing.world import World

__all__ = ["what_is_kept", "what_is_said"]


@pytest.fixture
def world() -> World:
    """Return everything wired together, before anything has arrived."""
    return World()
