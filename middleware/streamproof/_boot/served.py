"""The app that a booted server loads: the user's, wrapped so that each recording is left in the parent's inbox.

Imported by the server, in whichever process serves, and by nobody else: importing it loads the user's app.
"""

from __future__ import annotations

from typing import Any

from ..sansio.trace import Trace
from .orders import leave, orders
from .target import load


def _app() -> Any:
    asked = orders()
    inbox: str = asked["inbox"]
    app = load(asked["target"])
    if asked["wrap"]:
        from .. import wrap

        def record(trace: Trace) -> None:
            leave(inbox, "trace", trace=trace.to_dict())

        app = wrap(app, on_trace=record, keep_chunks=True, via=asked["via"])
    leave(inbox, "loaded")
    return app


app = _app()
