"""Find the route that served a request, as its framework names it: :func:`route_of`.

A route (``/users/<id>``) is a label of bounded cardinality, a path (``/users/17``) is not. Each framework is one file
with a function ``route_of(source)``. An entry point of the group ``streamproof.frameworks`` adds such a function. No
file here imports a framework.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from . import django, flask, starlette

#: What a framework's ``route_of`` returns for an environ or a scope: the route, or a callable if finding it is slow; an
#: empty string for a request of this framework without a route; None for any other request.
Route = Callable[[], str | None] | str | None
RouteOf = Callable[[Mapping[str, Any]], Route]

#: The group of entry points that add frameworks.
GROUP = "streamproof.frameworks"

log = logging.getLogger("streamproof")


def route_of(source: Mapping[str, Any]) -> Route:
    """Return the route of the request in ``source``, an environ or a scope; a callable if finding it is slow."""
    for find in _frameworks():
        if (route := find(source)) is not None:
            return route or None
    return None


@cache
def _frameworks() -> tuple[RouteOf, ...]:
    """Return the frameworks, those of other packages first, because Django claims every request of its process."""
    added = []
    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist is not None else point.name
        try:
            added.append(_guarded(point.load(), package))
        except Exception as error:
            log.error("The framework %s of %s cannot be loaded and is left out: %r", point.name, package, error)
    return (*added, flask.route_of, starlette.route_of, django.route_of)


def _guarded(find: RouteOf, package: str) -> RouteOf:
    """Return ``find`` with a guard: after its first error it is no longer called, so it never harms a response."""
    broken = False

    def guarded(source: Mapping[str, Any]) -> Route:
        nonlocal broken
        if broken:
            return None
        try:
            return find(source)
        except Exception:
            broken = True
            log.exception("A framework of %s raised and is left out from now on.", package)
            return None

    return guarded
