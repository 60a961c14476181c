"""One thread that owns a WSGI app's response, so that the server's thread need not wait for it past a deadline.

PEP 3333, "Buffering and Streaming", names a second thread as a way for middleware to keep blocks moving. The thread
calls the app, takes one block for each :meth:`Pump.pull` (never one ahead), and calls ``close()``: the app sees one
thread and the context variables of the request. Exceptions are handed over and raised in the server's thread.

Does not know hops or heads. A blocked app cannot be interrupted: when the response is closed during a pull the thread
is left behind, counted by :func:`stuck` and named after the request, and closes the iterable once the app lets it.

What the two say to each other goes through the compiled line where it was built: two sleeps and wake-ups a block
cost more than all else here. With gevent, which replaces the primitives, it goes through queues.
"""

from __future__ import annotations

import _queue
import contextvars
import queue
import threading
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, NamedTuple

from .. import compiled

_stuck: set[int] = set()


def stuck() -> int:
    """How many responses are closed while their app still has not come back from its last block."""
    return len(_stuck)


class Kind(Enum):
    """What a pull brings."""

    RETURNED = "the app returned its iterable"
    BLOCK = "one block"
    WRITTEN = "one block, by write()"
    EXHAUSTED = "no more blocks"
    RAISED = "an exception"
    CLOSED = "the iterable is closed"


class Pulled(NamedTuple):
    """What a pull brought."""

    kind: Kind
    block: bytes = b""
    error: BaseException | None = None


class _Closed(BaseException):
    """Thrown into an app that writes after its response was closed."""


class _Queues:
    """The compiled ``Line`` in Python: orders down, what they brought up. ``queue.Empty`` after a timeout (seconds)."""

    def __init__(self) -> None:
        self._orders: Any = queue.SimpleQueue()
        self._brought: Any = queue.SimpleQueue()
        self.order, self.begin = self._orders.put, self._orders.get
        self.finish = self._brought.put

    def ask(self, order: bool, timeout: float | None) -> Pulled:
        """Give an order, wait for what it brings."""
        self._orders.put(order)
        return self.wait(timeout)

    def wait(self, timeout: float | None) -> Pulled:
        """Wait for what the last order brings."""
        brought: Pulled = self._brought.get(timeout=timeout)
        return brought

    def bring(self, brought: Pulled) -> bool:
        """Bring what was ordered, wait for the next order."""
        self._brought.put(brought)
        return bool(self._orders.get())


def _line() -> Any:
    if compiled.counting is None or queue.SimpleQueue is not _queue.SimpleQueue:
        return _Queues()
    return compiled.counting.Line()


class Pump:
    """``call`` is the app with its arguments; the first pull calls it. ``name`` names the thread."""

    def __init__(self, call: Callable[[Callable[[bytes], object]], Iterable[bytes]], name: str) -> None:
        self._line = _line()
        self.pulling = False
        self._closed = False
        run = contextvars.copy_context().run
        work = _Work(call, self._line)
        threading.Thread(target=run, args=(work.run,), name=f"streamproof-pump {name}", daemon=True).start()

    def pull(self, timeout: float | None) -> Pulled | None:
        """Bring the next thing within ``timeout`` seconds (None: whenever); None when it is late, and still coming."""
        try:
            if self.pulling:
                brought: Pulled = self._line.wait(timeout)
            else:
                self.pulling = True
                brought = self._line.ask(True, timeout)
        except queue.Empty:
            return None
        self.pulling = False
        return brought

    def close(self) -> None:
        """Have the iterable closed and end the thread. Raises what ``close()`` raised, if the app was not stuck."""
        if self._closed:
            return
        self._closed = True
        if self.pulling:
            _stuck.add(id(self._line))
            self._line.order(False)
            return
        brought: Pulled = self._line.ask(False, None)
        if brought.error is not None:
            raise brought.error

    def __del__(self) -> None:
        if not self._closed:
            self._line.order(False)


class _Work:
    """What the thread does. It refers to no pump, so a pump that is forgotten can end it."""

    def __init__(self, call: Callable[[Callable[[bytes], object]], Iterable[bytes]], line: Any) -> None:
        self._call, self._line = call, line
        self._closed = False

    def run(self) -> None:
        """Serve pulls until told to close."""
        body: Any = None
        error: BaseException | None = None
        try:
            if self._line.begin():
                body = self._serve()
        except _Closed:
            pass
        try:
            if body is not None and (close := getattr(body, "close", None)) is not None:
                close()
        except BaseException as raised:
            error = raised
        finally:
            del body
            _stuck.discard(id(self._line))
            self._line.finish(Pulled(Kind.CLOSED, error=error))
            error = None

    def _serve(self) -> Any:
        body: Any = None
        try:
            body = self._call(self._write)
            if not self._hand(Pulled(Kind.RETURNED)):
                return body
            for block in body:
                if not self._hand(Pulled(Kind.BLOCK, block)):
                    return body
        except _Closed:
            raise
        except BaseException as error:
            self._hand(Pulled(Kind.RAISED, error=error))
        else:
            self._hand(Pulled(Kind.EXHAUSTED))
        while not self._closed:
            self._hand(Pulled(Kind.EXHAUSTED))
        return body

    def _hand(self, brought: Pulled) -> bool:
        """Hand over what was pulled and wait for the next order; False when it is to close."""
        self._closed = not self._line.bring(brought)
        return not self._closed

    def _write(self, data: bytes) -> None:
        if self._closed or not self._hand(Pulled(Kind.WRITTEN, data)):
            raise _Closed
