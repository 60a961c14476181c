"""The hops that a middleware emulates between its app and the server: :class:`Route`, :class:`Leg` and their errors.

A route refuses to start in production and warns that responses are not what the app and its server alone would make.
What moves a response through the hops is in ``wsgi/driver.py`` and ``asgi/chain.py``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..sansio.errors import ConfigurationError
from ..sansio.http import HOP_BY_HOP, Headers, without
from ..sansio.machine import Cut, Data, End, Head, Machine
from ..sansio.origin import Origin
from ..sansio.trace import Request, Response
from .recording import log

if TYPE_CHECKING:
    from ..profiles import Profile, Via


class HopCut(ConnectionAbortedError):
    """A hop ended the response before it was complete. The server should end the connection in the same way."""

    @classmethod
    def of(cls, cut: Cut, via: str) -> HopCut:
        """Return the error for ``cut``, which left the hops of ``via``."""
        why = f" ({cut.reason})" if cut.reason else ""
        return cls(
            f"{cut.by or via} cut the response{why}, as via={via!r} asks for. The reader sees an incomplete body. "
            "Is the app silent for longer than this hop allows?"
        )


class AdmittedVia(NamedTuple):
    """A via that the settings have already checked against the environment, so that the middleware does not."""

    via: str | Profile | Via


def refuse_via(via: object, *, production: bool, forced: bool) -> None:
    """Raise ConfigurationError if a proxy would be emulated in production without being forced."""
    if via and production and not forced:
        raise ConfigurationError(
            f"via={via!r} is set and env is production (STREAMPROOF_ENV). Expected no emulated proxy in front of real "
            "readers, or STREAMPROOF_FORCE_VIA=1. Was a developer's setting deployed?"
        )


def _refuse_by(environ: Mapping[str, str], via: object) -> None:
    forced = environ.get("STREAMPROOF_FORCE_VIA", "").strip().lower() not in ("", "0", "false", "no", "off")
    refuse_via(via, production=environ.get("STREAMPROOF_ENV") == "production", forced=forced)


class Route:
    """The hops from the app to the server.

    Raises ConfigurationError if ``via`` cannot be resolved, or if ``STREAMPROOF_ENV`` is production and
    ``STREAMPROOF_FORCE_VIA`` does not force it. The environment is not read for an :class:`AdmittedVia`.
    """

    def __init__(self, via: str | Profile | Via | AdmittedVia) -> None:
        from ..profiles import resolve

        admitted = isinstance(via, AdmittedVia)
        if isinstance(via, AdmittedVia):
            via = via.via
        # Any object with start() is accepted, so that a hop can be tried before it is a profile.
        foreign = not isinstance(via, str) and callable(getattr(via, "start", None))
        self._via: Any = via if foreign else resolve(via)
        self.text: str = getattr(self._via, "text", None) or repr(self._via)
        if not admitted:
            _refuse_by(os.environ, self.text)
        log.warning(
            "streamproof emulates %s in this process: responses are held, changed and cut as those hops would. "
            "This is opt-in, for development and tests; leave out via= to serve the app as it is.",
            self.text,
        )

    def start(self, request: Request, now: float) -> Machine:
        """Return the machine of one response."""
        machine: Machine = self._via.start(request, now)
        return machine


class Leg:
    """Frame one response as the app's server would, if the first hop were on another machine."""

    def __init__(self, request: Request, machine: Machine, server: str | None) -> None:
        from ..profiles import app_server

        self._request: Request = getattr(machine, "request", request)
        self._server = app_server(server)
        self._origin: Origin | None = None

    @property
    def bodied(self) -> bool:
        """Whether the response can carry a body. True before the head."""
        return self._origin is None or self._origin.has_body

    def head(self, status: int, headers: Headers) -> Head:
        """Return the head as the server would write it to the first hop."""
        self._origin = self._server.answer(Response(status, headers), self._request)
        return self._origin.head

    def data(self, data: bytes) -> Data:
        """Return one chunk as the server would write it."""
        return Data(data) if self._origin is None else self._origin.data(data)

    def end(self) -> End:
        """Return the end as the server would write it."""
        return End() if self._origin is None else self._origin.end()


def server_fields(head: Head) -> list[tuple[str, str]]:
    """Return the fields of a head that leaves the hops, without the hop-by-hop ones: the server writes its own."""
    return list(without(head.headers, *HOP_BY_HOP))
