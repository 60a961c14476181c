"""Header rules of a hop: fields that it drops, replaces and adds.

Knows RFC 9110 section 7.6.1 (hop-by-hop fields end here, with those that Connection names). Framing fields are
``reframe``'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..http import HOP_BY_HOP, Headers, tokens
from ..machine import Events, Head, Stage
from ..trace import Request


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """``strip`` (lower-case names, a trailing ``*`` for a prefix), then ``replace`` (set, first place kept), ``add``.

    ``lower``: names leave in lower case. Framing fields stay for ``reframe``.
    """

    strip: tuple[str, ...] = ()
    replace: Headers = ()
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
        settings = self._settings
        exact = {name for name in settings.strip if not name.endswith("*")} | HOP_BY_HOP - {"transfer-encoding"}
        exact |= set(tokens(event.headers, "connection"))
        prefixes = tuple(name[:-1] for name in settings.strip if name.endswith("*"))
        kept = [
            field
            for field in event.headers
            if field[0].lower() not in exact and not (prefixes and field[0].lower().startswith(prefixes))
        ]
        for name, value in settings.replace:
            places = [index for index, field in enumerate(kept) if field[0].lower() == name.lower()]
            if places:
                kept[places[0]] = (name, value)
                kept = [field for index, field in enumerate(kept) if index not in places[1:]]
            else:
                kept.append((name, value))
        kept += settings.add
        if settings.lower:
            kept = [(name.lower(), value) for name, value in kept]
        return (event.replace(tuple(kept)),)
