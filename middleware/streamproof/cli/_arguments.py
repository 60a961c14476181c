"""Arguments that several commands share, and the values in them: durations, URLs, and curl's way to say a request.

Knows texts only; nothing here opens a connection.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from .. import __version__
from ..sansio.errors import ConfigurationError
from ..sansio.trace import Request

_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0}
_FORM = "application/x-www-form-urlencoded"


def seconds(text: str) -> float:
    """``5s``, ``500ms``, ``2m`` or ``1.5``, in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)(ms|s|m|)", text.strip())
    if found is None or float(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration. Expected one such as 5s, 500ms or 2m.")
    return float(found[1]) * _UNITS[found[2]]


def count(text: str) -> int:
    """A whole number from 1."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of chunks. Expected a whole number from 1.")
    return int(text)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect, and what to ask for there."""

    secure: bool
    host: str
    port: int
    target: str

    @property
    def url(self) -> str:
        """The URL, port included."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' * self.secure}://{host}:{self.port}{self.target}"


def is_url(text: str) -> bool:
    """Does it look like a URL, and not like ``module:app``?"""
    return "://" in text


def address(url: str, path: str | None = None) -> Address:
    """The parts of ``url``, ``path`` put behind it. Raises ConfigurationError when it is no http(s) URL."""
    expected = "Expected http://host:port/path or https://host/path."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"{url!r} is no URL: {error}. {expected} Is the port a number?") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{url!r} is no URL that can be read. {expected} Is the scheme or the host missing?")
    secure = parts.scheme == "https"
    query = f"?{parts.query}" if parts.query else ""
    target = parts.path + query if path is None else parts.path.rstrip("/") + target_of(path)
    return Address(secure, parts.hostname, port or (443 if secure else 80), target_of(target or "/"))


def target_of(path: str) -> str:
    """``path`` as a request target: a slash first, what may not stand in one encoded, the fragment left out."""
    path = path.partition("#")[0]
    return quote(path if path.startswith("/") else f"/{path}", safe="/?&=%:@!$'()*+,;~[]-._")


def add_request(parser: argparse.ArgumentParser) -> None:
    """The request's arguments, named as curl names them."""
    group = parser.add_argument_group("request, as curl has it")
    group.add_argument("-X", "--request", metavar="METHOD", help="GET, or POST when there is --data")
    group.add_argument(
        "-H", "--header", metavar="LINE", action="append", default=[], help="'Name: value'; 'Name:' leaves it out"
    )
    group.add_argument(
        "-d", "--data", metavar="DATA", action="append", default=[], help="the body, or @FILE; again: joined by &"
    )
    group.add_argument("-0", "--http1.0", dest="http10", action="store_true", help="ask with HTTP/1.0")
    group.add_argument("-k", "--insecure", action="store_true", help="accept any certificate")


def add_limits(parser: argparse.ArgumentParser) -> None:
    """When the reader leaves."""
    group = parser.add_argument_group("how long to read")
    group.add_argument("--for", dest="seconds", type=seconds, metavar="TIME", help="leave after 5s, 500ms, 2m")
    group.add_argument("--chunks", type=count, metavar="N", help="leave after N arrivals")
    group.add_argument(
        "--timeout", type=seconds, default=30.0, metavar="TIME", help="the longest silence (default 30s)"
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """How to tell it."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="the same as data, one JSON object")
    group.add_argument("--no-color", action="store_true", help="no colour; so does NO_COLOR in the environment")


def request(arguments: argparse.Namespace, target: str) -> tuple[Request, bytes]:
    """The request that the arguments describe, and its body.

    Accepts gzip as every browser does: a hop that compresses is only seen by a reader who accepts it. Raises
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
                f"The header {line!r} cannot be sent. Expected 'Name: value', or 'Name:' to leave one out. "
                "Is the colon missing?"
            )
        headers.pop(name.strip().lower(), None)
        if value.strip():
            given.append((name.strip(), value.strip()))
    method = arguments.request or ("POST" if parts else "GET")
    version = "1.0" if arguments.http10 else "1.1"
    return Request(method, target, version, (*headers.values(), *given)), b"&".join(parts)


def _data(text: str) -> bytes:
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The data file {text[1:]!r} cannot be read: {error.strerror}. Expected a file behind the @. "
            "Was the text itself meant?"
        ) from None
