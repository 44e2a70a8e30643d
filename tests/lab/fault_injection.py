"""Fault injection inside a running bot: list its tasks and threads, and end one of them by its name.

A thread in the bot takes orders from a folder: `order.json` in, `answer.json` out. The bot itself does not know of it.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

FOLDER = "LAB_FAULT_INJECTION"  # the environment variable that names the folder
_UNNAMED = re.compile(r"Task-\d+")
_NUMBERED = re.compile(r"(?<=engine-)[0-9a-f]{8}")  # an engine's name is new with every process


def listen(folder: Path) -> None:
    """Start the thread that takes orders from a folder."""
    threading.Thread(target=_obey, args=[folder], name="fault-injection", daemon=True).start()


class FaultInjector:
    """The other end, in the test's process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def running(self, seconds: float = 30.0) -> list[str]:
        """Return the labels of the bot's tasks and threads, `task:...` and `thread:...`."""
        return [str(label) for label in self._request({"list": True}, seconds)]

    def end(self, label: str, seconds: float = 30.0) -> bool:
        """Cancel a task, or raise SystemExit in a thread; False when nothing of that name runs."""
        return bool(self._request({"end": label}, seconds))

    def _request(self, order: dict[str, Any], seconds: float) -> Any:
        answer = self.folder / "answer.json"
        answer.unlink(missing_ok=True)
        _put(self.folder / "order.json", order)
        until = time.monotonic() + seconds
        while not answer.exists():
            if time.monotonic() > until:
                raise AssertionError(f"nobody took the order {order}")
            time.sleep(0.02)
        return json.loads(answer.read_text())


def _put(path: Path, content: Any) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(content))
    fresh.replace(path)


def _obey(folder: Path) -> None:
    while True:
        order = folder / "order.json"
        if not order.exists():
            time.sleep(0.05)
            continue
        wanted = json.loads(order.read_text())
        order.unlink()
        done: Any = [*_tasks(), *_threads()] if "list" in wanted else _end(str(wanted["end"]))
        _put(folder / "answer.json", done)


def _end(label: str) -> bool:
    if label in (tasks := _tasks()):
        loop, task = tasks[label]
        loop.call_soon_threadsafe(task.cancel)
        return True
    if label in (threads := _threads()):
        # It is raised when the thread comes back to Python: a thread that waits ends when its wait does.
        number = ctypes.c_ulong(threads[label])
        reached = ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(SystemExit))
        return bool(reached == 1)
    return False


def _tasks() -> dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]]:
    found: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = {}
    gc.unfreeze()  # a bot has frozen what its start made, its loop among it
    for loop in [
        one for one in gc.get_objects() if isinstance(one, asyncio.BaseEventLoop) and one.is_running()
    ]:
        for task in asyncio.all_tasks(loop):
            name = task.get_name()
            if _UNNAMED.fullmatch(name):
                name = getattr(task.get_coro(), "__qualname__", name)
            found[f"task:{name}"] = (loop, task)
    return found


def _threads() -> dict[str, int]:
    frames = sys._current_frames()
    return {
        f"thread:{_NUMBERED.sub('*', thread.name)}": thread.ident
        for thread in threading.enumerate()
        if thread.ident in frames and thread.ident is not None
    }
