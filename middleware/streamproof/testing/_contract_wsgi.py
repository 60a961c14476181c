"""The situations in which a WSGI stream can end, driven as a server drives them (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from ..sansio.trace import Request
from ._requests import environ_of

Faults = Iterator[str]
Situation = tuple[str, Callable[[], Faults]]
Make = Callable[[Any], Any]

#: Chunks of the probe; and how many are read of an app at most.
CHUNKS, MOST = 4, 100


class Dry(Exception):
    """The exception that the probe raises."""


class Stopping(BaseException):
    """The exception of a worker that is stopped; like SystemExit, not an Exception."""


class Probe:
    """An app that records how it is treated: chunks produced, closes, request methods."""

    def __init__(
        self,
        *,
        raises: BaseException | None = None,
        silent: bool = False,
        late_head: bool = False,
        restarts: bool = False,
    ) -> None:
        self.raises, self.silent, self.late_head, self.restarts = raises, silent, late_head, restarts
        self.produced = self.closed = 0
        self.methods: list[str] = []
        self.refused = False
        self.write: Any = None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.methods.append(environ["REQUEST_METHOD"])
        if not self.late_head:
            self.write = start_response("200 OK", [("Content-Type", "text/plain")])
        return _ProbeBody(self, start_response)


class _ProbeBody:
    def __init__(self, probe: Probe, start_response: Callable[..., Any]) -> None:
        self._probe, self._start = probe, start_response

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        probe = self._probe
        if probe.late_head and not probe.produced:
            self._start("200 OK", [("Content-Type", "text/plain")])
        if probe.produced >= CHUNKS:
            raise StopIteration
        if probe.produced == 2 and probe.raises is not None:
            raise probe.raises
        if probe.produced == 1 and probe.restarts:
            self._restart()
        probe.produced += 1
        return b"" if probe.silent and probe.produced == 2 else b"chunk %d\n" % probe.produced

    def _restart(self) -> None:
        try:
            raise Dry("after the head")
        except Dry as error:
            try:
                self._start("500 Oh", [("Content-Type", "text/plain")], (Dry, error, error.__traceback__))
            except Dry:
                self._probe.refused = True
                raise

    def close(self) -> None:
        self._probe.closed += 1


class Server:
    """The server's side: the head, and bytes sent."""

    def __init__(self) -> None:
        self.status: str | None = None
        self.fields: list[tuple[str, str]] = []
        self.received: list[bytes] = []

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], Any]:
        if exc_info is not None and self.received:
            raise exc_info[1].with_traceback(exc_info[2])
        self.status, self.fields = status, headers
        return self.received.append

    def ask(self, app: Any, method: str = "GET", target: str = "/") -> Any:
        """Call the app; its iterable."""
        return app(environ_of(Request(method, target, "1.1", (("Host", "testserver"),))), self.start_response)

    def read(self, result: Any, chunks: int = MOST) -> Iterator[bytes]:
        """Pull up to ``chunks``, as a server would."""
        for chunk in islice(result, chunks):
            if chunk:
                self.received.append(chunk)
            yield chunk


def leave(result: Any) -> None:
    """Close ``result``, as every server does at the end of a request."""
    if (close := getattr(result, "close", None)) is not None:
        close()


def of_middleware(make: Make) -> Iterator[Situation]:
    """The situations for a middleware."""
    yield "each chunk leaves before the next is made", partial(_streams, make)
    yield "an empty chunk is answered with a chunk", partial(_silence_passes, make)
    yield "left before the first chunk", partial(_left, make, 0)
    yield "left before the head", partial(_left, make, 0, late_head=True)
    yield "left in mid-stream", partial(_left, make, 1)
    yield "left in a silence", partial(_left, make, 2, silent=True)
    yield "read to the end", partial(_left, make, MOST)
    yield "the app raises in mid-stream", partial(_raises, make, Dry("in mid-stream"))
    yield "the worker stops in mid-stream", partial(_raises, make, Stopping())
    yield "HEAD", partial(_head, make)
    yield "closed twice", partial(_twice, make)
    yield "start_response with exc_info after the head", partial(_restarts, make)
    yield "start_response returns write", partial(_writes, make)


