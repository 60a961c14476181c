"""Hops between a WSGI app and its server, in the process: gives the server what leaves them, when it leaves.

Knows PEP 3333 and drives any :class:`~.sansio.machine.Machine`. One that may want to be woken gets the pump's thread,
any other runs inline, in the thread that iterates. Does not know what the hops do. What follows from the spec:

- The head enters the hops with the first block that is not empty, as PEP 3333 has it; until it leaves them the app is
  pulled on inside the call, since ``start_response`` is due before the first block (and Granian reads the head there).
- A block that is held is answered upward with ``b""``, PEP 3333's word for "not yet" ("Middleware Handling of Block
  Boundaries"). Gunicorn, Werkzeug and wsgiref send the head at that moment.
- A cut raises :class:`~.via.HopCut` after the app was closed. Servers then end the connection without the last
  chunk, but Granian ends the body properly. Before the head has left, a server can only answer 500.
- The app's exception is raised on after what the hops release at an upstream abort.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ...sansio.http import reason
from ...sansio.machine import Cut, Data, Event, Events, Head, Machine
from ...sansio.outcome import Ending, decide
from ...sansio.trace import Outcome, Request
from ..recording import Recording, clock
from ..via import HopCut, Leg, Route, server_fields
from .pump import Kind, Pulled, Pump

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Write = Callable[[bytes], object]


def through(
    route: Route,
    app: WSGIApplication,
    environ: WSGIEnvironment,
    start_response: StartResponse,
    request: Request,
    server: str | None,
    recording: Recording | None,
) -> Iterable[bytes]:
    """Call ``app`` and return its response as it leaves the hops of ``route``."""
    machine = route.start(request, clock())
    head = _StartResponse()
    crossing = _Crossing(machine, Leg(request, machine, server), head, start_response, recording, route.text)

    def call(write: Write) -> Iterable[bytes]:
        head.write = write
        return app(environ, head.start_response)

    if machine.deadline is not None or getattr(machine, "timed", True):
        crossing.source = Pump(call, f"{request.method} {request.target}")
    else:
        crossing.source = _Inline(call, crossing.written)
    try:
        while not crossing.head_left:
            crossing.step()
    except BaseException:
        crossing.close()
        raise
    return _HoppedBody(crossing)


class _StartResponse:
    """The ``start_response`` that the app is given. No part of the crossing, which the pump's thread must not hold."""

    status = ""
    headers: tuple[tuple[str, str], ...] | None = None
    committed = False
    write: Write

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Write:
        if exc_info is not None:
            try:
                if self.committed:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # PEP 3333: avoid a cycle through the traceback
        elif self.headers is not None:
            raise AssertionError(
                "start_response() was called a second time without exc_info. Expected one call per response "
                "(PEP 3333). Does an error handler forget exc_info?"
            )
        self.status, self.headers = status, tuple(headers)
        return self.write


class _Inline:
    """The app in the thread that iterates: a pull waits for as long as the app takes."""

    def __init__(self, call: Callable[[Write], Iterable[bytes]], written: Write) -> None:
        self._call, self._written = call, written
        self._body: Any = None
        self._blocks: Iterator[bytes] | None = None
        self._closed = False

    def pull(self, timeout: float | None) -> Pulled:
        try:
            if self._body is None:
                self._body = self._call(self._written)
                return Pulled(Kind.RETURNED)
            if self._blocks is None:
                self._blocks = iter(self._body)
            for block in self._blocks:
                return Pulled(Kind.BLOCK, block)
        except BaseException as error:
            return Pulled(Kind.RAISED, error=error)
        return Pulled(Kind.EXHAUSTED)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            if (close := getattr(self._body, "close", None)) is not None:
                close()


