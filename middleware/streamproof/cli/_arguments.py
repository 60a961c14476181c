"""The arguments that several commands share: durations, URLs, and a request with curl's options.

Parses text only; connections are opened in ``_reading.py``.
"""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from .. import __version__
from ..sansio.errors import ConfigurationError
from ..sansio.trace import Request

_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0}
_SIZES = {"": 0, "k": 10, "m": 20, "g": 30}  # powers of two
_LONGEST = 86400.0  # seconds; a socket's timeout may have 24 days
_FORM = "application/x-www-form-urlencoded"


def seconds(text: str) -> float:
    """Parse ``5s``, ``500ms``, ``2m`` or ``1.5`` into seconds."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)(ms|s|m|)", text.strip())
    if found is None or float(found[1]) == 0:
        raise argparse.ArgumentTypeError(
            f"{shortened(text)!r} is not a duration. Expected, for example, 5s, 500ms or 2m."
        )
    duration = float(found[1]) * _UNITS[found[2]]
    if duration > _LONGEST:
        raise argparse.ArgumentTypeError(f"{shortened(text)!r} is too long. Expected at most a day, 1440m.")
    return duration


def size(text: str) -> int:
    """Parse ``64k``, ``256m``, ``1g`` or a number of bytes, in powers of two."""
    found = re.fullmatch(r"([0-9]{1,15})([kmg]?)", text.strip().lower())
    if found is None or int(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"{shortened(text)!r} is not a size. Expected, for example, 64k, 256m or 1g.")
    return int(found[1]) << _SIZES[found[2]]


def shortened(text: str) -> str:
    """``text`` for a message: a long one has its middle left out."""
    return text if len(text) <= 200 else f"{text[:150]}...{text[-40:]}"


def count(text: str) -> int:
    """Parse a whole number from 1."""
    if re.fullmatch(r"0*[1-9][0-9]{0,17}", text) is None:
        raise argparse.ArgumentTypeError(
            f"{shortened(text)!r} is not a number of chunks. Expected a whole number from 1."
        )
    return int(text)


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
        raise ConfigurationError(f"{shortened(url)!r} is not a URL: {shortened(str(error))}. {expected}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{shortened(url)!r} is not an http or https URL with a host. {expected}")
    if port == 0:
        raise ConfigurationError(f"0 in {shortened(url)!r} is not a port (1 to 65535).")
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise ConfigurationError(
            f"{shortened(parts.hostname)!r} is not a host name. Expected labels of 1 to 63 characters."
        ) from None
    secure = parts.scheme == "https"
    query = f"?{parts.query}" if parts.query else ""
    target = parts.path + query if path is None else parts.path.rstrip("/") + target_of(path)
    return Address(secure, parts.hostname, port or (443 if secure else 80), target_of(target or "/"))


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
            f"The data file {shortened(text[1:])!r} cannot be read: {error.strerror}. Expected a file name after @."
        ) from None
