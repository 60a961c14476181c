"""Reads a URL for ``check`` and ``probe``, with the request and the limits from their arguments."""

from __future__ import annotations

import argparse
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..extras import need
from ..sansio.trace import Chunk, Response, Trace
from ._arguments import Address, request

if TYPE_CHECKING:
    from ._live import Live


def read(place: Address, arguments: argparse.Namespace, live: Live | None) -> tuple[Trace, str | None]:
    """Read ``place``; return the trace and, after a timeout, its message.

    Raises ProbeError when no server answers with HTTP, ConfigurationError for a request that cannot be sent.
    """
    need("h11", "Reading from a socket")
    from ..sockets.probe import ReaderTimeout
    from ..sockets.probe import read as read_raw

    message, body = request(arguments, place.target)
    on_head: Callable[[Response], None] | None = None if live is None else live.head
    on_arrival: Callable[[Chunk], None] | None = None if live is None else live.arrival
    try:
        trace = read_raw(
            place.host,
            place.port,
            message,
            body=body,
            tls=_tls(arguments.insecure) if place.secure else None,
            timeout=arguments.timeout,
            max_seconds=arguments.seconds,
            max_chunks=arguments.chunks,
            on_head=on_head,
            on_arrival=on_arrival,
        )
    except ReaderTimeout as error:
        return error.trace, str(error)
    return trace, None


def _tls(insecure: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
