"""Header rules of a hop: fields that it drops, replaces and adds.

Hop-by-hop fields end here, with those that Connection names (RFC 9110 section 7.6.1). ``reframe.py`` writes the fields
of framing. Answers of the hop's own pass unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..http import HOP_BY_HOP, Headers, tokens
from ..machine import Events, Head, Stage
from ..trace import Request


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """``strip`` (lower-case names, a trailing ``*`` for a prefix), then ``replace`` (set, first place kept),
    ``missing`` (added when the name is not there), ``add`` (in any case).

    ``lower``: names leave in lower case.
    """

    strip: tuple[str, ...] = ()
    replace: Headers = ()
    missing: Headers = ()
    add: Headers = ()
    lower: bool = False

    def start(self, request: Request, now: float) -> Stage:
        """The rules at work on one response."""
        return _HeaderRules(self)


class _HeaderRules(Stage):
    def __init__(self, settings: HeaderRules) -> None:
        self._settings = settings

    def head(self, event: Head, now: float) -> Events:
        self.transparent = True
        if event.own:
            return (event,)
        settings = self._settings
        exact = {name for name in settings.strip if not name.endswith("*")} | HOP_BY_HOP - {"transfer-encoding"}
        exact |= set(tokens(event.headers, "connection")) - {"transfer-encoding"}
        prefixes = tuple(name[:-1] for name in settings.strip if name.endswith("*"))
        kept = [
            field
            for field in event.headers
            if (name := field[0].lower()) not in exact and not (prefixes and name.startswith(prefixes))
        ]
        for name, value in settings.replace:
            kept = _set(kept, name, value)
        there = {name.lower() for name, _ in kept}
        kept += [field for field in settings.missing if field[0].lower() not in there]
        kept += settings.add
        if settings.lower:
            kept = [(name.lower(), value) for name, value in kept]
        return (event.replace(tuple(kept)),)


def _set(fields: list[tuple[str, str]], name: str, value: str) -> list[tuple[str, str]]:
    """``fields`` with exactly one ``name``, where the first one was."""
    places = [index for index, field in enumerate(fields) if field[0].lower() == name.lower()]
    if not places:
        return [*fields, (name, value)]
    fields[places[0]] = (name, value)
    return [field for index, field in enumerate(fields) if index not in places[1:]]
