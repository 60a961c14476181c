"""What the death of the upstream turns into.

Knows that a hop may pass an unclean end on (``truncate``, ``reset``), hide it behind a clean one (``complete``), break
the framing on purpose (``malformed``), or answer itself when no head had come (``status``).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..machine import Cut, End, Events, Head, Stage
from ..trace import Request
from .whole import respond


@dataclass(frozen=True, slots=True)
class Abort:
    """What becomes of a cut, by framing of the upstream's answer and by how it died.

    Values: ``truncate``, ``complete``, ``reset``, ``malformed``. A close-delimited answer that ends by FIN is no abort.
    ``status``: the hop's answer when the upstream died before a head.
    """

    chunked_fin: str = "truncate"
    chunked_rst: str = "truncate"
    length_fin: str = "truncate"
    length_rst: str = "truncate"
    close_rst: str = "truncate"
    status: int = 502

    def start(self, request: Request, now: float) -> Stage:
        """The rule for one response."""
        return _Abort(self)


class _Abort(Stage):
    def __init__(self, settings: Abort) -> None:
        self._settings = settings
        self._framing: str | None = None

    def head(self, event: Head, now: float) -> Events:
        self._framing = event.framing
        return (event,)

    def cut(self, event: Cut, now: float) -> Events:
        if event.by is not None and event.discard:
            return (event,)
        if self._framing is None:
            return respond(self._settings.status)
        turned = getattr(self._settings, f"{self._framing}_{event.how}", "truncate")
        if turned == "complete":
            return (End(),)
        if turned == "malformed":
            return (event._replace(how="fin", reason=event.reason or "malformed chunk"),)
        return (event._replace(how="rst" if turned == "reset" else "fin"),)
