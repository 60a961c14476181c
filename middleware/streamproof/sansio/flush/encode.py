"""Compress a stream and flush after every write, so that no chunk waits in the compressor.

Which responses may be encoded follows RFC 9110 sections 12.5.3 and 8.8.1 and RFC 9111 section 5.2.2.6. gzip is built
in; the caller passes in other codings. ``pace.py`` comes before: fewer and larger writes compress better.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from ..http import Headers, header, media_type, tokens, without
from ..machine import Data, End, Events, Head, Stage
from ..trace import Request

#: 16 more than the window bits makes zlib write a gzip header (zlib.h, deflateInit2).
_GZIP_BITS = zlib.MAX_WBITS + 16

#: Compressed already, so a second time costs and gains nothing (Starlette's GZipMiddleware leaves out the same).
_DENSE = (
    "audio/*",
    "video/*",
    "image/[!s]*",
    "font/woff*",
    "application/*zip*",
    "application/*zstd*",
    "application/grpc*",
)

#: Fields that speak of the bytes before encoding, and would be wrong afterwards (RFC 9110 section 8.8, RFC 9530).
_STALE = ("content-length", "accept-ranges", "content-md5", "digest", "repr-digest", "content-digest")


class Coder(Protocol):
    """A compressor at work on one body."""

    def encode(self, data: bytes) -> bytes:
        """Take ``data``; return everything that a decoder needs to have it, at once."""
        ...

    def finish(self) -> bytes:
        """The end of the body."""
        ...


#: Coding names, as in Content-Encoding, and what makes a coder.
Coders = Mapping[str, Callable[[], Coder]]


class Gzip:
    """gzip, sync-flushed after every write (zlib.h, Z_SYNC_FLUSH)."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(wbits=_GZIP_BITS)

    def encode(self, data: bytes) -> bytes:
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._deflate.flush(zlib.Z_FINISH)


GZIP: Coders = {"gzip": Gzip}


def choose(headers: Headers, offered: Iterable[str]) -> str | None:
    """The coding among ``offered`` (best first) that Accept-Encoding weighs highest, None for identity.

    RFC 9110 section 12.5.3: weight 0 forbids, ``*`` speaks for those not named. identity wins where it weighs more.
    """
    weights: dict[str, float] = {}
    for token in tokens(headers, "accept-encoding"):
        name, _, parameters = token.partition(";")
        key, _, value = parameters.replace(" ", "").partition("=")
        try:
            weights[name.strip()] = float(value) if key == "q" else 1.0
        except ValueError:
            weights[name.strip()] = 0.0
    best, most = None, weights.get("identity", 0.0)
    if most == 0.0:
        most = 1e-9  # a weight of 0 is a refusal
    for name in offered:
        weight = weights.get(name, weights.get("*", 0.0))
        if weight > most or (best is None and weight == most):
            best, most = name, weight
    return best


def encodable(status: int, headers: Headers) -> bool:
    """May this response be encoded, whoever asks for it?

    Not if it is encoded already (``identity`` counts: the app chose it), is a part, or says no-transform.
    """
    return (
        header(headers, "content-encoding") is None
        and header(headers, "content-range") is None
        and status != 206
        and "no-transform" not in tokens(headers, "cache-control")
        and not any(fnmatchcase(media_type(headers), pattern) for pattern in _DENSE)
    )


def encoded_head(headers: Headers, coding: str | None) -> Headers:
    """Return ``headers`` of a response that can be encoded; with ``coding``, of one that is."""
    if not {"accept-encoding", "*"} & set(tokens(headers, "vary")):
        headers = _varying(headers)
    if coding is None:
        return headers
    kept = without(headers, *_STALE)
    kept = tuple((name, _weak(value) if name.lower() == "etag" else value) for name, value in kept)
    return (*kept, ("Content-Encoding", coding))


def _varying(headers: Headers) -> Headers:
    fields = list(headers)
    for index, (name, value) in enumerate(fields):
        if name.lower() == "vary" and value.strip():
            fields[index] = (name, f"{value}, Accept-Encoding")
            return tuple(fields)
    return (*headers, ("Vary", "Accept-Encoding"))


def _weak(tag: str) -> str:
    """RFC 9110 section 8.8.1: a strong validator would promise the same bytes."""
    return tag if tag.startswith("W/") else f"W/{tag}"


@dataclass(frozen=True, slots=True)
class Encode:
    """``coding`` names what ``coder`` makes."""

    coding: str
    coder: Callable[[], Coder]

    def start(self, request: Request, now: float) -> Stage:
        """The compressor of one response."""
        return _Encode(self.coder())


class _Encode(Stage):
    def __init__(self, coder: Coder) -> None:
        self._coder = coder

    def head(self, event: Head, now: float) -> Events:
        framing = "chunked" if event.framing == "length" else event.framing
        return (event.replace(event.headers, framing=framing),)

    def data(self, event: Data, now: float) -> Events:
        return (Data(self._coder.encode(bytes(event.data))),) if event.data else (event,)

    def end(self, event: End, now: float) -> Events:
        return (Data(self._coder.finish()), event)
