"""The little HTTP that the machines need: sizes on the wire, header fields, which responses have no body.

Nothing is parsed here. RFC 9110 and 9112 matter only where a byte count or a rule depends on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Literal

Headers = tuple[tuple[str, str], ...]
Framing = Literal["chunked", "close", "length"]

#: RFC 9110 section 7.6.1 and RFC 2616 section 13.5.1: these end at each hop.
HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)

#: The last chunk and the empty trailer section, ``0 CRLF CRLF`` (RFC 9112 section 7.1).
LAST_CHUNK_SIZE = 5

_REASONS = {status.value: status.phrase for status in HTTPStatus}


def reason(status: int) -> str:
    """The standard reason phrase of ``status``, empty when there is none."""
    return _REASONS.get(status, "")


def head_size(status: int, headers: Iterable[tuple[str, str]]) -> int:
    """Bytes that a response head takes on the wire: ``HTTP/1.1 200 OK``, the fields, the empty line."""
    fields = sum(len(name) + len(value) + 4 for name, value in headers)
    return len("HTTP/1.1 200 ") + len(reason(status)) + 2 + fields + 2


def chunk_overhead(size: int) -> int:
    """Framing bytes round one chunk of ``size`` bytes: size line, its CRLF, the CRLF after the data."""
    return len(f"{size:x}") + 4


def header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """The first value of the field ``name`` (lower case), or None."""
    for key, value in headers:
        if key.lower() == name:
            return value
    return None


def without(headers: Iterable[tuple[str, str]], *names: str) -> Headers:
    """The fields whose lower-case name is not among ``names``."""
    return tuple(field for field in headers if field[0].lower() not in names)


def tokens(headers: Iterable[tuple[str, str]], name: str) -> list[str]:
    """The comma-separated members of every field ``name``, lower case, parameters included."""
    found = (value for key, value in headers if key.lower() == name)
    return [token.strip().lower() for value in found for token in value.split(",") if token.strip()]


def media_type(headers: Iterable[tuple[str, str]]) -> str:
    """The media type without parameters, lower case; empty when there is none."""
    return (header(headers, "content-type") or "").partition(";")[0].strip().lower()


def content_length(headers: Iterable[tuple[str, str]]) -> int | None:
    """The value of Content-Length, None when absent or not a number that fits 64 bits."""
    value = (header(headers, "content-length") or "").strip()
    length = int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None
    return length if length is None or length < 2**63 else None


def status_code(line: object) -> int | None:
    """The code of a status such as ``"200 OK"``, None when it does not begin with three digits."""
    code = line[:3] if isinstance(line, str) else ""
    return int(code) if code.isascii() and code.isdigit() and len(code) == 3 else None


def accepts(headers: Iterable[tuple[str, str]], coding: str) -> bool:
    """Does Accept-Encoding allow ``coding`` (RFC 9110 section 12.5.3; weight 0 forbids)?"""
    weights: dict[str, bool] = {}
    for token in tokens(headers, "accept-encoding"):
        name, _, parameters = token.partition(";")
        weight = parameters.replace(" ", "").removeprefix("q=")
        weights[name.strip()] = weight.strip("0.") != "" or weight == ""
    return weights.get(coding, weights.get("*", False))


def has_body(method: str, status: int) -> bool:
    """Can this response carry a body (RFC 9110 section 6.4.1)?"""
    return method != "HEAD" and status not in (204, 304) and not 100 <= status < 200
