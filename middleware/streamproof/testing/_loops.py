"""The parts of asyncio and trio that the ASGI exchange needs: a task, a bell, the time.

A task outlives the call that starts it. The library is chosen by what is running, as in sniffio.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Protocol


class Job(Protocol):
    """A task that runs beside its reader. ``done`` is true when it has ended in any way."""

    @property
    def done(self) -> bool: ...

    def cancel(self) -> None: ...


class Bell(Protocol):
    """Wakes all that wait for it; ringing does not wait."""

    def ring(self) -> None: ...

    async def wait(self, until: float | None = None) -> None:
        """Return at the next ring, or when the time is ``until``."""


class Loop(Protocol):
    """One async library."""

    def now(self) -> float: ...

    def bell(self) -> Bell: ...

    def spawn(self, function: Callable[[], Awaitable[None]]) -> Job: ...

    async def turn(self) -> None:
        """Let every other task run once."""


class _AsyncioJob:
    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    @property
    def done(self) -> bool:
        return self._task.done()

    def cancel(self) -> None:
        self._task.cancel()


class _AsyncioBell:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, until: float | None = None) -> None:
        future = self._loop.create_future()
        self._waiting.add(future)
        timer = None if until is None else self._loop.call_at(until, self.ring)
        try:
            await future
        finally:
            self._waiting.discard(future)
            if timer is not None:
                timer.cancel()


class AsyncioLoop:
    """asyncio: the app runs in a task of its own, in a copy of the reader's context."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        return self._loop.time()

    def bell(self) -> Bell:
        return _AsyncioBell(self._loop)

    def spawn(self, function: Callable[[], Awaitable[None]]) -> Job:
        async def run() -> None:
            await function()

        return _AsyncioJob(self._loop.create_task(run(), name="streamproof: app"))

    async def turn(self) -> None:
        await asyncio.sleep(0)


class _TrioBell:
    def __init__(self, trio: Any) -> None:
        self._trio = trio
        self._event = trio.Event()

    def ring(self) -> None:
        self._event.set()
        self._event = self._trio.Event()

    async def wait(self, until: float | None = None) -> None:
        with self._trio.CancelScope(deadline=float("inf") if until is None else until):
            await self._event.wait()


class _TrioJob:
    def __init__(self, scope: Any) -> None:
        self._scope = scope
        self.done = False

    def cancel(self) -> None:
        self._scope.cancel()


class TrioLoop:
    """trio: the app runs in a system task with a cancel scope of its own, so it needs no open nursery."""

    def __init__(self, trio: Any) -> None:
        self._trio = trio

    def now(self) -> float:
        return self._trio.current_time()  # type: ignore[no-any-return]

    def bell(self) -> Bell:
        return _TrioBell(self._trio)

    def spawn(self, function: Callable[[], Awaitable[None]]) -> Job:
        job = _TrioJob(self._trio.CancelScope())

        async def run() -> None:
            try:
                with job._scope:
                    await function()
            finally:
                job.done = True

        self._trio.lowlevel.spawn_system_task(run, context=contextvars.copy_context())
        return job

    async def turn(self) -> None:
        await self._trio.lowlevel.checkpoint()


def running() -> Loop:
    """The async library that runs this code."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return TrioLoop(trio)
    return AsyncioLoop()
