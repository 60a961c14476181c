"""Run a WSGI app in the server's own thread: :class:`Inline`, the source of blocks if no machine needs a clock.

The other source, with a thread of its own, is in ``pump.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .pump import BLOCK, EXHAUSTED, RAISED, RETURNED, Pulled


class Inline:
    """Run the app in the thread that iterates. A pull waits as long as the app takes, past any deadline."""

    pulling = False

    def __init__(
        self, call: Callable[[Callable[[bytes], object]], Iterable[bytes]], write: Callable[[bytes], object]
    ) -> None:
        self._call, self._write = call, write
        self._body: Any = None
        self._called = self._closed = False
        self._blocks: Any = None

    def pull(self, timeout: float | None) -> Pulled | None:
        """Return the next thing, however long it takes."""
        try:
            if not self._called:
                self._called = True
                self._body = self._call(self._write)
                return Pulled(RETURNED, self._body)
            if self._blocks is None:
                self._blocks = iter(self._body)
            for block in self._blocks:
                return Pulled(BLOCK, block)
        except BaseException as error:
            return Pulled(RAISED, error)
        return Pulled(EXHAUSTED)

    def close(self) -> None:
        """Close the app's iterable, once. Raises what its ``close()`` raises."""
        if not self._closed:
            self._closed = True
            if (close := getattr(self._body, "close", None)) is not None:
                close()
