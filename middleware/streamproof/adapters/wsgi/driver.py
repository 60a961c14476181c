"""Move one WSGI response through its row, from the app to the server: :func:`run`.

The machines of the row decide (``adapters/row.py``), this file only moves. Blocks come from ``inline.py``, or from
``pump.py`` if a machine needs a clock. A response that is only recorded does not come here (``bodies.py``). The rules,
most of them from PEP 3333:

- The policy learns what the response is when the app returns, or at the first block if the app is a generator. Until
  then an error page may replace the head. The head enters the hops with the first block that is not empty. The app is
  pulled inside the call until the head leaves them, because servers need ``start_response`` before the first block.
- A pull that brings nothing is answered with ``b""`` ("Middleware Handling of Block Boundaries").
- A cut raises :class:`~..via.HopCut` after the app was closed. Servers then end the connection without the last chunk,
  but Granian ends the body properly. Before the head has left, a server can only answer 500.
- The app's exception is raised again, after the machines have released what they hold. If the policy reported it to
  the reader in the stream, it is only logged, because the body then ends properly.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ...sansio.flush.recognize import ResponseKind, unopted
from ...sansio.http import head_size, reason
from ...sansio.machine import Cut, Data, End, Event, Events, Head
from ...sansio.outcome import Ending
from ...sansio.trace import Outcome, Request
from ...sansio.untrusted import plain
from .. import holds
from ..policy import PreparedPolicy
from ..recording import FAILED, Recording, clock, log
from ..row import ResponseRow
from ..via import HopCut, Route, server_fields
from .bodies import at_once, is_looked_at, recorded
from .buffered_bodies import close_recorded
from .environ import server_of
from .inline import Inline
from .pump import BLOCK, EXHAUSTED, MOST_THREADS, RAISED, RETURNED, WRITTEN, Pulled, Pump
from .start_response import StartResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse as ServerStart
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


def run(
    app: WSGIApplication,
    environ: WSGIEnvironment,
    start_response: ServerStart,
    request: Request,
    prepared: PreparedPolicy | None,
    route: Route | None,
    recording: Recording | None,
) -> Iterable[bytes]:
    """Call ``app``; return its response as it leaves the policy and the hops of ``route``."""
    row = ResponseRow(request, recording, records_head=prepared is not None)
    timed = prepared is not None and prepared.policy.timed
    if route is not None:
        chain = route.start(request, clock())
        row.add_chain(chain, server_of(environ.get("SERVER_SOFTWARE")))
        timed = timed or chain.deadline is not None or getattr(chain, "timed", True)
    start = StartResponse(None if prepared is not None else recording, start_response if route is None else None)
    seen = environ
    if prepared is not None and prepared.policy.hide_encodings:
        seen = {key: value for key, value in environ.items() if key != "HTTP_ACCEPT_ENCODING"}

    def call(write: Callable[[bytes], object]) -> Iterable[bytes]:
        start.write = write
        return app(seen, start)

    name = f"{plain(request.method)} {plain(request.target)}"
    pump = Pump.start(call, name) if timed else None
    if timed and pump is None:
        log.warning("%d pump threads are taken, so a response has no heartbeats and no time limits.", MOST_THREADS)
        prepared = None if prepared is None else prepared.without_clock
    driver = Driver(start_response, start, row, prepared, recording, environ, "" if route is None else route.text)
    driver.source = pump or Inline(call, driver.written)
    driver.name = name
    if prepared is not None and holds.made:
        driver.watch = holds.Watch(prepared.policy.on_hold, prepared.policy.hold_limit)
        seen[holds.KEY] = environ[holds.KEY] = driver.watch
    try:
        return driver.called(request, environ.get("wsgi.file_wrapper"))
    except BaseException as error:
        driver.abort(error)
        raise


class Driver:
    """Move one response. Everything here runs in the server's thread."""

    source: Inline | Pump
    name = ""

    def __init__(
        self,
        server_start: ServerStart,
        start: StartResponse,
        row: ResponseRow,
        prepared: PreparedPolicy | None,
        recording: Recording | None,
        environ: WSGIEnvironment,
        via: str,
    ) -> None:
        self._server_start: Any = server_start
        self._start, self._row, self._prepared, self._recording = start, row, prepared, recording
        self._environ, self._via = environ, via
        self.watch: holds.Watch | None = None
        self._request = Request()
        self._server_write: Any = None
        self._committed = self._head_left = False
        self._exhausted = self._over = False
        self._error: BaseException | None = None  # raised once everything that has left is handed on
        self._app_error: BaseException | None = None
        self._out: deque[bytes] = deque()
        self._closed = self._source_closed = False

    # The call: the server gets its body.

    def called(self, request: Request, file_wrapper: object) -> Iterable[bytes]:
        """Call the app. Return the body for the server, or the app's own object if it is not a stream."""
        self._request = request
        if self._row.chain is not None:
            while not self._head_left:
                self._step(file_wrapper)
            return _Body(self)
        pulled = self.source.pull(None)
        assert pulled is not None
        if pulled.step is RAISED:
            raise pulled.value
        if pulled.step is RETURNED and not self._committed and self._start.proposed is not None:
            result = pulled.value
            self._commit(stream=self._kind is not ResponseKind.OTHER and not at_once(result, file_wrapper))
        if pulled.step is RETURNED and self._committed and not self._out:
            if self._nothing_to_do(pulled.value, file_wrapper):
                return self._handed_on(pulled.value, file_wrapper)
        else:
            self._take(pulled, clock())
        return _Body(self)

    @property
    def _kind(self) -> ResponseKind:
        """What the policy decides from the head that the app has named."""
        if self._prepared is None or self._start.proposed is None:
            return ResponseKind.OTHER if self._prepared is None else ResponseKind.UNDECIDED
        status, headers = self._start.proposed
        return self._prepared.policy.kind(self._request, int(status[:3]), tuple(headers))

    def _nothing_to_do(self, result: Any, file_wrapper: object) -> bool:
        """Return whether the server may get the app's own object, because every block would pass unchanged."""
        inline, machine = type(self.source) is Inline, self._row.machine
        if machine is None:
            return inline or is_looked_at(result, file_wrapper)
        return inline and machine.transparent and self.watch is None

    def _handed_on(self, result: Any, file_wrapper: object) -> Iterable[bytes]:
        self._closed = True
        if type(self.source) is Pump:
            _close_with(result, self.source.close)
        if self._recording is not None:
            result = recorded(result, self._recording, file_wrapper)
        handed: Iterable[bytes] = result
        return handed

    def abort(self, error: BaseException) -> None:
        """Close the app and end the recording, because the call raised ``error``."""
        try:
            self._close_source()
        finally:
            if self._recording is not None:
                self._recording.finish("raised", error=error)

    # The stream: what the server iterates.

    def blocks(self) -> Iterator[bytes]:
        """Yield what leaves the row, and ``b""`` for a pull that brings nothing."""
        out, row = self._out, self._row
        while True:
            while out:
                block = out.popleft()
                yield block
                if block and row.chain is None:
                    row.accepted(1)
            if row.passes and not self._over and self.watch is None:
                yield from self._passing()
                continue
            done = self._over
            if self._step() and not out:
                yield b""
            if done:
                break
        if self._recording is not None and self._recording.exhausted_at is None:
            row.ended(clock())

    def _passing(self) -> Iterator[bytes]:
        """Yield the app's blocks unchanged, as long as the policy changes none of them.

        A block sets no timer. The machine's deadline is read only after a silence as long as a heartbeat's interval,
        because it is never earlier than that.
        """
        row, pull, recording = self._row, self.source.pull, self._recording
        assert row.machine is not None
        assert self._prepared is not None
        tail, silence = row.machine.tail, self._prepared.policy.heartbeat
        wait = silence
        while True:
            pulled = pull(wait)
            if pulled is not None and pulled.step is not BLOCK:
                self._take(pulled, clock())
                return
            if pulled is not None and pulled.value:
                if tail is not None or recording is not None:
                    now = clock()
                    if tail is not None:
                        tail.saw(pulled.value, now)
                    row.pass_on(pulled.value, now)
                yield pulled.value
                row.accepted(1)
                wait = silence
                continue
            if pulled is not None:
                yield b""  # an empty block of the app's does not end a silence
            due = row.deadline
            if due is not None and due <= (now := clock()):
                self._leave(row.wake(now))
                while self._out:
                    yield self._out.popleft()
                    row.accepted(1)
                due = row.deadline
            wait = None if due is None else max(0.0, due - clock())

    def _step(self, file_wrapper: object = None) -> bool:
        """Take the next thing from the app, or wake the row at a deadline. Return True if the app gave a block.

        Raises the app's exception, or HopCut, once nothing is left to be handed on.
        """
        row = self._row
        if self._over:
            if not self._exhausted:
                self._close_source()
            if self._error is not None:
                raise self._error
            return False
        deadline = row.deadline
        wait = None if deadline is None else max(0.0, deadline - clock())
        if row.chain is not None:
            row.accepted()
        pulled: Pulled | None = None
        if not self._exhausted:
            pulled = self.source.pull(wait)
        elif wait is None:
            raise RuntimeError(f"{self._via} kept the end of a response for good. Expected a deadline or the end.")
        else:
            time.sleep(wait)
        now = clock()
        if deadline is not None and deadline <= now:
            self._leave(row.wake(now))
        if pulled is None or self._over:
            return False
        if pulled.step is RETURNED and not self._committed and self._start.proposed is not None:
            row.at_once = at_once(pulled.value, file_wrapper)
            if self._prepared is not None:
                self._commit(stream=self._kind is not ResponseKind.OTHER and not row.at_once)
        return self._take(pulled, now)

    def _take(self, pulled: Pulled, now: float) -> bool:
        step = pulled.step
        if step is BLOCK:
            self._block(pulled.value, now)
        elif step is WRITTEN:
            self._block(pulled.value, now, written=True)
        elif step is RAISED:
            self._raised(pulled.value, now)
        elif step is EXHAUSTED:
            self._ended(now)
        return step is BLOCK

    # What the app does.

    def written(self, data: bytes) -> None:
        """Take what the app wrote with ``write()`` in this thread. Use the server's ``write()`` if it has one."""
        self._block(data, clock(), written=True)
        while self._server_write is not None and self._out:
            block = self._out.popleft()
            self._server_write(block)
            if block and self._row.chain is None:
                self._row.accepted(1)

    def _block(self, block: bytes, now: float, *, written: bool = False) -> None:
        if self._over or not (block or written):
            return
        if not self._committed:
            self._commit(stream=self._kind is not ResponseKind.OTHER)
        if block:
            if self.watch is not None:
                self.watch.came_out()
            self._leave(self._row.receive(Data(block), now))

    def _ended(self, now: float) -> None:
        if not self._committed and (self._start.proposed is not None or self._row.chain is not None):
            self._commit(stream=self._kind is ResponseKind.STREAM)
        self._exhausted = True
        if self._row.chain is not None:
            self._row.ended(now)
        self._leave(self._row.receive(End(), now))

    def _raised(self, error: BaseException, now: float) -> None:
        self._exhausted = True
        self._error = self._app_error = error
        if isinstance(error, Exception) and self._committed:
            self._leave(self._row.receive(Cut("fin", "app", type(error).__name__), now))
            self._over = self._over or self._row.deadline is None
        else:
            self._over = True
        if self._recording is not None:
            self._recording.app_raised(error)

    def _commit(self, *, stream: bool) -> None:
        """Commit the head: give it to the row, or to the server unchanged."""
        status, headers = self._start.commit()
        self._committed = True
        code, fields = int(status[:3]), tuple(headers)
        if stream or self._row.chain is not None:
            head = Head(code, fields, "chunked", head_size(code, fields))
            self._leave(self._row.begin(head, self._prepared if stream else None, clock()))
            return
        plain = unopted(fields)
        self._server_write = self._server_start(status, headers if plain is fields else list(plain))
        if self._recording is not None:
            self._recording.head(code, plain)

    # What leaves the row.

    def _leave(self, events: Events) -> None:
        for event in events:
            if isinstance(event, Data):
                if event.data or self._row.chain is None:
                    self._out.append(bytes(event.data))
            elif isinstance(event, Head):
                self._head_left = True
                code, line = str(event.status), self._start.line
                fields = list(event.headers) if self._row.chain is None else server_fields(event)
                self._server_write = self._server_start(
                    line if line[:3] == code else f"{code} {reason(event.status)}", fields
                )
            elif not self._over:
                self._last(event)

    def _last(self, event: Event) -> None:
        """Take the last event that leaves the row. The next step closes the app, unless it has ended, too."""
        self._over = True
        if isinstance(event, End) and self._app_error is not None:
            self._environ[FAILED] = type(self._app_error).__name__
            log.error("The app broke off. An event in the stream says so to its reader.", exc_info=self._app_error)
            self._error = None
        elif self._app_error is not None:
            return
        elif isinstance(event, Cut):
            self._error = HopCut.of(event, self._via)
            self._cut(event.by or self._via, event.reason)
        elif not self._exhausted:
            self._cut(self._via, "answered in the app's place")

    def _cut(self, by: str, why: str | None) -> None:
        if self._recording is not None:
            self._recording.set_outcome(Ending(Outcome.CUT, by, why))

    # The close.

    def close(self) -> None:
        """Close the app's iterable, once, in the thread that owns it, and end the recording."""
        if self._closed:
            return
        self._closed = True
        self._row.closed()
        if self._recording is None:
            self._close_source()
        else:
            close_recorded(self._close_source, self._recording)

    def _close_source(self) -> None:
        if self._source_closed:
            return
        self._source_closed = True
        if self.source.pulling:
            log.warning(
                "%s was closed while its app is still at work. Its thread stays until the next block.", self.name
            )
        self.source.close()


class _Body:
    """The iterable for the server. The generator and it share the driver, so neither keeps the other alive."""

    def __init__(self, driver: Driver) -> None:
        self._driver, self._blocks = driver, driver.blocks()

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def __next__(self) -> bytes:
        return next(self._blocks)

    def close(self) -> None:
        """Close the app's iterable, once, in the thread that owns it."""
        self._driver.close()


def _close_with(result: Any, close: Callable[[], object]) -> None:
    """Let the server's ``close()`` of the app's own object run in the thread that made it."""
    if getattr(result, "close", None) is not None:
        try:
            result.close = close
        except AttributeError:
            pass
        else:
            return
    close()
