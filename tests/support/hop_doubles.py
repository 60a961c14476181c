"""Small hops for tests of the drivers, and a via that starts them."""

from __future__ import annotations

from collections.abc import Callable

from streamproof.sansio.http import head_size
from streamproof.sansio.machine import Cut, Data, End, Event, Events, Head, Stage
from streamproof.sansio.trace import Request


class Ways:
    """A via that starts the machine which ``start`` makes."""

    text = "test-hop"

    def __init__(self, start: Callable[[float], Stage]) -> None:
        self._start = start

    def start(self, request: Request, now: float) -> Stage:
        return self._start(now)


class Straight(Stage):
    """Passes everything at once and never wants to be woken."""

    timed = False


class TimedStraight(Stage):
    """Passes everything at once, but may want to be woken: selects the pump."""

    timed = True


class Whole(Stage):
    """Holds the head and the body to the end."""

    timed = False

    def __init__(self) -> None:
        self._inside: list[Event] = []

    def head(self, event: Head, now: float) -> Events:
        self._inside.append(event)
        return ()

    def data(self, event: Data, now: float) -> Events:
        self._inside.append(event)
        return ()

    def end(self, event: End, now: float) -> Events:
        return (*self._inside, event)

    def cut(self, event: Cut, now: float) -> Events:
        return (*self._inside, event)


class BodyHeld(Whole):
    """Holds the body to the end, not the head."""

    def head(self, event: Head, now: float) -> Events:
        return (event,)

    def data(self, event: Data, now: float) -> Events:
        self._inside.append(event)
        return ()


class Releasing(BodyHeld):
    """Holds the body; lets go what it has, the end too, ``delay`` seconds after its first byte."""

    timed = True

    def __init__(self, delay: float) -> None:
        super().__init__()
        self._delay = delay

    def data(self, event: Data, now: float) -> Events:
        if self.deadline is None:
            self.deadline = now + self._delay
        self._inside.append(event)
        return ()

    def end(self, event: End, now: float) -> Events:
        self._inside.append(event)
        return () if self.deadline is not None else self._inside

    def wake(self, now: float) -> Events:
        self.deadline = None
        out, self._inside = self._inside, []
        return out


class Cutting(Stage):
    """Cuts ``delay`` seconds after the request."""

    timed = True

    def __init__(self, now: float, delay: float) -> None:
        self.deadline = now + delay

    def end(self, event: End, now: float) -> Events:
        self.deadline = None
        return (event,)

    def wake(self, now: float) -> Events:
        self.deadline = None
        return (Cut("fin", "test-hop", "idle"),)


class Answering(Cutting):
    """Answers 504 itself ``delay`` seconds after the request, unless the head came."""

    def head(self, event: Head, now: float) -> Events:
        self.deadline = None
        return (event,)

    def wake(self, now: float) -> Events:
        self.deadline = None
        headers = (("Content-Type", "text/plain"), ("Connection", "close"))
        return (Head(504, headers, "close", head_size(504, headers)), Data(b"too late"), End())
