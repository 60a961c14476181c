"""The app that a booted server loads: the user's, wrapped so that each recording is left in the parent's inbox.

Only the server imports it, in each process that serves: the import loads the user's app.
"""

from __future__ import annotations

import time
from typing import Any

from ...adapters.recording import Recording, clock
from ...sansio.trace import Trace
from .orders import leave, orders
from .target import load


class _Inbox:
    """Leaves each recording in the inbox, with the moment at which its request reached the app."""

    def __init__(self, inbox: str) -> None:
        self._inbox = inbox

    def __call__(self, trace: Trace) -> None:
        raise NotImplementedError("ended() is called instead, because opened() is defined.")

    def opened(self, recording: Recording) -> None:
        """Nothing is left before the end."""

    def headed(self, recording: Recording) -> None:
        """Nothing is left before the end."""

    def ended(self, recording: Recording, trace: Trace) -> None:
        """The stream is over."""
        ago = clock() - recording.recorder.started_at
        leave(self._inbox, "trace", trace=trace.to_dict(), started=time.monotonic() - ago)


def _app() -> Any:
    given = orders()
    inbox: str = given["inbox"]
    app = load(given["target"])
    if given["wrap"]:
        from ... import wrap

        app = wrap(app, on_trace=_Inbox(inbox), keep_chunks=True, via=given["via"])
    leave(inbox, "loaded")
    return app


app = _app()
