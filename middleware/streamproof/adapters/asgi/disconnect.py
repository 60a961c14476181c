"""Find out that the reader of a response has left, from the server's ``receive``: :class:`ReaderWatch`.

The server's ``receive`` is called ahead of the app only when the app does not wait in it, and never past one piece of
the request body, which is kept for the app. An app that listens for itself is not disturbed.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Protocol

from ...sansio.flush.policy import OnDisconnect
from .scope import Message, Receive

DISCONNECT = "http.disconnect"
#: The body of most requests. Shared, so that an open stream keeps no copy of it.
_EMPTY = {"type": "http.request", "body": b"", "more_body": False}


class ReaderLeft(ConnectionResetError):
    """The reader of this response has left (an OSError, as in ASGI 2.4)."""


class Response(Protocol):
    """The response whose reader is watched."""

    def heard(self, message: Message) -> None:
        """React to ``message``, which came from the server's ``receive``."""
        ...

    def reader_lost(self) -> None:
        """React: the reader has left, and the app has not learned of it."""
        ...


class ReaderWatch:
    """Watch for the reader of ``response`` to leave, and serve the app's ``receive``.

    ``what`` happens to an app that does not listen. ``breakable``: the app's wait in :meth:`receive` must end even when
    something other than the server says that the reader left. Calls ahead of the app run in ``context``.
    """

    __slots__ = (
        "_app_calls",
        "_began",
        "_breakable",
        "_context",
        "_deaf",
        "_kept",
        "_more",
        "_response",
        "_server",
        "_waiting",
        "app_knows",
        "left",
        "pending",
        "what",
    )

    def __init__(
        self, response: Response, receive: Receive, what: OnDisconnect, context: Context, *, breakable: bool
    ) -> None:
        self._response, self._server, self.what, self._context = response, receive, what, context
        self._breakable = breakable
        self._kept: tuple[Message, ...] = ()
        self._waiting: tuple[asyncio.Future[None], ...] = ()  # the app's calls that wait in receive() here
        self._app_calls = 0  # the app's calls that wait in the server's receive
        self._more = True  # request body to come
        self._began = self._deaf = False
        #: The call of the server's ``receive`` ahead of the app.
        self.pending: asyncio.Future[Message] | None = None
        #: Why the reader has left, and whether the app has learned of it from ``receive``.
        self.left: str | None = None
        self.app_knows = False

    async def receive(self) -> Message:
        """Serve the app's ``receive``. A call that the app gives up loses no message."""
        while True:
            if self._kept:
                message, self._kept = self._kept[0], self._kept[1:]
                if self._began:
                    self._ask()
                return {**message} if message is _EMPTY else message
            if self.left is not None:
                self.app_knows = True
                return {"type": DISCONNECT}
            if self.pending is None and (not self._breakable or self._deaf):
                return await self._received()
            if self.pending is None:
                self._ask(always=True)
            waiter = asyncio.get_running_loop().create_future()
            self._waiting += (waiter,)
            try:
                await waiter
            finally:
                self._waiting = tuple(other for other in self._waiting if other is not waiter)

    async def _received(self) -> Message:
        """Call the server's ``receive`` for the app."""
        self._app_calls += 1
        try:
            message = await self._server()
        finally:
            self._app_calls -= 1
        self._note(message)
        if message.get("type") == DISCONNECT:
            self.left, self.app_knows = self.left or DISCONNECT, True
        elif self._began:
            self._ask()
        return message

    def begin(self) -> None:
        """The response has begun: watch for the reader, unless the app does."""
        self._began = True
        self._ask()

    def _ask(self, *, always: bool = False) -> None:
        if self._app_calls or self.pending is not None or self.left is not None or self._deaf:
            return
        if self._kept and self._more:
            return
        if always or self.what != "ignore":
            call = self._server()
            if asyncio.iscoroutine(call):
                loop = asyncio.get_running_loop()
                self.pending = loop.create_task(call, name="streamproof-receive", context=self._context)
            else:
                self.pending = asyncio.ensure_future(call)
            self.pending.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Future[Message]) -> None:
        self.pending = None
        if task.cancelled():
            return
        if task.exception() is not None:
            self._deaf = True  # the server's receive raised; the app gets the same error when it calls
        else:
            message = task.result()
            self._note(message)
            if message.get("type") == DISCONNECT:
                self.lost(DISCONNECT)
                return
            self._kept += (_EMPTY if message == _EMPTY else message,)
            if self._began:
                self._ask()
        self._wake()

    def _note(self, message: Message) -> None:
        self._more = bool(message.get("more_body", False))
        self._response.heard(message)

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def lost(self, why: str) -> None:
        """The reader has left: an app that does not listen is cancelled, or its next ``send`` raises."""
        if self.left is None:
            self.left, self.app_knows = why, bool(self._waiting)
            self._wake()
            if self.what != "ignore" and not self.app_knows:
                self._response.reader_lost()

    def check(self) -> None:
        """Raise ReaderLeft if the reader has left and the app has not learned of it from ``receive``."""
        if self.left is not None and not self.app_knows and self.what != "ignore":
            raise ReaderLeft(f"The reader left ({self.left}). Expected the app to end now.")

    def close(self) -> None:
        """Stop calling ahead of the app: the call is over."""
        self._deaf = True

    def over(self) -> None:
        """The response is complete: the reader no longer matters to the app."""
        self.what = "ignore"
