"""Thread pools for synchronous work of an asynchronous edge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class ThreadPools:
    """Two bounded pools: a preview that waits for a cloud must not delay an approval."""

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
