"""Wrap an app in the middleware of its kind: :func:`wrap`.

What tells a WSGI app from an ASGI app is in ``app_kind.py``, the middlewares are in ``wsgi.py`` and ``asgi.py``.
"""

from __future__ import annotations

from typing import Any

from .app_kind import kind_of, single_callable


def wrap(app: Any, **options: Any) -> Any:
    """Return ``app`` in the ``StreamMiddleware`` of its kind, which takes ``options``.

    Raises:
        ConfigurationError: it cannot be told whether ``app`` is WSGI or ASGI, or an option is wrong.
    """
    if kind_of(app) == "wsgi":
        from . import wsgi

        return wsgi.StreamMiddleware(app, **options)
    from . import asgi

    return asgi.StreamMiddleware(single_callable(app), **options)
