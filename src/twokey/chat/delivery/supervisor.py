"""Threads for synchronous work, and a watch over every task that must not be lost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("twokey.slack")


class Workers:
    """Two bounded pools: a preview that waits for a cloud must not hold up a key."""

    def __init__(self, quick: int = 8, slow: int = 4) -> None:
        self._quick = ThreadPoolExecutor(quick, "slack-quick")
        self._slow = ThreadPoolExecutor(slow, "slack-slow")

    async def quick(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what only asks the record."""
        return await asyncio.get_running_loop().run_in_executor(self._quick, partial(work, *args, **kwargs))

    async def slow(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what may take seconds."""
        return await asyncio.get_running_loop().run_in_executor(self._slow, partial(work, *args, **kwargs))

    def close(self) -> None:
        """Start nothing more; what runs is finished."""
        self._quick.shutdown(wait=False, cancel_futures=True)
        self._slow.shutdown(wait=False, cancel_futures=True)


@dataclass
class _Vital:
    alive: Callable[[], bool]
    patience_s: float
    was_seen: bool = False
    missing_since: float | None = None

    def is_missing(self) -> bool:
        """Say whether it was there and is not now."""
        if self.alive():
            self.was_seen, self.missing_since = True, None
            return False
        if self.was_seen and self.missing_since is None:
            self.missing_since = time.monotonic()
        return self.was_seen

    def is_dead(self) -> bool:
        """Say whether it has been missing for longer than is to be borne."""
        is_missing, since = self.is_missing(), self.missing_since
        return is_missing and since is not None and time.monotonic() - since >= self.patience_s


class Watch:
    """Holds every task by a reference (asyncio itself does not) and knows when a needed one has died."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._needed: dict[str, asyncio.Task[Any]] = {}
        self._faults: dict[str, Callable[[], str]] = {}
        self._vital: dict[str, _Vital] = {}

    def hold(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run a piece of work to its end."""
        return self._kept(asyncio.create_task(work, name=name))

    def need(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run something that must live as long as the bot: when it ends, we are not alive."""
        task = self._kept(asyncio.create_task(work, name=name))
        self._needed[name] = task
        return task

    def adopt_current(self) -> None:
        """Hold the task we are in: Bolt and the Socket Mode client keep no reference to theirs."""
        task = asyncio.current_task()
        if task is not None:
            self._kept(task)

    def ask(self, name: str, fault: Callable[[], str]) -> None:
        """Ask this too when somebody wants to know: "" means well, words say what is wrong."""
        self._faults[name] = fault

    def vital(self, name: str, alive: Callable[[], bool], *, patience_s: float = 0.0) -> None:
        """Watch what must live as long as the bot and is no task of ours: a thread, a library's own task.

        It counts as ended once it was seen alive and then was not, for so long.
        """
        self._vital[name] = _Vital(alive, patience_s)

    def names(self) -> list[str]:
        """Return the register: everything that must live as long as the bot."""
        return [*self._needed, *self._vital]

    def faults(self) -> dict[str, str]:
        """Return what is wrong, by name; readiness shows it."""
        found = {name: "has ended" for name, task in self._needed.items() if task.done()}
        found |= {name: "has ended" for name, one in self._vital.items() if one.is_missing()}
        found |= {name: words for name, fault in self._faults.items() if (words := fault())}
        return found

    def alive(self) -> bool:
        """Say whether everything that must live does."""
        return not self.faults()

    async def first_death(self, stop: asyncio.Event) -> str:
        """Return the name of the first of the register that ends; "" when we are told to stop before."""
        while not stop.is_set():
            ended = [name for name, task in self._needed.items() if task.done()]
            ended += [name for name, one in self._vital.items() if one.is_dead()]
            if ended:
                return ended[0]
            await asyncio.wait(self._needed.values(), timeout=0.25, return_when=asyncio.FIRST_COMPLETED)
        return ""

    async def settle(self, within_s: float) -> None:
        """Wait a while for the pieces of work in hand (not for what must live)."""
        waiting = self._tasks - set(self._needed.values()) - {asyncio.current_task()}
        if waiting:
            await asyncio.wait(waiting, timeout=within_s)

    async def stop(self) -> None:
        """Cancel everything and wait for its end."""
        self._needed.clear()
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _kept(self, task: asyncio.Task[Any]) -> asyncio.Task[Any]:
        if task not in self._tasks:
            self._tasks.add(task)
            task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("task %s ended with an error", task.get_name(), exc_info=error)
