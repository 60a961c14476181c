"""Report the app's failure in the stream itself, then end the body properly.

This is possible only at a boundary: a reader takes half an event followed by an error for one event. Elsewhere the end
stays unclean, so the reader sees the loss in the framing (RFC 9112 section 8).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..framing import BodyFraming, Scanner
from ..machine import Cut, Data, End, Events, Stage


@dataclass(frozen=True, slots=True)
class FailureEvent:
    """``text`` is what the reader gets; never the exception's own message, which may hold secrets."""

    framing: BodyFraming
    text: str

    def start(self) -> Stage:
        """The watch over one response."""
        return _FailureEvent(self)


class _FailureEvent(Stage):
    def __init__(self, settings: FailureEvent) -> None:
        self._settings = settings
        self._scanner = Scanner(settings.framing.ends)

    def data(self, event: Data, now: float) -> Events:
        self._scanner.see(event.data)
        return (event,)

    def cut(self, event: Cut, now: float) -> Events:
        report = self._settings.framing.failure
        if event.by not in (None, "app") or report is None or not self._scanner.at_boundary:
            return (event,)
        return (Data(report(self._settings.text)), End())
