"""Wrap an app in the middleware of its kind: :func:`wrap`.

``app_kind.py`` decides between WSGI and ASGI; the middlewares are in ``wsgi.py`` and ``asgi.py``.
"""

from __future__ import annotations

from typing import Any

from .app_kind import kind_of, single_callable


def wrap(app: Any, **options: Any) -> Any:
    """Return ``app`` in the ``StreamMiddleware`` of its kind, which takes ``options``.

    Raises:
        ConfigurationError: ``app`` is neither WSGI nor ASGI as far as can be seen, or an option is wrong.
    """
    if kind_of(app) == "wsgi":
        from . import wsgi

        return wsgi.StreamMiddleware(app, **options)
    from . import asgi

    return asgi.StreamMiddleware(single_callable(app), **options)
