"""An app string for any server: ``STREAMPROOF_APP=pkg.mod:app uvicorn streamproof.app:app``.

The setting ``app`` (``STREAMPROOF_APP``, ``[tool.streamproof]``, ``streamproof.toml``) names the app, ``module:app`` or
``module:factory()``. Importing this loads it and wraps it as the settings say, so that every server finds a plain
attribute, whichever way it looks for it. Under gunicorn ``-c python:streamproof.gunicorn`` does more.

When the process ends, open streams are exported as ``shutdown``. Some servers do not handle SIGTERM, which would end
the process at once: for those, a handler exports first and then lets the signal take effect.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

from . import live
from .exporters.background import at_process_end
from .sansio.errors import ConfigurationError
from .sansio.trace import Outcome
from .serving.child.target import load as _load_app
from .settings.assembly import Assembly
from .settings.loading import load

#: Servers in Python that do not handle SIGTERM. In a server that waits in C, a handler would never run.
LEAVE_SIGTERM = ("waitress", "cheroot", "wsgiref.simple_server")


def _app() -> Any:
    settings = load()
    if settings.app is None:
        raise ConfigurationError(
            "streamproof.app has no app to wrap. Expected STREAMPROOF_APP=module:app, or app = … in "
            "[tool.streamproof]. Is the variable set for the server's process?"
        )
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    assembly = Assembly(settings)
    wrapped = assembly.wrap(_load_app(settings.app))
    _export_at_the_end(assembly)
    return wrapped


def _export_at_the_end(assembly: Assembly) -> None:
    def leave() -> None:
        live.end_all(Outcome.SHUTDOWN, "server", "the process ended")
        assembly.flush()

    def terminated(number: int, frame: FrameType | None) -> None:
        leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    at_process_end(leave)
    left_alone = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and any(map(sys.modules.get, LEAVE_SIGTERM))
    if left_alone and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminated)


app = _app()
