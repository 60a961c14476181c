"""Carries a policy out round a WSGI app: :func:`flushed`. Inside the recording, so a trace shows what left the policy.

Knows PEP 3333. Decides nothing: which responses are streams and what becomes of them, the policy's machine says.
Everything that is no stream is handed on as the object it came in. Its own rules:

- The app's head goes on when the app returns, or at its first block if it is a generator itself; so a server that reads
  the head after the call has it, and an error page of the app's own replaces it until then.
- What is there at once (a list, a tuple, a file wrapper, ``len()``, Django's ``streaming = False``) is no stream.
- A policy that needs a clock runs the app in the pump's thread; any other never holds a byte, in the server's thread.
- The app's exception is raised on, so that the server cuts the connection; it is only logged where the reader has been
  told in the stream, since the body then ends properly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ...sansio.flush.policy import FlushMachine
from ...sansio.flush.recognize import Kind, unopted
from ...sansio.http import head_size
from ...sansio.machine import Cut, Data, End, Event, Events, Head
from ...sansio.trace import Request
from .. import holds
from ..policy import PreparedPolicy
from ..recording import FAILED, clock, log
from .environ import request_of
from .kept import Kept, Write
from .pump import Kind as Brought
from .pump import Pump

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def apply_policy(app: WSGIApplication, prepared: PreparedPolicy) -> WSGIApplication:
    """``app`` under ``flushing``'s policy."""

    def under_policy(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = request_of(environ)
        if not prepared.policy.possible(request):
            return app(environ, start_response)
        asked = environ
        if prepared.policy.hide_encodings:
            environ = {key: value for key, value in environ.items() if key != "HTTP_ACCEPT_ENCODING"}
        response = _Response(prepared, request, start_response, asked)
        if holds.made:
            response.watch = environ[holds.KEY] = holds.Watch(prepared.policy.on_hold, prepared.policy.hold_limit)
        return response.run(app, environ)

    return under_policy


class _Response:
    """One response on its way out."""

    def __init__(
        self, prepared: PreparedPolicy, request: Request, start_response: StartResponse, asked: WSGIEnvironment
    ) -> None:
        self._flushing, self._policy, self._request = prepared, prepared.policy, request
        self._server_start: Any = start_response
        self._asked = asked
        self._proposed: tuple[str, Any] | None = None
        self._kind = Kind.OPEN
        self._committed = False
        self._server_write: Any = None
        self._pumped_write: Write | None = None  # called in the pump's thread: the server's yields what it brings
        self._begin_with: Events = ()
        self.machine: FlushMachine | None = None
        self.watch: holds.Watch | None = None

    def run(self, app: WSGIApplication, environ: WSGIEnvironment) -> Iterable[bytes]:
        """What to give the server."""
        file_wrapper = environ.get("wsgi.file_wrapper")
        if not self._policy.timed:
            result = app(environ, self.start_response)
            try:
                if self._settle(result, file_wrapper):
                    return result
            except BaseException:
                _closer(result)()  # the server refused the head, and will never see the body
                raise
            return _Body(self, _inline(self, result), _closer(result))

        def call(write: Write) -> Any:
            self._pumped_write = write
            return app(environ, self.start_response)

        kept = Kept(call)
        pump = Pump(kept.call, f"{self._request.method} {self._request.target}")
        try:
            first = pump.pull(None)
            while first is None:
                first = pump.pull(None)
            if first.kind is Brought.RAISED:
                assert first.error is not None
                raise first.error
            returned = first.kind is Brought.RETURNED
            if returned and self._settle(kept.result, file_wrapper) and _as_it_is(kept.result, file_wrapper):
                return kept.closing_by(pump.close)
        except BaseException:
            pump.close()
            raise
        return _Body(self, _pumped(self, pump, () if returned else (first.block,)), lambda: self._leave(pump))

    def _leave(self, pump: Pump) -> None:
        if pump.pulling:
            log.warning(
                "%s %s was closed while its app is still at work. Its thread stays until the app gives its next block.",
                self._request.method,
                self._request.target,
            )
        pump.close()

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        """The app's ``start_response``: kept until it is known what the response is."""
        try:
            if self._committed:
                if exc_info is None:
                    return self._server_start(status, headers)
                return self._server_start(status, headers, exc_info)
            if self._proposed is not None and exc_info is None:
                raise AssertionError(
                    "start_response() was called a second time without exc_info. Expected one call per response "
                    "(PEP 3333). Does an error handler forget exc_info?"
                )
        finally:
            exc_info = None  # PEP 3333: avoid a cycle through the traceback
        self._proposed = status, headers
        self._kind = self._policy.kind(self._request, int(status[:3]), tuple(headers))
        return self.write

    def write(self, data: bytes) -> object:
        """The app's ``write()``: a response that uses it is a stream, unless it says otherwise."""
        if not self._committed:
            self.commit(self._kind is not Kind.OTHER)
        if self._pumped_write is not None:
            return self._pumped_write(data)
        for piece in self.feed(data):
            self._server_write(piece)
        return None

    def _settle(self, result: Any, file_wrapper: object) -> bool:
        """Send the head on, as far as it is known. True when the response is no stream."""
        if self._committed:
            return self.machine is None
        if self._proposed is None:
            return False  # a generator: it names its head when it is first asked
        other = self._kind is Kind.OTHER or _at_once(result, file_wrapper)
        self.commit(not other)
        return other

    def commit(self, stream: bool) -> None:
        """Give the server the head."""
        assert self._proposed is not None
        (status, headers), self._committed = self._proposed, True
        if not stream:
            fields = tuple(headers)
            if unopted(fields) is not fields:
                headers = list(unopted(fields))
            self._server_write = self._server_start(status, headers)
            return
        now = clock()
        self.machine = self._flushing.start(self._request, now)
        code, fields = int(status[:3]), tuple(headers)
        head, *rest = self.machine.receive(Head(code, fields, "chunked", head_size(code, fields)), now)
        assert isinstance(head, Head)
        self._begin_with = rest
        self._server_write = self._server_start(status, list(head.headers))

    @property
    def nothing_more_to_do(self) -> bool:
        """Has the head said it all?"""
        return self._committed and self.watch is None and (self.machine is None or self.machine.transparent)

    def begin(self) -> Iterator[bytes]:
        """What leaves with the head: nothing, or an empty block that makes servers send the head."""
        rest, self._begin_with = self._begin_with, ()
        yield from _bytes(rest)

    def feed(self, block: bytes) -> list[bytes]:
        """What leaves because of ``block``."""
        if not self._committed:
            if self._proposed is None:
                raise AssertionError(
                    "The app gave a block before it called start_response(). Expected the call first (PEP 3333)."
                )
            self.commit(self._kind is not Kind.OTHER)
        if block and self.watch is not None:
            self.watch.came_out()
        if self.machine is None:
            return [block]
        return [*self.begin(), *_bytes(self.machine.receive(Data(block), clock()))]

    def ended(self) -> list[bytes]:
        """What leaves at the end."""
        if not self._committed and self._proposed is not None:
            self.commit(self._kind is Kind.STREAM)
        if self.machine is None:
            return []
        return [*self.begin(), *_bytes(self.machine.receive(End(), clock()))]

    def failed(self, error: Exception) -> tuple[list[bytes], bool]:
        """What leaves because the app raised, and whether the error is to be raised on."""
        if self.machine is None:
            return [], True
        events = self.machine.receive(Cut("fin", "app", type(error).__name__), clock())
        told = bool(events) and isinstance(events[-1], End)
        if told:
            self._asked[FAILED] = type(error).__name__
            log.error("The app broke off. Its reader was told in the stream.", exc_info=error)
        return list(_bytes(events)), not told


class _Body:
    """The iterable for the server; closes the app's iterable once."""

    def __init__(self, response: _Response, blocks: Iterator[bytes], close: Callable[[], object]) -> None:
        self._response, self._blocks = response, blocks
        self._close: Callable[[], object] | None = close

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def __next__(self) -> bytes:
        return next(self._blocks)

    def close(self) -> None:
        """Close the app's iterable."""
        close, self._close = self._close, None
        if close is not None:
            close()


def _inline(response: _Response, body: Iterable[bytes]) -> Iterator[bytes]:
    if response.machine is not None:
        yield from response.begin()
    try:
        blocks = iter(body)
        for block in blocks:
            # PEP 3333, "Middleware Handling of Block Boundaries": one value for each, an empty one for "not yet".
            yield from response.feed(block) or (b"",)
            if response.nothing_more_to_do:
                yield from blocks
    except Exception as error:
        left, raise_on = response.failed(error)
        yield from left
        if raise_on:
            raise
        return
    yield from response.ended()


def _pumped(response: _Response, pump: Pump, first: Iterable[bytes]) -> Iterator[bytes]:
    if response.machine is not None:
        yield from response.begin()
    for block in first:
        yield from response.feed(block)
    while True:
        machine = response.machine
        deadline = None if machine is None else machine.deadline
        pulled = pump.pull(None if deadline is None else max(0.0, deadline - clock()))
        if machine is not None and deadline is not None and deadline <= (now := clock()):
            yield from _bytes(machine.wake(now))
        if pulled is None:
            continue
        if pulled.kind in (Brought.BLOCK, Brought.WRITTEN):
            yield from response.feed(pulled.block) or (b"",)
        elif pulled.kind is Brought.RAISED:
            assert pulled.error is not None
            if not isinstance(pulled.error, Exception):
                raise pulled.error
            left, raise_on = response.failed(pulled.error)
            yield from left
            if raise_on:
                raise pulled.error
            return
        elif pulled.kind is Brought.EXHAUSTED:
            yield from response.ended()
            return


def _bytes(events: Iterable[Event]) -> Iterator[bytes]:
    for event in events:
        if isinstance(event, Data):
            yield bytes(event.data)


def _closer(result: Any) -> Callable[[], object]:
    return getattr(result, "close", None) or (lambda: None)


def _at_once(result: Any, file_wrapper: object) -> bool:
    return _as_it_is(result, file_wrapper) or getattr(result, "streaming", None) is False


def _as_it_is(result: Any, file_wrapper: object) -> bool:
    """Does a server look at this very object, so that nothing may stand in for it?"""
    if isinstance(file_wrapper, type) and isinstance(result, file_wrapper):
        return True
    kind = type(result)
    iterable = hasattr(kind, "__iter__") or hasattr(kind, "__getitem__")
    return hasattr(kind, "__len__") or not iterable  # lists and tuples; gevent's ALREADY_HANDLED
