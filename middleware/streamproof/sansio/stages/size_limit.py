"""A limit on the size of the body, named by Content-Length or counted, and what the reader gets above it."""

from __future__ import annotations

from dataclasses import dataclass

from ..http import content_length, has_body
from ..machine import Cut, Data, Event, Events, Head, Stage
from ..page import Page, respond
from ..trace import Request


@dataclass(frozen=True, slots=True)
class SizeLimit:
    """``size`` in body bytes. Above it: ``status`` while the head is still here, a cut after it.

    ``only_length``: only a Content-Length counts, a streamed body may be longer.
    """

    size: int
    status: int = 500
    only_length: bool = False
    name: str = "hop"
    pages: tuple[Page, ...] = ()

    def start(self, request: Request, now: float) -> Stage:
        """The count of one response."""
        return _SizeLimit(self, request.method)


class _SizeLimit(Stage):
    def __init__(self, settings: SizeLimit, method: str) -> None:
        self._settings, self._method = settings, method
        self._count = 0
        self._over = False

    def receive(self, event: Event, now: float) -> Events:
        return () if self._over else super().receive(event, now)

    def head(self, event: Head, now: float) -> Events:
        length = content_length(event.headers)
        if length is not None and length > self._settings.size and has_body(self._method, event.status):
            self._over = True
            return respond(self._settings.status, self._settings.pages)
        self.transparent = self._settings.only_length or length is not None
        return (event,)

    def data(self, event: Data, now: float) -> Events:
        self._count += len(event.data)
        if self._count <= self._settings.size or self.transparent:
            return (event,)
        self._over = True
        return (Cut("fin", self._settings.name, f"size limit {self._settings.size} B", own=True),)
