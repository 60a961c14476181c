"""An app that broke off says so in the stream itself, and the body then ends properly.

Knows that this is possible only at a boundary: half an event followed by an error would be read as one event. There the
end stays unclean, so that the reader sees the loss in the framing of the message (RFC 9112 section 8).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..framing import BodyFraming, Scanner
from ..machine import Cut, Data, End, Events, Stage


@dataclass(frozen=True, slots=True)
class FailureEvent:
    """``text`` is what the reader is told; never the exception's own words, which may hold secrets."""

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
        tell = self._settings.framing.failure
        if event.by not in (None, "app") or tell is None or not self._scanner.at_boundary:
            return (event,)
        return (Data(tell(self._settings.text)), End())
