"""The reader of one response, as the server's ``receive`` speaks of it: :class:`Reader`.

The server is asked ahead only for what the app has not asked for: never while the app itself waits in ``receive``, and
never past one piece of a request body, which is kept for the app. An app that listens by itself is left to it.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Protocol

from ...sansio.flush.policy import OnDisconnect
from .scope import Message, Receive

DISCONNECT = "http.disconnect"
#: What most requests have for a body. An open stream keeps no copy of it.
_EMPTY = {"type": "http.request", "body": b"", "more_body": False}


class ReaderLeft(ConnectionResetError):
    """The reader of this response is gone (an OSError, as ASGI 2.4 has it)."""


class Response(Protocol):
    """Whose reader it is."""

    def heard(self, message: Message) -> None:
        """The server's ``receive`` gave ``message``."""
        ...

    def reader_lost(self) -> None:
        """The reader was found to have left, and the app does not know."""
        ...


class Reader:
    """Who reads ``response``.

    ``what`` happens to an app that does not listen. ``breakable``: the app's wait in :meth:`receive` must end when
    something else than the server says that the reader left. The server is asked ahead in ``context``.
    """

    __slots__ = (
        "_asking",
        "_began",
        "_breakable",
        "_context",
        "_deaf",
        "_kept",
        "_more",
        "_response",
        "_server",
        "_waiting",
        "left",
        "pending",
        "told",
        "what",
    )

    def __init__(
        self, response: Response, receive: Receive, what: OnDisconnect, context: Context, *, breakable: bool
    ) -> None:
        self._response, self._server, self.what, self._context = response, receive, what, context
        self._breakable = breakable
        self._kept: tuple[Message, ...] = ()
        self._waiting: tuple[asyncio.Future[None], ...] = ()  # the app's calls that wait here
        self._asking = 0  # those that wait in the server's receive
        self._more = True  # request body to come
        self._began = self._deaf = False
        #: The server's receive, asked ahead.
        self.pending: asyncio.Future[Message] | None = None
        #: Why there is no reader any more, and whether the app has heard of it by itself.
        self.left: str | None = None
        self.told = False

    async def receive(self) -> Message:
        """The app's ``receive``. No message is lost when it is given up."""
        while True:
            if self._kept:
                message, self._kept = self._kept[0], self._kept[1:]
                if self._began:
                    self._ask()
                return {**message} if message is _EMPTY else message
            if self.left is not None:
                self.told = True
                return {"type": DISCONNECT}
            if self.pending is None and (not self._breakable or self._deaf):
                return await self._asked()
            if self.pending is None:
                self._ask(always=True)
            waiter = asyncio.get_running_loop().create_future()
            self._waiting += (waiter,)
            try:
                await waiter
            finally:
                self._waiting = tuple(other for other in self._waiting if other is not waiter)

    async def _asked(self) -> Message:
        """What the server says to the app itself."""
        self._asking += 1
        try:
            message = await self._server()
        finally:
            self._asking -= 1
        self._note(message)
        if message.get("type") == DISCONNECT:
            self.left, self.told = self.left or DISCONNECT, True
        elif self._began:
            self._ask()
        return message

    def begin(self) -> None:
        """The response has begun: look out for the reader, unless the app does."""
        self._began = True
        self._ask()

    def _ask(self, *, always: bool = False) -> None:
        if self._asking or self.pending is not None or self.left is not None or self._deaf:
            return
        if self._kept and self._more:
            return
        if always or self.what != "ignore":
            asked = self._server()
            if asyncio.iscoroutine(asked):
                loop = asyncio.get_running_loop()
                self.pending = loop.create_task(asked, name="streamproof-receive", context=self._context)
            else:
                self.pending = asyncio.ensure_future(asked)
            self.pending.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Future[Message]) -> None:
        self.pending = None
        if task.cancelled():
            return
        if task.exception() is not None:
            self._deaf = True  # this server has no more to say; the app hears the same when it asks
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
        """The reader is gone: an app that does not listen is cancelled, or its next ``send`` raises."""
        if self.left is None:
            self.left, self.told = why, bool(self._waiting)
            self._wake()
            if self.what != "ignore" and not self.told:
                self._response.reader_lost()

    def check(self) -> None:
        """Raise ReaderLeft when the reader is gone and the app has not heard of it by itself."""
        if self.left is not None and not self.told and self.what != "ignore":
            raise ReaderLeft(f"The reader left ({self.left}). Expected the app to end now.")

    def close(self) -> None:
        """Ask the server ahead no more: the call is over."""
        self._deaf = True

    def over(self) -> None:
        """The response is complete: what the app still does is none of its reader's business."""
        self.what = "ignore"
