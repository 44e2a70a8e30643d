"""The supervisor: holds every task, and knows when a part that must stay alive has ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

log = logging.getLogger("twokey.slack")


@dataclass
class _Liveness:
    is_alive: Callable[[], bool]
    patience_s: float
    was_seen: bool = False
    missing_since: float | None = None

    def is_missing(self) -> bool:
        """Say whether it was seen alive and is not alive now."""
        if self.is_alive():
            self.was_seen, self.missing_since = True, None
            return False
        if self.was_seen and self.missing_since is None:
            self.missing_since = time.monotonic()
        return self.was_seen

    def is_dead(self) -> bool:
        """Say whether it has been missing for longer than its patience."""
        is_missing, since = self.is_missing(), self.missing_since
        return is_missing and since is not None and time.monotonic() - since >= self.patience_s


class Supervisor:
    """Holds every task by a reference (asyncio itself does not) and knows when a required one has ended."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._required: dict[str, asyncio.Task[Any]] = {}
        self._checks: dict[str, Callable[[], str]] = {}
        self._watched: dict[str, _Liveness] = {}

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run a piece of work to its end."""
        return self._held(asyncio.create_task(work, name=name))

    def spawn_required(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run something that must live as long as the bot: when it ends, the bot is not alive."""
        task = self._held(asyncio.create_task(work, name=name))
        self._required[name] = task
        return task

    def adopt_current(self) -> None:
        """Hold the task we are in: Bolt and the Socket Mode client keep no reference to theirs."""
        task = asyncio.current_task()
        if task is not None:
            self._held(task)

    def add_check(self, name: str, fault: Callable[[], str]) -> None:
        """Register a health check: "" means well, words say what is wrong."""
        self._checks[name] = fault

    def watch_alive(self, name: str, is_alive: Callable[[], bool], *, patience_s: float = 0.0) -> None:
        """Watch what must live as long as the bot and is no task of ours: a thread, a library's own task.

        It counts as ended once it was seen alive and then was not, for so long.
        """
        self._watched[name] = _Liveness(is_alive, patience_s)

    def names(self) -> list[str]:
        """Return the names of everything that must live as long as the bot."""
        return [*self._required, *self._watched]

    def faults(self) -> dict[str, str]:
        """Return what is wrong, by name; readiness shows it."""
        found = {name: "has ended" for name, task in self._required.items() if task.done()}
        found |= {name: "has ended" for name, one in self._watched.items() if one.is_missing()}
        found |= {name: words for name, fault in self._checks.items() if (words := fault())}
        return found

    def is_alive(self) -> bool:
        """Say whether everything that must live does, and every check is well."""
        return not self.faults()

    async def first_ended(self, stop: asyncio.Event) -> str:
        """Return the name of the first required part that ends; "" when `stop` is set before."""
        while not stop.is_set():
            ended = [name for name, task in self._required.items() if task.done()]
            ended += [name for name, one in self._watched.items() if one.is_dead()]
            if ended:
                return ended[0]
            await asyncio.wait(self._required.values(), timeout=0.25, return_when=asyncio.FIRST_COMPLETED)
        return ""

    async def drain(self, within_s: float) -> None:
        """Wait a while for the pieces of work in hand (not for what must live)."""
        waiting = self._tasks - set(self._required.values()) - {asyncio.current_task()}
        if waiting:
            await asyncio.wait(waiting, timeout=within_s)

    async def stop(self) -> None:
        """Cancel everything and wait for its end."""
        self._required.clear()
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _held(self, task: asyncio.Task[Any]) -> asyncio.Task[Any]:
        if task not in self._tasks:
            self._tasks.add(task)
            task.add_done_callback(self._release)
        return task

    def _release(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("task %s ended with an error", task.get_name(), exc_info=error)
