"""One world for each story."""

import pytest

from twokey.testing.world import World


@pytest.fixture
def world() -> World:
    """Return everything wired together, before anything has arrived."""
    return World()
