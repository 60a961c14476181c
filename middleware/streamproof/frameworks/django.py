"""Find Django's route. Django does not leave it in the request, so the path is resolved once more."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any


def route_of(source: Mapping[str, Any]) -> Callable[[], str | None] | None:
    """Return a function that resolves the path; None if this process has not loaded Django."""
    return partial(_resolved, _path(source)) if "django.urls" in sys.modules else None


def _path(source: Mapping[str, Any]) -> str:
    """Return the path as Django's resolver takes it: decoded, without the mount point."""
    if "type" not in source:
        path = source.get("PATH_INFO")
        return path.encode("latin-1", "replace").decode("utf-8", "replace") or "/" if isinstance(path, str) else "/"
    path, root = source.get("path"), source.get("root_path") or ""
    path = path if isinstance(path, str) else ""
    return path.removeprefix(root) if isinstance(root, str) else path


def _resolved(path: str) -> str | None:
    urls: Any = sys.modules["django.urls"]
    conf: Any = sys.modules["django.conf"]
    if not conf.settings.configured or not hasattr(conf.settings, "ROOT_URLCONF"):
        return None
    try:
        return f"/{urls.resolve(path).route}"
    except urls.Resolver404:
        return None
