"""A loop for sync tests of ASGI apps: it runs only while somebody waits for something, in the caller's thread.

Knows when it may go: everybody who holds it has let go. Its time is the thread's stepped clock where there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from . import clocks

T = TypeVar("T")


class OwnLoop:
    """An asyncio loop with owners; the last one to let go ends its tasks and closes it.

    Raises RuntimeError inside a running loop, where no other can run.
    """

    def __init__(self) -> None:
        if asyncio._get_running_loop() is not None:
            raise RuntimeError(
                "A sync client was used inside a running loop. Expected an async one there. "
                "Was async_client(app) meant?"
            )
        clock = clocks.current()
        self._loop = asyncio.new_event_loop() if clock is None else clocks.VirtualLoop(clock)
        self._owners = 0

    def hold(self) -> None:
        """Keep it open until :meth:`let_go`."""
        self._owners += 1

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the loop until ``work`` is done; its result."""
        return self._loop.run_until_complete(work)

    def let_go(self) -> None:
        """One owner less."""
        self._owners -= 1
        if self._owners:
            return
        loop = self._loop
        try:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()
