"""The ``start_response`` of an app under a policy or a via: :class:`StartResponse` keeps the head until the commit.

Follows PEP 3333, "The start_response() Callable". It has no reference to a driver, because a pump's thread holds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..recording import Recording


class StartResponse:
    """Keep the last head that the app named.

    ``recording`` records each head as the app names it; None if a policy may still change the head. ``server_start`` is
    called with an error page that comes after the commit, because only the server knows whether its head has left; None
    if there are hops in between.
    """

    def __init__(self, recording: Recording | None, server_start: Any) -> None:
        self._recording, self._server_start = recording, server_start
        self.proposed: tuple[str, Any] | None = None
        self._committed = False
        self.write: Callable[[bytes], object]

    @property
    def line(self) -> str:
        """The status line; empty before the app has named one."""
        return "" if self.proposed is None else self.proposed[0]

    def __call__(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        """Keep the head. Return the ``write`` callable. Raises AssertionError for a second call without exc_info."""
        try:
            if exc_info is None:
                if self.proposed is not None:
                    raise AssertionError(
                        "start_response() was called a second time without exc_info. Expected one call per response "
                        "(PEP 3333). Does an error handler forget exc_info?"
                    )
            elif self._committed:
                if self._server_start is None:
                    raise exc_info[1].with_traceback(exc_info[2])
                return self._server_start(status, headers, exc_info)
        finally:
            exc_info = None  # PEP 3333: avoid a cycle through the traceback
        self.proposed = status, headers
        if self._recording is not None:
            self._recording.head(int(status[:3]), tuple(headers))
        return self.write

    def commit(self) -> tuple[str, Any]:
        """Return the head and commit it. Raises AssertionError if the app has not named one."""
        if self.proposed is None:
            raise AssertionError(
                "The app gave a block before it called start_response(). Expected the call first (PEP 3333)."
            )
        self._committed = True
        return self.proposed
