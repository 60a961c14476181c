"""What an app returned in the pump's thread, handed to the server as the object it is.

Knows that ``close()`` must run in the thread that made the object, and that a server looks for it on the object itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

Write = Callable[[bytes], object]


class Kept:
    """``call`` is the app with its arguments but for the pump's ``write``."""

    result: Any = None

    def __init__(self, call: Callable[[Write], Any]) -> None:
        self._call = call
        self._close: Callable[[], object] | None = None

    def call(self, write: Write) -> Iterable[bytes]:
        """Call the app; ``write`` is the pump's."""
        self.result = self._call(write)
        self._close = getattr(self.result, "close", None)
        return self

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.result)

    def close(self) -> None:
        """Called in the pump's thread."""
        if self._close is not None:
            self._close()

    def closing_by(self, close: Callable[[], object]) -> Iterable[bytes]:
        """The object for the server, its ``close`` run in the thread that made it."""
        result: Iterable[bytes] = self.result
        if self._close is not None:
            try:
                result.close = close  # type: ignore[attr-defined]
            except AttributeError:
                pass
            else:
                return result
        close()
        return result
