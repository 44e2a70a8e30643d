"""One world for each test."""

import threading

import pytest

from tests.lab.message_lint import audit_lint, message_lint
from twokey.core.errors import Refused
from twokey.testing.world import World

__all__ = ["audit_lint", "message_lint"]


@pytest.fixture
def world() -> World:
    """Return everything wired together, before anything has arrived."""
    return World()


@pytest.fixture
def clicks_at_once(world):
    """Return what lets a person approve so many times at the same moment, and says how each click ended."""

    def click_together(name, plan, times):
        ends, start = [], threading.Barrier(times)

        def click():
            start.wait()
            try:
                world.approves(name, plan)
                ends.append("turned")
            except Refused as refusal:
                ends.append(refusal.message.code)

        clicks = [threading.Thread(target=click) for _ in range(times)]
        for one in clicks:
            one.start()
        for one in clicks:
            one.join()
        return ends

    return click_together
