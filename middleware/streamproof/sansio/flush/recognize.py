"""Decide which responses are streams. All others pass unchanged.

The request, the head and the rules decide. If the app named no length, only the adapter learns whether the body has
more than one chunk; then the answer is :attr:`ResponseKind.UNDECIDED`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from fnmatch import fnmatchcase

from ..errors import ConfigurationError
from ..http import Headers, content_length, has_body, header, media_type, without
from ..trace import Request

#: One rule: a path glob (begins with "/"), a media type glob, or a callable that says it.
Rule = str | Callable[[Request, int, Headers], bool]

#: Media types that are streams whenever their length is unknown: the ones that peers of ours lose (server-sent events,
#: JSON lines in their four spellings, JSON text sequences, exports).
STREAM_TYPES = (
    "text/event-stream",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/jsonlines",
    "application/json-seq",
    "application/stream+json",
    "text/csv",
    "text/tab-separated-values",
)

#: The response header with which an app says ``on`` or ``off`` for itself; it does not leave the process.
OPT_HEADER = "x-streamproof-flush"

#: RFC 9110 section 15: a switch of protocol, no body, a part of something.
_NEVER_STATUSES = (101, 204, 205, 206, 304)


class ResponseKind(Enum):
    """What a response is, as far as its head tells."""

    STREAM = "stream"
    UNDECIDED = "undecided"
    """A stream if the app hands over more than one chunk."""
    OTHER = "other"


def check_rules(name: str, rules: Iterable[object]) -> None:
    """Raise ConfigurationError unless each of ``rules`` is a rule."""
    for rule in rules:
        if not callable(rule) and not (isinstance(rule, str) and "/" in rule):
            raise ConfigurationError(
                f"{name}={rule!r} cannot be used. Expected a path glob such as '/events/*', a media type glob such as "
                "'text/*', or a callable (request, status, headers). Is the leading slash missing?"
            )


def matches(rules: Iterable[Rule], request: Request, status: int, headers: Headers) -> bool:
    """Does one of ``rules`` mean this response?"""
    path, media = request.target.partition("?")[0], media_type(headers)
    for rule in rules:
        if callable(rule):
            if rule(request, status, headers):
                return True
        elif fnmatchcase(path if rule.startswith("/") else media, rule):
            return True
    return False


def recognize(
    request: Request,
    status: int,
    headers: Headers,
    *,
    always: Iterable[Rule] = (),
    never: Iterable[Rule] = (),
    types: Iterable[str] = STREAM_TYPES,
) -> ResponseKind:
    """Is this response a stream? The first rule that decides counts:

    1. No body, a protocol switch, a part (206, Content-Range), gRPC (its framing is its own): other.
    2. The app's own ``X-Streamproof-Flush: off`` or ``on``.
    3. ``never``, then ``always``.
    4. A known length: other. A type of ``types``: a stream. Anything else: undecided.
    """
    media = media_type(headers)
    if (
        not has_body(request.method, status)
        or status in _NEVER_STATUSES
        or header(headers, "content-range") is not None
        or media.startswith(("application/grpc", "multipart/byteranges"))
    ):
        return ResponseKind.OTHER
    if (said := opted_in(headers)) is not None:
        return ResponseKind.STREAM if said else ResponseKind.OTHER
    if matches(never, request, status, headers):
        return ResponseKind.OTHER
    if matches(always, request, status, headers):
        return ResponseKind.STREAM
    if content_length(headers) is not None:
        return ResponseKind.OTHER
    return ResponseKind.STREAM if any(fnmatchcase(media, pattern) for pattern in types) else ResponseKind.UNDECIDED


def opted_in(headers: Headers) -> bool | None:
    """What the app itself said in :data:`OPT_HEADER`; None when nothing, or nothing that is known."""
    said = (header(headers, OPT_HEADER) or "").strip().lower()
    return {"on": True, "off": False}.get(said)


def unopted(headers: Headers) -> Headers:
    """``headers`` without the app's word to us; the same object when there was none."""
    return without(headers, OPT_HEADER) if header(headers, OPT_HEADER) is not None else headers
