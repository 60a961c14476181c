"""The whole body is collected and sent as one response.

Knows that the reader then gets a Content-Length, and what the collector does with a response that never completed.
Does not know how much memory the product has; a limit is ``size_limit``'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..http import without
from ..machine import Cut, Data, End, Event, Events, Head, Stage
from ..trace import Request


@dataclass(frozen=True, slots=True)
class Whole:
    """Hold everything to the end.

    ``add_length``: the released head names the size of the body. ``on_cut``: what an incomplete response becomes,
    ``truncate`` (what came, then the cut), ``complete`` (what came, as if it were all), or ``status`` (an answer of the
    hop's own with that ``status`` and no byte of the app's).
    """

    add_length: bool = True
    on_cut: str = "truncate"
    status: int = 502

    def start(self, request: Request, now: float) -> Stage:
        """The collection of one response."""
        return _Whole(self)


class _Whole(Stage):
    def __init__(self, settings: Whole) -> None:
        self._settings = settings
        self._head: Head | None = None
        self._pieces: list[bytes | memoryview] = []

    @property
    def held(self) -> int:
        return sum(map(len, self._pieces))

    def head(self, event: Head, now: float) -> Events:
        self._head = event
        return ()

    def data(self, event: Data, now: float) -> Events:
        self._pieces.append(event.data)
        return ()

    def end(self, event: End, now: float) -> Events:
        return [*self._collected(complete=True), End()]

    def cut(self, event: Cut, now: float) -> Events:
        if self._head is None:
            return (event,)
        # A length that the upstream broke stays broken: the collector cannot invent the missing bytes.
        broken = self._head.framing == "length"
        if self._settings.on_cut == "status":
            return respond(self._settings.status)
        if self._settings.on_cut == "complete" and not broken:
            return [*self._collected(complete=True), End()]
        return [*self._collected(complete=False), event]

    def _collected(self, *, complete: bool) -> list[Event]:
        assert self._head is not None
        head, body = self._head, b"".join(self._pieces)
        self._pieces = []
        if self._settings.add_length and complete and head.framing != "length":
            headers = without(head.headers, "transfer-encoding", "content-length")
            head = head.replace((*headers, ("Content-Length", str(len(body)))), framing="length")
        out: list[Event] = [head]
        if body:
            out.append(Data(body))
        return out


def respond(status: int) -> list[Event]:
    """A hop's own answer: a short page with ``status``."""
    body = f"{status}\n".encode("ascii")
    headers = (("Content-Type", "text/plain"), ("Content-Length", str(len(body))))
    return [Head(status, (), "length", 0).replace(headers), Data(body), End()]
