"""R13: whatever must live as long as the bot is in its register; when one of it dies, the bot ends and is started again.

The tasks and threads are not a list of this test: the running bot is asked what lives in it, and each is ended once.
"""

from __future__ import annotations

import ast
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import twokey
from tests.lab.bots import FaultyBot
from tests.lab.fault_injection import FOLDER, FaultInjector
from tests.lab.fork_server import ForkServer
from tests.lab.installation import Installation
from twokey.app.running import DIED

SOURCE = Path(twokey.__file__).parent
ENDS, REPLACED = "the process ends", "another takes its place"

# What lives in an idle bot, and what its death leads to. A task or thread that is not here fails the test.
LIVES: dict[str, str] = {
    "task:sender": ENDS,
    "task:listening": ENDS,
    "task:web": ENDS,
    "task:web-stop": ENDS,
    "task:web-serve": ENDS,
    "task:LifespanOn.main": ENDS,
    "task:inbox-writer": ENDS,
    "task:_bot": ENDS,
    "task:AsyncBaseSocketModeClient.process_messages": ENDS,
    "task:SocketModeClient.receive_messages": ENDS,
    "task:SocketModeClient.monitor_current_session": ENDS,
    "thread:engine": ENDS,
    "thread:engine-*-0": ENDS,
    "thread:engine-*-leases": ENDS,
    "thread:poller aws.sqs:twokey-findings": ENDS,
}
# Hands of a pool do a piece of work and wait; a pool starts another when one is gone. The others are the test's.
POOLS = re.compile(
    r"thread:(slack-(quick|slow)_\d+|inbox_\d+|asyncio_\d+|ThreadPoolExecutor-.*|engine-\*-[1-3]|MainThread|fault-injection)"
)
PASSING = re.compile(r"task:(slack:.*|socket-connect|Server\..*|.*RequestResponseCycle.*|H11.*)")


@pytest.fixture
def world(worlds: Callable[..., Installation]) -> Installation:
    return worlds(TWOKEY_LEASE_S="10")


@pytest.fixture
def injector(world: Installation, fork_server: ForkServer) -> Callable[[], tuple[FaultyBot, FaultInjector]]:
    def started() -> tuple[FaultyBot, FaultInjector]:
        folder = world.folder / "fault-injection"
        bot = FaultyBot(world.folder, world.variables | {FOLDER: str(folder)}, fork_server=fork_server)
        world.bots.append(bot)
        return bot.start(ready_within=120), FaultInjector(folder)

    return started


def lasting(injector: FaultInjector) -> set[str]:
    """Return what lives there now and a little later."""
    seen = set(injector.running())
    time.sleep(0.7)
    return {
        label
        for label in seen & set(injector.running())
        if not (POOLS.fullmatch(label) or PASSING.fullmatch(label))
    }


def is_red(bot: FaultyBot) -> bool:
    try:
        with urllib.request.urlopen(f"{bot.url}/readyz", timeout=10):
            return False
    except (urllib.error.URLError, OSError):
        return True


def wait(condition: Callable[[], Any], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_a_bot_has_no_task_or_thread_that_is_not_on_the_list(injector: Any) -> None:
    _, inside = injector()
    assert lasting(inside) == set(LIVES)


def test_the_death_of_each_task_and_thread_ends_the_process(
    world: Installation, injector: Any, proof: Any
) -> None:
    trials = proof(
        "R13", "a task that dies turns readiness red, and the process ends to be started again", ci=1
    )
    for _ in trials:
        for label, end in LIVES.items():
            bot, inside = injector()
            assert inside.end(label), label
            if "pump" in label:
                world.company.notify(["{}"])  # it waits in a call, and dies when that returns
            began = time.monotonic()
            assert wait(lambda bot=bot: is_red(bot), 90), f"{label} is dead, and readiness does not show it"
            red = time.monotonic() - began
            assert wait(lambda bot=bot: not bot.is_running, 90), f"{label} is dead, and the process lives on"
            code = bot.wait_dead()
            assert code not in (0, None), f"{label}: a supervisor takes {code} for a wish"
            trials.outcome(end)
            trials.outcome("red within 10 s", int(red < 10))
            trials.count(int(label != "task:sender"))
            print(f"{label}: red after {red:.1f} s, ended with {code}")


def test_after_such_an_end_the_next_start_is_well(injector: Any) -> None:
    bot, inside = injector()
    assert inside.end("task:sender")
    assert wait(lambda: not bot.is_running, 90)
    assert bot.wait_dead() == DIED
    again, _ = injector()
    assert not is_red(again)


# In the source: who may start something that lives on, and how it is held

STARTS = {"create_task", "ensure_future", "Thread", "Timer", "start_new_thread", "run_coroutine_threadsafe"}
KNOWN = {
    "app/running.py:Poller.__init__",  # vital: one each queue
    "app/running.py:BackgroundThreads.__init__",  # vital: the engine
    "app/running.py:_leave_after",  # the end itself
    "chat/delivery/supervisor.py:Supervisor.spawn",
    "chat/delivery/supervisor.py:Supervisor.spawn_required",
    "engine/embedded.py:EmbeddedEngine.run",  # the engine's own: one dead ends its run
    "engine/embedded.py:EmbeddedEngine._renewing",
    "engine/procrastinate.py:ProcrastinateEngine._run_once",  # one that ends begins all of them anew
    "engine/procrastinate.py:ProcrastinateEngine._drain",
    "providers/aws/sns/hosts.py:_cut_after",  # ends with the one request that it bounds
    "web/inbox.py:Inbox.start",  # vital: inbox
    "web/server.py:serve",  # one that ends ends the other, and `web` with it
}


def starters() -> Iterator[str]:
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        if not place.startswith(("demo/", "testing/")):
            yield from (f"{place}:{where}" for where in _starters(ast.parse(path.read_text()), ""))


def _starters(node: ast.AST, inside: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        name = inside
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{inside}.{child.name}".lstrip(".")
        if isinstance(child, ast.Call):
            called = (
                child.func.attr if isinstance(child.func, ast.Attribute) else getattr(child.func, "id", "")
            )
            if called in STARTS:
                yield inside
        yield from _starters(child, name)


def test_nobody_starts_a_task_or_a_thread_that_nobody_holds() -> None:
    assert set(starters()) == KNOWN


def test_a_bare_task_in_the_source_is_seen() -> None:
    bare = ast.parse("async def f():\n    asyncio.create_task(g())\n    x = Thread(target=g)\n")
    assert list(_starters(bare, "")) == ["f", "f"]
