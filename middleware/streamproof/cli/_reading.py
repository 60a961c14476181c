"""Reads a URL for a command: the request from its arguments, live lines, and what a timeout left behind."""

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
    """What a reader gets there, and the sentence of the timeout when it was one.

    Raises ProbeError when there is no server or no HTTP, ConfigurationError for a request that cannot be sent.
    """
    need("h11", "Reading from a socket")
    from ..sockets.probe import ReaderTimeout
    from ..sockets.probe import read as read_raw

    asked, body = request(arguments, place.target)
    on_head: Callable[[Response], None] | None = None if live is None else live.head
    on_arrival: Callable[[Chunk], None] | None = None if live is None else live.arrival
    try:
        trace = read_raw(
            place.host,
            place.port,
            asked,
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
