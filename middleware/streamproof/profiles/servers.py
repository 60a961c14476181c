"""How app servers frame a response, and what they add to its head: the first thing a hop sees.

Knows what each server chooses for headers and HTTP version (``_servers.toml``). An unknown server is taken to follow
RFC 9112 section 6: chunked to HTTP/1.1, the close to HTTP/1.0.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from ..sansio.http import Framing, content_length, has_body, head_size, header
from ..sansio.replay import Source
from ..sansio.trace import Request, Response


@cache
def servers() -> Mapping[str, Any]:
    """What is known of each server, by name."""
    return tomllib.loads(files(__package__).joinpath("_servers.toml").read_text("utf-8"))["servers"]  # type: ignore[no-any-return]


def source_of(server: str | None) -> Callable[[Response, Request], Source]:
    """The choice that ``server`` makes for a response and the request that reaches it."""
    known: Mapping[str, Any] = servers().get(server or "", {})

    def source(response: Response, request: Request) -> Source:
        framing = response.framing or _framing(response, request, known)
        if response.head_size is not None:
            return Source(framing, response.head_size)
        headers = list(response.headers)
        if response.framing is None:
            added = [tuple(pair) for pair in known.get("adds", ())]
            headers += [pair for pair in added if header(headers, pair[0].lower()) is None]
            if framing == "chunked" and header(headers, "transfer-encoding") is None:
                headers.append(("Transfer-Encoding", "chunked"))
        return Source(framing, head_size(response.status, headers))

    return source


def _framing(response: Response, request: Request, known: Mapping[str, Any]) -> Framing:
    if content_length(response.headers) is not None or not has_body(request.method, response.status):
        return "length"
    key = "http10" if request.http_version == "1.0" else "http11"
    default: Framing = "close" if key == "http10" else "chunked"
    framing: Framing = known.get(key, default)
    return framing
