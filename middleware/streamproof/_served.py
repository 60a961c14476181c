"""The app that a booted server loads: the user's, wrapped so that each recording is left in the parent's inbox.

Knows its orders from one environment variable, and a folder as inbox: every note is a file of its own, written under
another name and then renamed, so whichever worker process or thread serves, the parent reads only whole notes.
``app`` is made when it is first looked up, so that importing this module does nothing.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from .sansio.trace import Trace

#: JSON: target, app_dir, inbox, wrap, via, server (or null), host, port, options.
ORDERS = "_STREAMPROOF_SERVED"


def orders() -> dict[str, Any]:
    """What the parent asked for; the user's folder is put first on ``sys.path``, as the servers do."""
    found: dict[str, Any] = json.loads(os.environ[ORDERS])
    if found["app_dir"] not in sys.path[:1]:
        sys.path.insert(0, found["app_dir"])
    return found


def leave(inbox: str, kind: str, **members: object) -> None:
    """Put one note into the inbox. ``at`` is the monotonic clock, which is the same for all processes."""
    now = time.monotonic()
    name = f"{int(now * 1e9):020d}-{os.getpid()}-{kind}"
    note = Path(inbox, f"{name}.part")
    note.write_text(json.dumps({"kind": kind, "at": now, **members}))
    note.rename(Path(inbox, f"{name}.json"))


def _app() -> Any:
    from ._target import load

    asked = orders()
    inbox: str = asked["inbox"]
    app = load(asked["target"])
    if asked["wrap"]:
        from . import wrap

        def record(trace: Trace) -> None:
            leave(inbox, "trace", trace=trace.to_dict())

        app = wrap(app, on_trace=record, keep_chunks=True, via=asked["via"])
    leave(inbox, "loaded")
    return app


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = made = _app()
    return made
