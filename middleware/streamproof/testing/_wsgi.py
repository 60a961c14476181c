"""Serve one WSGI request in a test: the app is pulled only when the reader reads, in the reader's own thread.

So a chunk reaches the reader before the app produces the next one, streams may be endless, and a reader leaves by
``close()`` (PEP 3333, "Specification Details"). Nothing runs while the reader does not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from ..adapters.taps import observer
from ..profiles import Via
from ..sansio.machine import Cut, End, Head
from ..sansio.trace import Outcome, Request
from . import clocks
from ._line import Line
from ._requests import environ_of
from .errors import AppFault, BrokenResponse
from .server_behavior import ServerBehavior

#: Chunks after which a server that runs on for a reader who left is stopped.
RUN_ON = 1000


class WSGIExchange:
    """The conversation with one WSGI app about one request.

    ``head()`` and ``read()`` pull; ``close()`` leaves, or ends a complete response. With ``raises`` the app's exception
    is raised where the reader reads; otherwise the response is cut as the server would cut it.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        request: Request,
        *,
        server: ServerBehavior,
        via: Via | None = None,
        body: bytes | Iterable[bytes] = b"",
        environ: dict[str, Any] | None = None,
        raises: bool = True,
    ) -> None:
        self._app, self._raises = app, raises
        self.line = Line(request, server, via, clocks.now())
        self._environ = environ_of(self.line.request_at_app, body) if environ is None else environ
        self._result: Iterable[bytes] | None = None
        self._iterator: Iterator[bytes] | None = None
        self._pending: tuple[float, bytes] | None = None
        self._error: BaseException | None = None
        self._over = self.app_done = False
        self.body_iterator: Any = None
        """The iterator that gives the body to the client, once there is one."""

    def __repr__(self) -> str:
        request = self.line.request
        return f"<WSGIExchange {request.method} {request.target} like {self.line.server.name}>"

    @property
    def is_async(self) -> bool:
        """Is it read with await?"""
        return False

    def head(self) -> Head:
        """The head, once it has reached the reader. Raises what the app raised before it."""
        item = self._next()
        if isinstance(item, Head):
            return item
        self._over = True
        raise self._broken("The response never began")

    def read(self) -> bytes | None:
        """The next bytes that reach the reader, None at the end."""
        if self._over:
            return None
        item = self._next()
        if isinstance(item, bytes):
            return item
        self._over = True
        if isinstance(item, End):
            return None
        raise self._broken("The response was cut")

    def close(self) -> None:
        """Close as the reader: nothing more is read, and the app's iterable is closed unless it has ended."""
        self._over = True
        if self.app_done:
            return
        if self.line.ended:
            self._finish(Outcome.COMPLETE)
            return
        if self.line.server.runs_on:
            self._run_on()
        self._finish(Outcome.CLIENT_GONE, "the reader left")

    def _next(self) -> Head | bytes | End | Cut | None:
        while (item := self.line.take()) is None:
            if self.line.ended and self.line.deadline is None:
                return None
            if self.line.ended:
                assert self.line.deadline is not None
                self._wait(self.line.deadline)
                continue
            self._pull()
        return item

    def _wait(self, deadline: float) -> None:
        """Wait for the hops, which release their last bytes at ``deadline``."""
        clocks.sleep_until(deadline)
        self.line.wake(deadline)

    def _broken(self, fact: str) -> BaseException:
        if self._error is not None and self._raises:
            return self._error
        return BrokenResponse(self.line.why_broken(fact, self._error))

    def _pull(self) -> None:
        line = self.line
        token = observer.set(partial(line.event_log.tap, lambda: clocks.now() - line.started))
        try:
            if self._iterator is None:
                self._result = self._app(self._environ, self._start_response)
                self._iterator = iter(self._result)
            else:
                self._accept(clocks.now())
            chunk = next(self._iterator)
        except StopIteration:
            self._complete()
        except BaseException as error:
            self._failed(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._produced(chunk)
        finally:
            observer.reset(token)

    def _produced(self, chunk: bytes) -> None:
        line, now = self.line, clocks.now()
        if not isinstance(chunk, bytes):
            self._failed(AppFault(f"The app yielded {chunk!r}. Expected bytes (PEP 3333). Is an encode() missing?"))
            return
        if not line.head_given:
            self._failed(AppFault("The app yielded before start_response(). Expected a head first (PEP 3333)."))
            return
        self._pending = (now, chunk)
        line.wake(now)
        line.data(chunk, now)

    def _accept(self, now: float | None) -> None:
        if self._pending is not None:
            produced, chunk = self._pending
            self._pending = None
            self.line.accepted(produced, chunk, now)

    def _complete(self) -> None:
        line, now = self.line, clocks.now()
        if not line.head_given:
            self._failed(AppFault("The app ended without start_response(). Expected a head (PEP 3333)."))
            return
        line.wake(now)
        line.end(now)
        self._finish(Outcome.COMPLETE)

    def _failed(self, error: BaseException) -> None:
        self._error = error
        self.line.cut(f"{type(error).__name__}: {error}", clocks.now())
        self._finish(Outcome.APP_ERROR, repr(error))

    def _finish(self, outcome: Outcome, reason: str | None = None) -> None:
        """Close the app's iterable, once, and write the recording."""
        if self.app_done:
            return
        self.app_done = True
        now = clocks.now()
        self._accept(None if outcome is Outcome.CLIENT_GONE else now)
        try:
            if (close := getattr(self._result, "close", None)) is not None:
                close()
        finally:
            self.line.finish(outcome, clocks.now(), reason)

    def _run_on(self) -> None:
        for _ in range(RUN_ON):
            if self._iterator is None or next(self._iterator, None) is None:
                return

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        line = self.line
        if exc_info is not None:
            try:
                if line.event_log.entries:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # PEP 3333: avoid a circular reference
        elif line.head_given:
            raise AssertionError("start_response() was called twice without exc_info (PEP 3333)")
        line.head(int(status.split(None, 1)[0]), tuple((name, value) for name, value in headers), clocks.now())
        return self._write

    def _write(self, data: bytes) -> None:
        now = clocks.now()
        self.line.data(data, now)
        self.line.accepted(now, data, now)
