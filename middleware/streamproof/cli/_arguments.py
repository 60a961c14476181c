"""The arguments that several commands share: durations, URLs, and a request with curl's options.

Parses text only; connections are opened in ``_reading.py``.
"""

from __future__ import annotations

import argparse
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from .. import __version__
from ..sansio.decode.fault import Fault, shortened, shown
from ..sansio.decode.fields import Whole
from ..sansio.decode.limits import SECONDS
from ..sansio.errors import ConfigurationError
from ..sansio.trace import Request

_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0}
#: What a socket and a thread can wait for, seconds.
_LONGEST = min(SECONDS, threading.TIMEOUT_MAX)
_SIZES = {"": 0, "k": 10, "m": 20, "g": 30}  # powers of two
_FORM = "application/x-www-form-urlencoded"


def seconds(text: str) -> float:
    """Parse ``5s``, ``500ms``, ``2m`` or ``1.5`` into seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)(ms|s|m|)", text.strip(), re.ASCII)
    duration = 0.0 if found is None else float(found[1]) * _UNITS[found[2]]
    if not 0 < duration <= _LONGEST:
        most = f", at most {_LONGEST:,.0f} s" if duration > _LONGEST else ""
        raise argparse.ArgumentTypeError(
            f"{shown(text)} is not a duration. Expected, for example, 5s, 500ms or 2m{most}."
        )
    return duration


def size(text: str) -> int:
    """Parse ``64k``, ``256m``, ``1g`` or a number of bytes, in powers of two."""
    found = re.fullmatch(r"([0-9]{1,15})([kmg]?)", text.strip().lower())
    if found is None or int(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a size. Expected, for example, 64k, 256m or 1g.")
    return int(found[1]) << _SIZES[found[2]]


def count(text: str) -> int:
    """Parse a whole number from 1."""
    try:
        return Whole(low=1).parse(text)
    except Fault:
        raise argparse.ArgumentTypeError(
            f"{shown(text)} is not a number of chunks. Expected a whole number from 1."
        ) from None


@dataclass(frozen=True, slots=True)
class Address:
    """The host to connect to, and the target to request."""

    secure: bool
    host: str
    port: int
    target: str

    @property
    def url(self) -> str:
        """The URL, with the port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' * self.secure}://{host}:{self.port}{self.target}"


def is_url(text: str) -> bool:
    """True when ``text`` is a URL and not ``module:app``."""
    return "://" in text


def address(url: str, path: str | None = None) -> Address:
    """Parse ``url``, with ``path`` appended. Raises ConfigurationError when it is not an http(s) URL."""
    expected = "Expected http://host:port/path or https://host/path."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"{shown(url)} is not a URL: {shortened(str(error))}. {expected}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{shown(url)} is not an http or https URL with a host. {expected}")
    if port == 0:
        raise ConfigurationError(f"0 in {shown(url)} is not a port (1 to 65535).")
    _check_host(parts.hostname)
    secure = parts.scheme == "https"
    query = f"?{parts.query}" if parts.query else ""
    target = parts.path + query if path is None else parts.path.rstrip("/") + target_of(path)
    return Address(secure, parts.hostname, port or (443 if secure else 80), target_of(target or "/"))


def _check_host(host: str) -> None:
    """Raise ConfigurationError if ``host`` cannot be looked up: RFC 1035 section 2.3.4 limits its length."""
    try:
        too_long = len(host.encode("idna")) > 253
    except UnicodeError:
        too_long = True
    if too_long:
        raise ConfigurationError(
            f"{shown(host)} is not the name of a host. Expected at most 253 characters, 1 to 63 between two periods. "
            "Is it pasted from elsewhere?"
        )


def target_of(path: str) -> str:
    """``path`` as a request target: with a leading slash, percent-encoded, without the fragment."""
    path = path.partition("#")[0]
    path = path if path.startswith("/") else f"/{path}"
    # An argument that is not UTF-8 has surrogates in place of its bytes (PEP 383).
    return quote(path, safe="/?&=%:@!$'()*+,;~[]-._", errors="surrogateescape")


def add_request(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the request, named as in curl."""
    group = parser.add_argument_group("request (curl's options)")
    group.add_argument("-X", "--request", metavar="METHOD", help="the method (default: GET, with --data POST)")
    group.add_argument(
        "-H",
        "--header",
        metavar="LINE",
        action="append",
        default=[],
        help="'Name: value' adds a header, 'Name:' removes one",
    )
    group.add_argument(
        "-d",
        "--data",
        metavar="DATA",
        action="append",
        default=[],
        help="the body, or @FILE; several are concatenated with &",
    )
    group.add_argument("-0", "--http1.0", dest="http10", action="store_true", help="send an HTTP/1.0 request")
    group.add_argument("-k", "--insecure", action="store_true", help="accept any certificate")


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say how long to read."""
    group = parser.add_argument_group("how long to read")
    group.add_argument(
        "--for", dest="seconds", type=seconds, metavar="TIME", help="leave after this time: 5s, 500ms, 2m"
    )
    group.add_argument("--chunks", type=count, metavar="N", help="leave after N arrivals")
    group.add_argument(
        "--timeout", type=seconds, default=30.0, metavar="TIME", help="the longest silence (default 30s)"
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the output."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="print one JSON object")
    group.add_argument("--no-color", action="store_true", help="print without color, as NO_COLOR=1 does")


def request(arguments: argparse.Namespace, target: str) -> tuple[Request, bytes]:
    """The request that the arguments describe, and its body.

    The request accepts gzip, as browsers do, because hops compress only for readers that accept it. Raises
    ConfigurationError for a header line without a colon and for a file that cannot be read.
    """
    parts = [_data(text) for text in arguments.data]
    headers = {
        "user-agent": ("User-Agent", f"streamproof/{__version__}"),
        "accept": ("Accept", "*/*"),
        "accept-encoding": ("Accept-Encoding", "gzip"),
    }
    if parts:
        headers["content-type"] = ("Content-Type", _FORM)
    given: list[tuple[str, str]] = []
    for line in arguments.header:
        name, colon, value = line.partition(":")
        if not (colon and name.strip()):
            raise ConfigurationError(
                f"{line!r} is not a header. Expected 'Name: value', or 'Name:' to remove a header."
            )
        headers.pop(name.strip().lower(), None)
        if value.strip():
            given.append((name.strip(), value.strip()))
    method = arguments.request or ("POST" if parts else "GET")
    version = "1.0" if arguments.http10 else "1.1"
    return Request(method, target, version, (*headers.values(), *given)), b"&".join(parts)


def _data(text: str) -> bytes:
    if not text.startswith("@"):
        return os.fsencode(text)
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The data file {shortened(text[1:], 200)!r} cannot be read: {error.strerror}. "
            "Expected a file name after @."
        ) from None
