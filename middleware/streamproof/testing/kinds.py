"""Is an app WSGI or ASGI? The answer that ``streamproof.wrap`` acts upon, less the old double callables."""

from __future__ import annotations

from typing import Any, Literal

from asgiref.compatibility import guarantee_single_callable

from .. import _wrap

Kind = Literal["wsgi", "asgi"]


def kind_of(app: Any) -> Kind:
    """``wsgi`` or ``asgi``; calls nothing. Raises ConfigurationError when it cannot be told."""
    return "wsgi" if _wrap.kind_of(app) == "wsgi" else "asgi"


def single(app: Any) -> Any:
    """``app``, an ASGI 2.0 double callable made a single one."""
    if _wrap.kind_of(app) != "asgi2":
        return app
    return guarantee_single_callable(app)  # type: ignore[no-untyped-call]
