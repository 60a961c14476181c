"""An event loop for sync tests of ASGI apps: it runs in the caller's thread, and only while the caller waits.

It is closed when all its owners have let go. Its time is the thread's stepped clock if there is one. If a loop runs
already (a sync client in an async test), this one runs in a thread of its own while the caller waits.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from . import clocks

T = TypeVar("T")


class OwnLoop:
    """An asyncio loop with owners. The last owner to let go ends its tasks and closes it."""

    def __init__(self) -> None:
        clock = clocks.current()
        self._loop = asyncio.new_event_loop() if clock is None else clocks.VirtualLoop(clock)
        inside = asyncio._get_running_loop() is not None
        self._thread = ThreadPoolExecutor(1, "streamproof") if inside else None
        self._owners = 0

    def hold(self) -> None:
        """Keep it open until :meth:`let_go`."""
        self._owners += 1

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the loop until ``work`` is done; its result."""
        if self._thread is None:
            return self._loop.run_until_complete(work)
        context = contextvars.copy_context()
        return self._thread.submit(context.run, self._loop.run_until_complete, work).result()

    def let_go(self) -> None:
        """Give up ownership."""
        self._owners -= 1
        if self._owners:
            return
        try:
            self.run(self._end())
        finally:
            if self._thread is not None:
                self._thread.shutdown()
            self._loop.close()

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()
