"""An app string for any server: ``STREAMPROOF_APP=pkg.mod:app uvicorn streamproof.app:app``.

The setting ``app`` (``STREAMPROOF_APP``, ``[tool.streamproof]``, ``streamproof.toml``) names the app, ``module:app`` or
``module:factory()``. Importing this loads it and wraps it as the settings say, so that every server finds a plain
attribute, whichever way it looks for it. Under gunicorn ``-c python:streamproof.gunicorn`` does more.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ._assembly import Assembly
from ._boot.target import load as _load_app
from .sansio.errors import ConfigurationError
from .settings import load


def _app() -> Any:
    settings = load()
    if settings.app is None:
        raise ConfigurationError(
            "streamproof.app does not know which app to wrap. Expected STREAMPROOF_APP=module:app, or app = … in "
            "[tool.streamproof]. Is the variable set for the server's process?"
        )
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    return Assembly(settings).wrap(_load_app(settings.app))


app = _app()
