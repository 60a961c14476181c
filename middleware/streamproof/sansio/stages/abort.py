"""What the reader gets when the upstream's response breaks off.

A hop may pass the unclean end on (``truncate``, ``reset``), hide it behind a clean one (``complete``), break the
framing on purpose (``malformed``), close the reader's connection later, or answer itself if no head had come. The stage
that holds bytes decides what happens to them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..machine import Cut, End, Events, Head, Stage
from ..page import Page, respond
from ..trace import Request


@dataclass(frozen=True, slots=True)
class Abort:
    """What becomes of a cut, by framing of the upstream's answer and by how it died.

    Values: ``truncate``, ``complete``, ``reset``, ``malformed``. The end of a close-delimited answer by FIN is
    not an abort (RFC 9112 section 8). ``status``: the hop's answer if the upstream died before a head; 0: none.
    ``linger``: seconds until the reader's connection is closed, after the ends that ``linger_after`` names
    (``length_fin`` …; empty for all).
    """

    chunked_fin: str = "truncate"
    chunked_rst: str = "truncate"
    length_fin: str = "truncate"
    length_rst: str = "truncate"
    close_rst: str = "truncate"
    status: int = 502
    linger: float = 0.0
    linger_after: tuple[str, ...] = ()
    pages: tuple[Page, ...] = ()

    @property
    def timed(self) -> bool:
        """Does it ever set a deadline?"""
        return self.linger > 0

    def start(self, request: Request, now: float) -> Stage:
        """The rule for one response."""
        return _Abort(self)


class _Abort(Stage):
    def __init__(self, settings: Abort) -> None:
        self._settings = settings
        self._framing: str | None = None
        self._late: Cut | None = None

    def head(self, event: Head, now: float) -> Events:
        self._framing = event.framing
        return (event,)

    def cut(self, event: Cut, now: float) -> Events:
        settings = self._settings
        if event.own:
            return (event,)
        if self._framing is None:
            return respond(settings.status, settings.pages) if settings.status else (event,)
        death = f"{self._framing}_{event.how}"
        turned = "complete" if death == "close_fin" else getattr(settings, death)
        if turned == "complete":
            return (End(),)
        if turned == "malformed":
            left = event._replace(how="fin", reason=event.reason or "malformed chunk")
        else:
            left = event._replace(how="rst" if turned == "reset" else "fin")
        if settings.linger and (not settings.linger_after or death in settings.linger_after):
            self._late, self.deadline = left, now + settings.linger
            return ()
        return (left,)

    def wake(self, now: float) -> Events:
        late, self._late, self.deadline = self._late, None, None
        return () if late is None else (late,)
