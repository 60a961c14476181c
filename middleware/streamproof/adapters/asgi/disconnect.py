"""Tells an ASGI app that its reader left, when the app does not ask: servers drop its messages silently and for ever.

Knows ``receive``. It is asked ahead only for what the app has not asked for: never while the app itself waits in it,
and never past one piece of a request body, which is kept for the app. An app that listens by itself is left to it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Any

from ...sansio.flush.policy import OnDisconnect
from .scope import Message, Receive


class ReaderLeft(ConnectionResetError):
    """The reader of this response is gone (an OSError, as ASGI 2.4 has it)."""


class ReaderWatch:
    """The reader of one response. ``what`` is what happens to an app that does not listen."""

    def __init__(self, receive: Receive, what: OnDisconnect) -> None:
        self._server = receive
        self._what: OnDisconnect = what
        self._kept: deque[Message] = deque()
        self._more = True  # request body to come
        self._asking = 0  # the app's own calls that wait in the server's receive
        self._hearing = 0  # those that wait here
        self._news = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._app: asyncio.Task[Any] | None = None
        self._began = self._told = self._cancelled = False
        self._left: str | None = None

    async def guard(self, running: Awaitable[Any]) -> Any:
        """Await the app. Raises ReaderLeft where it was cancelled from here."""
        self._app = asyncio.current_task()
        try:
            return await running
        except asyncio.CancelledError:
            if not self._cancelled or self._app is None or self._app.uncancel() > 0:
                raise
            raise ReaderLeft(self._left) from None

    async def receive(self) -> Message:
        """The app's ``receive``."""
        while True:
            if self._kept:
                message = self._kept.popleft()
                self._news.set()
                return message
            if self._left is not None:
                self._told = True
                return {"type": "http.disconnect"}
            if self._watching is None or self._watching.done():
                break
            self._news.clear()
            self._hearing += 1
            try:
                await self._news.wait()
            finally:
                self._hearing -= 1
        self._asking += 1
        try:
            message = await self._server()
        finally:
            self._asking -= 1
        self._more = bool(message.get("more_body", False))
        if message.get("type") == "http.disconnect":
            self._left, self._told = "http.disconnect", True
        elif self._began:
            self.begin()
        return message

    def begin(self) -> None:
        """The response has begun: look out for the reader, unless the app does."""
        self._began = True
        if self._what == "ignore" or self._asking or self._left is not None or self._watching is not None:
            return
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            while self._kept and self._more:
                self._news.clear()
                await self._news.wait()
            try:
                message = await self._server()
            except Exception:
                return  # this server has no more to say, and the app will hear the same
            if message.get("type") == "http.disconnect":
                self.lost("http.disconnect")
                return
            self._more = bool(message.get("more_body", False))
            self._kept.append(message)
            self._news.set()

    def lost(self, why: str) -> None:
        """The reader is gone: cancel the app, or let its next ``send`` raise."""
        if self._left is not None:
            return
        self._left, self._told = why, self._hearing > 0
        self._news.set()
        mine = self._app is None or asyncio.current_task() is self._app  # its own send raises
        if self._what == "cancel" and not mine and not self._told and self._app is not None:
            self._cancelled = True
            self._app.cancel()

    def check(self) -> None:
        """Raise ReaderLeft when the reader is gone and the app has not heard of it by itself."""
        if self._left is not None and not self._told and self._what != "ignore":
            raise ReaderLeft(f"The reader left ({self._left}). Expected the app to end now.")

    def over(self) -> None:
        """The response is complete: what the app still does is none of its reader's business."""
        self._what = "ignore"

    async def stop(self) -> None:
        """The app has come back."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
