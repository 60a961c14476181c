"""Send the messages of one response to the server in order: :class:`Channel`.

An unchanged message is sent in the app's own task, as it would be without streamproof. What a machine has taken is sent
in a separate task, which exists only while there is something to send, so a cancelled ``send`` of the app loses nothing
that was acknowledged. Once a message could not be sent, nothing follows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import Any, Protocol, TypeAlias

from .disconnect import ReaderLeft
from .scope import Message, Send

#: Called in its turn: with True, or with False if the channel broke before.
Step: TypeAlias = Callable[[bool], object]


class Response(Protocol):
    """The response that a channel belongs to."""

    def settled(self, error: BaseException | None) -> None:
        """React: everything has left (``error`` is None), or the channel broke with ``error``."""
        ...


class Channel:
    """Send the messages of ``response`` with ``send``.

    ``limit`` is how long one message may take, in seconds. The sending task runs in ``context``.
    """

    __slots__ = ("_context", "_limit", "_queue", "_response", "_send", "broken", "closed", "waiting", "writer")

    def __init__(self, response: Response, send: Send, limit: float | None, context: Context) -> None:
        self._response, self._send, self._limit, self._context = response, send, limit, context
        self._queue: list[Message | Step] | None = None
        #: The task that sends, while there is something to send.
        self.writer: asyncio.Task[None] | None = None
        #: Why nothing more can leave.
        self.broken: BaseException | None = None
        #: The call is over: nothing that a machine has taken leaves any more.
        self.closed = False
        #: How many sends of the app wait until everything has left.
        self.waiting = 0

    def put(self, item: Message | Step) -> None:
        """Queue ``item``: it is sent, or called, after everything that was queued before."""
        if self.broken is not None or self.closed:
            if callable(item):
                item(False)
            return
        if self._queue is not None:
            self._queue.append(item)
            return
        self._queue = [item]
        loop = asyncio.get_running_loop()
        self.writer = loop.create_task(self._write(self._queue), name="streamproof-send", context=self._context)

    async def passed(self, message: Message) -> None:
        """Send ``message`` in this task, after everything that was queued before."""
        if not self.closed and (self.writer is not None or self.broken is not None):
            await self.drained()
        await self._sent(message)

    async def drained(self) -> None:
        """Wait until everything has left. Raises the error that broke the channel."""
        while (writer := self.writer) is not None and not writer.done():
            self.waiting += 1
            try:
                await asyncio.wait((writer,))  # leaves the writer alone when this task is cancelled
            finally:
                self.waiting -= 1
        if self.broken is not None:
            raise self.broken

    async def _write(self, queue: list[Message | Step]) -> None:
        error: BaseException | None = None
        try:
            while queue:
                item = queue.pop(0)
                if callable(item):
                    item(True)
                else:
                    await self._sent(item)
        except BaseException as raised:
            error = self.broken = self.broken or raised
            for item in queue:
                if callable(item):
                    item(False)
            if isinstance(raised, asyncio.CancelledError):
                raise
        finally:
            self.writer = self._queue = None
            self._response.settled(error)

    async def _sent(self, message: Message) -> None:
        if self._limit is None:
            return await self._send(message)
        try:
            async with asyncio.timeout(self._limit) as timeout:
                await self._send(message)
        except TimeoutError:
            if not timeout.expired():
                raise
            self.broken = ReaderLeft(f"The reader took nothing for {self._limit:g} s, the policy's send_timeout.")
            self._response.settled(self.broken)
            raise self.broken from None
        return None


async def ended(tasks: Iterable[asyncio.Future[Any] | None]) -> None:
    """Cancel ``tasks`` and wait until each is done. A cancellation meanwhile is raised only after that."""
    left = [task for task in tasks if task is not None and not task.done()]
    cancelled: asyncio.CancelledError | None = None
    for task in left:
        task.cancel()
    while left:
        try:
            await asyncio.wait(left)
        except asyncio.CancelledError as error:
            cancelled = error
        left = [task for task in left if not task.done()]
    if cancelled is not None:
        raise cancelled
