"""Is an app WSGI or ASGI? Knows how frameworks make theirs callable."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Literal

Kind = Literal["wsgi", "asgi"]


def kind_of(app: Any) -> Kind:
    """``asgi`` when calling ``app`` gives a coroutine, else ``wsgi``. Looks, and calls nothing."""
    while isinstance(app, functools.partial):
        app = app.func
    call = getattr(app, "__call__", None)  # noqa: B004  # its function is looked at, not whether it is callable
    return "asgi" if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(call) else "wsgi"
