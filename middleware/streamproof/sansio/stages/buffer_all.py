"""Collect the whole body and send it as one response.

The reader then gets a Content-Length. Settings say what becomes of a response that never completed, and the most
that is collected.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..http import has_body, without
from ..machine import Cut, Data, End, Event, Events, Head, Stage
from ..page import Page, respond
from ..trace import Request


@dataclass(frozen=True, slots=True)
class BufferAll:
    """Hold everything to the end.

    ``add_length``: the released head names the size of the body. ``on_cut``: what an incomplete response becomes,
    ``truncate`` (what came, then the cut), ``complete`` (what came, as if it were all), or ``status`` (an answer of the
    hop's own with that ``status`` and no byte of the app's). Nothing is collected where there can be no body.
    ``of_head``: the hop asks GET for a HEAD, so that head waits for the body too and names its size.
    ``limit``: body bytes above which the answer is ``limit_status`` at once, 0 for none.
    """

    add_length: bool = True
    of_head: bool = False
    on_cut: str = "truncate"
    status: int = 502
    limit: int = 0
    limit_status: int = 500
    pages: tuple[Page, ...] = ()

    def start(self, request: Request, now: float) -> Stage:
        """The collection of one response."""
        return _BufferAll(self, request.method)


class _BufferAll(Stage):
    def __init__(self, settings: BufferAll, method: str) -> None:
        self._settings, self._method = settings, method
        self._head: Head | None = None
        self._body = bytearray()  # grows in place: a list of pieces would be in memory twice when it is joined
        self._over = False

    @property
    def held(self) -> int:
        return len(self._body)

    def head(self, event: Head, now: float) -> Events:
        if not has_body("GET" if self._settings.of_head else self._method, event.status):
            return (event,)
        self._head = event
        return ()

    def data(self, event: Data, now: float) -> Events:
        self._body += event.data
        if not self._settings.limit or len(self._body) <= self._settings.limit:
            return ()
        self._over, self._head, self._body = True, None, bytearray()
        return respond(self._settings.limit_status, self._settings.pages)

    def receive(self, event: Event, now: float) -> Events:
        return () if self._over else super().receive(event, now)

    def end(self, event: End, now: float) -> Events:
        return [*self._collected(complete=True), End()]

    def cut(self, event: Cut, now: float) -> Events:
        if self._head is None:
            return (event,)
        if self._settings.on_cut == "status":
            self._body = bytearray()
            return respond(self._settings.status, self._settings.pages)
        # A length that the upstream broke stays broken: the collector cannot invent the missing bytes.
        if self._settings.on_cut == "complete" and self._head.framing != "length":
            return [*self._collected(complete=True), End()]
        if event.discard:
            self._body = bytearray()
        return [*self._collected(complete=False), event]

    def _collected(self, *, complete: bool) -> list[Event]:
        head, body = self._head, memoryview(self._body).toreadonly()
        self._head, self._body = None, bytearray()
        if head is None:
            return [Data(body)] if body else []
        unasked = self._method == "HEAD" and not body  # an app that was asked HEAD sends none: its size is unknown
        if self._settings.add_length and complete and head.framing != "length" and not unasked:
            headers = without(head.headers, "transfer-encoding", "content-length")
            head = head.replace((*headers, ("Content-Length", str(len(body)))), framing="length")
        return [head, Data(body)] if body else [head]