class _Crossing:
    """One response on its way through the hops; everything here runs in the server's thread."""

    source: Pump | _Inline

    def __init__(
        self,
        machine: Machine,
        leg: Leg,
        proposal: _StartResponse,
        start_response: StartResponse,
        recording: Recording | None,
        name: str,
    ) -> None:
        self._machine, self._leg, self._proposal = machine, leg, proposal
        self._start_response, self._recording, self._name = start_response, recording, name
        self._write: Any = None
        self._exhausted = self._failed = False
        self._error: BaseException | None = None
        self._over = False
        self.head_left = False
        self.out: deque[bytes] = deque()

    def step(self) -> bool:
        """Bring the next thing, from the app or from a deadline; True when the app gave a block.

        Raises the app's exception, or HopCut, once nothing is left to be handed on.
        """
        if self._over:
            if not self._exhausted:
                self.source.close()
            if self._error is not None:
                raise self._error
            return False
        deadline = self._machine.deadline
        wait = None if deadline is None else max(0.0, deadline - clock())
        if self._exhausted:
            if wait is None:
                raise RuntimeError(f"{self._name} kept the end of a response for good. Expected a deadline or the end.")
            time.sleep(wait)
            pulled = None
        else:
            pulled = self.source.pull(wait)
        now = clock()
        if deadline is not None and deadline <= now:
            self._leave(self._machine.wake(now))
        if pulled is None or self._over:
            return False
        if pulled.kind in (Kind.BLOCK, Kind.WRITTEN):
            self._block(pulled.block, now)
        elif pulled.kind is Kind.RAISED:
            self._raised(pulled.error, now)
        elif pulled.kind is Kind.EXHAUSTED:
            self._commit(now)
            self._exhausted = True
            self._feed(self._leg.end(), now)
        return pulled.kind is Kind.BLOCK

    def blocks(self) -> Iterator[bytes]:
        """What the server gets."""
        while True:
            while self.out:
                yield self.out.popleft()
            done = self._over
            if self.step() and not self.out:
                yield b""
            if done:
                return

    def written(self, data: bytes) -> None:
        """The app called write() in this thread: on at once, if the server has a write()."""
        self._block(data, clock())
        while self._write is not None and self.out:
            self._write(self.out.popleft())

    def close(self) -> None:
        """The server is done with the response: close the app's."""
        if self._recording is not None and not self._over and not self._exhausted:
            recording = self._recording
            error = sys.exc_info()[1]
            recording.set_outcome(
                decide("closed", reader_gone=recording.gone, error=error, received_all=recording.received_all)
            )
        self.source.close()

    def _block(self, block: bytes, now: float) -> None:
        if block and not self._over:
            self._commit(now)
            if self._leg.bodied:
                self._feed(self._leg.data(block), now)

    def _commit(self, now: float) -> None:
        if self._proposal.committed:
            return
        if self._proposal.headers is None:
            raise AssertionError(
                "The app gave a block before it called start_response(). Expected the call first (PEP 3333)."
            )
        self._proposal.committed = True
        self._feed(self._leg.head(int(self._proposal.status[:3]), self._proposal.headers), now)

    def _raised(self, error: BaseException | None, now: float) -> None:
        self._exhausted = self._failed = True
        self._error = error
        if self._proposal.committed:
            self._feed(Cut("fin", "app", type(error).__name__), now)
        if self._machine.deadline is None:
            self._over = True

    def _feed(self, event: Event, now: float) -> None:
        if not self._over:
            self._leave(self._machine.receive(event, now))

    def _leave(self, events: Events) -> None:
        for event in events:
            if isinstance(event, Head):
                code = str(event.status)
                line = self._proposal.status if self._proposal.status[:3] == code else f"{code} {reason(event.status)}"
                self.head_left = True
                self._write = self._start_response(line, server_fields(event))
            elif isinstance(event, Data):
                if event.data:
                    self.out.append(bytes(event.data))
            else:
                self._finish(event)

    def _finish(self, event: Event) -> None:
        """The last event has left. Unless the app ended too, the next step closes it."""
        self._over = True
        if self._failed:
            return
        if isinstance(event, Cut):
            self._error = HopCut.of(event, self._name)
            self._set_outcome(event.by or self._name, event.reason)
        elif not self._exhausted:
            self._set_outcome(self._name, "answered in the app's place")

    def _set_outcome(self, by: str, why: str | None) -> None:
        if self._recording is not None:
            self._recording.set_outcome(Ending(Outcome.CUT, by, why))


class _HoppedBody:
    """The iterable for the server. The generator and it share the crossing, so neither keeps the other alive."""

    def __init__(self, crossing: _Crossing) -> None:
        self._crossing, self._blocks = crossing, crossing.blocks()

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def __next__(self) -> bytes:
        return next(self._blocks)

    def close(self) -> None:
        """Close the app's iterable, once, in the thread that owns it."""
        self._crossing.close()
