"""The hops that a middleware puts between its app and the server, in the process.

Knows how a head is put to the first hop and what may not reach the server again, and warns once that responses are
not what the app and its server alone would make of them. Both middlewares use it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..sansio.errors import ConfigurationError
from ..sansio.http import HOP_BY_HOP, LAST_CHUNK_SIZE, Headers, has_body, without
from ..sansio.machine import Cut, Data, End, Head, Machine, framed
from ..sansio.trace import Request, Response
from .recording import log

if TYPE_CHECKING:
    from ..profiles import Profile, Via


class HopCut(ConnectionAbortedError):
    """A hop ended the response before it was complete; the server is to end the connection likewise."""

    @classmethod
    def of(cls, cut: Cut, via: str) -> HopCut:
        """The error for ``cut``, which left the hops of ``via``."""
        why = f" ({cut.reason})" if cut.reason else ""
        return cls(
            f"{cut.by or via} cut the response{why}, as via={via!r} asks for. The reader sees an incomplete body. "
            "Is the app silent for longer than this hop allows?"
        )


class Route:
    """The way from the app to the server.

    Raises ConfigurationError when ``via`` cannot be resolved, or when ``STREAMPROOF_ENV`` is production and
    ``STREAMPROOF_FORCE_VIA`` does not force it.
    """

    def __init__(self, via: str | Profile | Via) -> None:
        from ..profiles import resolve

        # Whatever starts a machine will do, so that a hop can be tried before it is a profile.
        foreign = not isinstance(via, str) and callable(getattr(via, "start", None))
        self._via: Any = via if foreign else resolve(via)
        self.text: str = getattr(self._via, "text", None) or repr(self._via)
        if os.environ.get("STREAMPROOF_ENV") == "production" and not os.environ.get("STREAMPROOF_FORCE_VIA"):
            raise ConfigurationError(
                f"via={self.text!r} is set and STREAMPROOF_ENV is production. Expected no emulated proxy in front of "
                "real readers, or STREAMPROOF_FORCE_VIA=1. Was a developer's setting deployed?"
            )
        log.warning(
            "streamproof emulates %s in this process: responses are held, changed and cut as those hops would. "
            "This is opt-in, for development and tests; leave out via= to serve the app as it is.",
            self.text,
        )

    def start(self, request: Request, now: float) -> Machine:
        """The machine of one response."""
        machine: Machine = self._via.start(request, now)
        return machine


class Leg:
    """From the app's server to the first hop, had there been one: framing and sizes of one response."""

    def __init__(self, request: Request, machine: Machine, server: str | None) -> None:
        self._asked: Request = getattr(machine, "request", request)
        self._server = server
        self._framing: Any = "close"
        self.bodied = True

    def head(self, status: int, headers: Headers) -> Head:
        """The head as the server would write it to the first hop."""
        from ..profiles import source_of

        source = source_of(self._server)(Response(status, headers), self._asked)
        self._framing = source.framing
        self.bodied = has_body(self._asked.method, status)
        return Head(status, headers, source.framing, source.head_size)

    def data(self, data: bytes) -> Data:
        """One chunk as the server would write it."""
        return framed(data, self._framing)

    def end(self) -> End:
        """The end as the server would write it."""
        return End(LAST_CHUNK_SIZE if self._framing == "chunked" and self.bodied else 0)


def server_fields(head: Head) -> list[tuple[str, str]]:
    """The fields of a head that leaves the hops, without the hop-by-hop ones: the server writes its own."""
    return list(without(head.headers, *HOP_BY_HOP))
