"""Find Starlette's and FastAPI's route. They leave it in the ASGI scope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def route_of(source: Mapping[str, Any]) -> str | None:
    """Return the path of the route that matched; None for a scope without one."""
    path = getattr(source.get("route"), "path", None) if "type" in source else None
    return (path or "/") if isinstance(path, str) else None