def _streams(make: Make) -> Faults:
    probe, server = Probe(), Server()
    result = server.ask(make(probe))
    most = 0
    try:
        for _ in server.read(result):
            most = max(most, probe.produced - len(server.received))
        if not server.received or len(server.received[0]) > len(b"chunk 1\n") or most:
            count = most + 1 if most else probe.produced
            yield f"the app made {count} chunks before one left ({probe.produced} became {len(server.received)})"
        if b"".join(server.received) != b"".join(b"chunk %d\n" % n for n in range(1, CHUNKS + 1)):
            yield f"the bytes were changed: {b''.join(server.received)[:60]!r}"
    finally:
        leave(result)


def _silence_passes(make: Make) -> Faults:
    probe, server = Probe(silent=True), Server()
    result = server.ask(make(probe))
    for _ in server.read(result, 2):
        pass
    if probe.produced > 2:
        yield f"the app made {probe.produced} chunks while 2 were pulled (PEP 3333, block boundaries)"
    leave(result)


def _left(make: Make, chunks: int, *, late_head: bool = False, silent: bool = False) -> Faults:
    probe, server = Probe(late_head=late_head, silent=silent), Server()
    result = server.ask(make(probe))
    for _ in server.read(result, chunks):
        pass
    leave(result)
    yield from _closed_once(probe)


def _closed_once(probe: Probe) -> Faults:
    if not probe.closed:
        yield "the app's close() was never called"
    elif probe.closed > 1:
        yield f"the app's close() was called {probe.closed} times"


def _raises(make: Make, error: BaseException) -> Faults:
    probe, server = Probe(raises=error), Server()
    result: Any = None
    try:
        result = server.ask(make(probe))
        for _ in server.read(result):
            pass
        yield "what the app raised was swallowed: the response looks complete"
    except (Dry, Stopping) as raised:
        if raised is not error:
            yield f"another exception came out: {raised!r}"
    finally:
        leave(result)
    yield from _closed_once(probe)


def _head(make: Make) -> Faults:
    probe, server = Probe(), Server()
    result = server.ask(make(probe), "HEAD")
    for _ in server.read(result, 1):
        pass
    leave(result)
    if probe.methods != ["HEAD"]:
        yield f"the app received {probe.methods}, not HEAD"
    yield from _closed_once(probe)


def _twice(make: Make) -> Faults:
    probe, server = Probe(), Server()
    result = server.ask(make(probe))
    for _ in server.read(result, 1):
        pass
    leave(result)
    leave(result)
    if not probe.closed:
        yield "the app's close() was never called"


def _restarts(make: Make) -> Faults:
    probe, server = Probe(restarts=True), Server()
    result: Any = None
    try:
        result = server.ask(make(probe))
        for _ in server.read(result):
            pass
        yield "the server's refusal did not reach the app: exc_info is not handed on"
    except Dry:
        if not probe.refused:
            yield "exc_info is not handed on to the server"
    finally:
        leave(result)


def _writes(make: Make) -> Faults:
    probe, server = Probe(), Server()
    leave(server.ask(make(probe)))
    if probe.write is not None and not callable(probe.write):
        yield f"start_response returned {probe.write!r} (PEP 3333: a write callable)"


def of_app(app: Any, target: str) -> Iterator[Situation]:
    """The situations for an app, as far as they show from outside."""
    yield "left before the first chunk", partial(_app_left, app, target, 0)
    yield "left in mid-stream", partial(_app_left, app, target, 1)
    yield "read to the end", partial(_app_left, app, target, MOST)
    yield "HEAD", partial(_app_left, app, target, 1, "HEAD")
    yield "closed twice", partial(_app_left, app, target, 1, closes=2)


def _app_left(app: Any, target: str, chunks: int, method: str = "GET", closes: int = 1) -> Faults:
    server = Server()
    result = server.ask(app, method, target)
    for chunk in server.read(result, chunks):
        if not isinstance(chunk, bytes):
            yield f"it yielded {chunk!r} (PEP 3333: bytes)"
    if chunks and server.status is None:
        yield "it gave a chunk before its head"
    for _ in range(closes):
        leave(result)
    if closes == 1 and chunks == 1 and next(iter(result), None) is not None and not isinstance(result, list | tuple):
        yield "it goes on making chunks after close()"
