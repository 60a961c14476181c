"""The head waits for the first byte of the body.

Several products write the head together with the first body bytes (h2o's lib/core/proxy.c, node-http-proxy). The end of
the response, clean or not, releases the head, too.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..machine import Cut, Data, End, Events, Head, Stage
from ..trace import Request


@dataclass(frozen=True, slots=True)
class HeadHold:
    """Head and first bytes leave together."""

    def start(self, request: Request, now: float) -> Stage:
        """The head held in one response."""
        return _HeadHold()


class _HeadHold(Stage):
    _head: Head | None = None

    def head(self, event: Head, now: float) -> Events:
        self._head = event
        return ()

    def data(self, event: Data, now: float) -> Events:
        if self._head is None:
            return (event,)
        head, self._head = self._head, None
        return (head, event)

    def end(self, event: End, now: float) -> Events:
        head, self._head = self._head, None
        return (event,) if head is None else (head, event)

    def cut(self, event: Cut, now: float) -> Events:
        head, self._head = self._head, None
        return (event,) if head is None else (head, event)
