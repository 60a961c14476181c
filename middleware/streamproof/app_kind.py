"""Decide whether an app is WSGI or ASGI without calling it: :func:`kind_of`. Make ASGI 2.0 apps single callables.

Reads functions, instances, partials, decorated functions, ASGI 2.0 double callables and layers with an open signature.
An app whose kind is unclear is an error, not a guess.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from asgiref.compatibility import guarantee_single_callable
from asgiref.sync import iscoroutinefunction

from .sansio.errors import ConfigurationError

Kind = Literal["wsgi", "asgi"]

#: Where a layer whose ``__call__`` takes ``*args`` keeps the app that it calls with them.
_INNER = ("app", "_app", "wsgi_app", "asgi_app", "application")
#: Types whose signature says nothing: the first argument of WebOb's decorator is an environ or a request.
_KNOWN: dict[str, Literal["wsgi", "asgi"]] = {"webob.dec.wsgify": "wsgi"}
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def kind_of(app: Any) -> Kind:
    """Decide whether ``app`` is WSGI or ASGI (2.0 or 3.0). Raises ConfigurationError if that is unclear."""
    return "wsgi" if _interface_of(app) == "wsgi" else "asgi"


def single_callable(app: Any) -> Any:
    """Return an ASGI 2.0 double callable as a single one, any other app as it is.

    Raises:
        ConfigurationError: it is unclear whether ``app`` is WSGI or ASGI.
    """
    return guarantee_single_callable(app) if _interface_of(app) == "asgi2" else app  # type: ignore[no-untyped-call]


def _interface_of(app: Any) -> Literal["wsgi", "asgi", "asgi2"]:
    """Decide which interface ``app`` has.

    1. A class is ASGI 3.0 when it can be made from three arguments and awaited (Starlette's endpoints), ASGI 2.0 when
       calling its instances gives a coroutine, WSGI when it can be made from two arguments and iterated (the class in
       PEP 3333's example). Any other class is an error: it was to be instantiated.
    2. What gives a coroutine when called is ASGI 3.0; partials are looked through.
    3. Otherwise the arguments that it still needs decide: three is ASGI 3.0 (a function that returns a coroutine), two
       is WSGI, one called ``scope`` is ASGI 2.0. A decorator's ``*args`` gives way to what it decorates, and an
       instance's to the app that it keeps (Werkzeug's LintMiddleware).

    Raises:
        ConfigurationError: none of these.
    """
    if not callable(app):
        raise ConfigurationError(
            f"{app!r} cannot be called. Expected a WSGI or ASGI app. Is it the module, or what a call returned?"
        )
    if inspect.isclass(app):
        if hasattr(app, "__await__") and len(_needed(app, True)) == 3:
            return "asgi"
        if iscoroutinefunction(getattr(app, "__call__", None)):  # noqa: B004  # the method of its instances
            return "asgi2"
        if hasattr(app, "__iter__") and len(_needed(app, True)) == 2:
            return "wsgi"
        raise ConfigurationError(f"{app!r} is a class. Expected a WSGI or ASGI app. Did you mean an instance?")
    if _gives_coroutine(app):
        return "asgi"
    for base in type(app).__mro__:
        if (known := _KNOWN.get(f"{base.__module__}.{base.__qualname__}")) is not None:
            return known
    needed = _needed(app, False) or _needed(app, True)
    if len(needed) == 3:
        return "asgi"
    if len(needed) == 2:
        return "wsgi"
    if needed == ["scope"]:
        return "asgi2"
    if not needed and (inner := _inner(app)) is not None:
        return _interface_of(inner)
    raise ConfigurationError(
        f"{app!r} takes ({', '.join(needed) or '...'}). Expected (environ, start_response) for WSGI or "
        "(scope, receive, send) for ASGI. Is it a factory to be called first? If it is an app, wrap it with "
        "streamproof.wsgi.StreamMiddleware or streamproof.asgi.StreamMiddleware."
    )


def _gives_coroutine(app: Callable[..., Any]) -> bool:
    while isinstance(app, partial):
        app = app.func
    return iscoroutinefunction(app) or iscoroutinefunction(getattr(type(app), "__call__", None))  # noqa: B004


def _inner(app: Any) -> Any:
    """The app that an instance with an open signature keeps; None if there is none, or not exactly one."""
    members = getattr(app, "__dict__", {})
    found = [members[name] for name in _INNER if callable(members.get(name)) and members[name] is not app]
    return found[0] if len(found) == 1 else None


def _needed(app: Callable[..., Any], follow: bool) -> list[str]:
    """The names of the positional parameters without a default; none if they are open or cannot be read."""
    try:
        parameters = inspect.signature(app, follow_wrapped=follow).parameters.values()
    except (TypeError, ValueError):
        return []
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return []
    empty = inspect.Parameter.empty
    return [each.name for each in parameters if each.kind in _POSITIONAL and each.default is empty]
