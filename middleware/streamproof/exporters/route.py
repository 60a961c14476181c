"""Reads the route that served a request, as the framework names it, from what the framework left behind.

A route (``/users/<id>``) is a label of bounded cardinality, a path (``/users/17``) is not. Imports no framework: Flask
leaves its request in the WSGI environ, Starlette and FastAPI their route in the ASGI scope, and Django, when the
process has loaded it, is asked to resolve the path once more. Anything else has no route, which is None.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any


def route_of(source: Mapping[str, Any]) -> Callable[[], str | None] | str | None:
    """The route of the request in ``source`` (environ or scope); a callable when to find it takes a while."""
    if "type" in source:
        path = getattr(source.get("route"), "path", None)
        if isinstance(path, str):
            return path or "/"
    elif (request := source.get("werkzeug.request")) is not None:
        rule = getattr(getattr(request, "url_rule", None), "rule", None)
        return rule if isinstance(rule, str) else None
    if "django.urls" in sys.modules:
        return partial(_django, _path(source))
    return None


def path_of(source: Mapping[str, Any]) -> str:
    """The path as the app sees it."""
    path = source.get("path") if "type" in source else source.get("PATH_INFO")
    return path if isinstance(path, str) else ""


def _path(source: Mapping[str, Any]) -> str:
    path = path_of(source)
    if "type" not in source:
        return path.encode("latin-1", "replace").decode("utf-8", "replace") or "/"
    root = source.get("root_path") or ""
    return path.removeprefix(root) if isinstance(root, str) else path


def _django(path: str) -> str | None:
    urls: Any = sys.modules["django.urls"]
    conf: Any = sys.modules["django.conf"]
    if not conf.settings.configured or not hasattr(conf.settings, "ROOT_URLCONF"):
        return None
    try:
        return f"/{urls.resolve(path).route}"
    except urls.Resolver404:
        return None
