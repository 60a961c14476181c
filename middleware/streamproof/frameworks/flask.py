"""Find Flask's route. Flask leaves its request in the WSGI environ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def route_of(source: Mapping[str, Any]) -> str | None:
    """Return the rule of the URL map that matched; empty if none did, None for a request that is not Flask's."""
    if (request := source.get("werkzeug.request")) is None:
        return None
    rule = getattr(getattr(request, "url_rule", None), "rule", None)
    return rule if isinstance(rule, str) else ""
