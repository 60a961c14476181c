"""A request as an app receives it: the environ of WSGI, the scope of ASGI.

The keys are those that the specifications require and those that the chosen server sets.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from ..sansio.http import Headers
from ..sansio.trace import Request
from .request_body import input_of
from .server_behavior import ServerBehavior

#: Extensions of the ASGI specification, by which an app knows that it may send these events.
PATHSEND, TRAILERS = "http.response.pathsend", "http.response.trailers"


def environ_of(request: Request, body: bytes | Iterable[bytes] = b"") -> dict[str, Any]:
    """Return the environ of ``request`` (PEP 3333, "environ Variables")."""
    parts = urlsplit(request.target)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(parts.path).decode("latin-1"),
        "QUERY_STRING": parts.query,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": f"HTTP/{request.http_version}",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": input_of(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    merged: dict[str, str] = {}
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        merged[key] = f"{merged[key]},{value}" if key in merged else value
    environ.update(merged)
    if "HTTP_TRANSFER_ENCODING" in merged:
        # Servers that decode the chunked coding set this; without it Werkzeug reads no body that has no length.
        environ["wsgi.input_terminated"] = True
    if host := merged.get("HTTP_HOST"):
        name, _, port = host.partition(":")
        environ["SERVER_NAME"] = name
        environ["SERVER_PORT"] = port or "80"
    return environ


def header_pairs(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return header fields as text."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


def scope_of(
    request: Request,
    server: ServerBehavior,
    *,
    client: tuple[str, int],
    root_path: str = "",
    scheme: str = "http",
    trailers: bool = False,
) -> dict[str, Any]:
    """Return the scope of ``request``, with the keys that ``server`` sets (ASGI HTTP specification).

    ``trailers``: offer them in its extensions, whether that server does or not.
    """
    parts = urlsplit(request.target)
    asgi = (
        {"version": "3.0"} if server.spec_version is None else {"version": "3.0", "spec_version": server.spec_version}
    )
    host = next((value for name, value in request.headers if name.lower() == "host"), "testserver")
    name, _, port = host.partition(":")
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": asgi,
        "http_version": request.http_version,
        "method": request.method,
        "scheme": scheme,
        "path": unquote(parts.path),
        "raw_path": parts.path.encode("ascii"),
        "query_string": parts.query.encode("ascii"),
        "root_path": root_path,
        "headers": [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in request.headers],
        "client": client,
        "server": (name, int(port) if port.isdigit() else 443 if scheme == "https" else 80),
    }
    if server.extensions is not None:
        scope["extensions"] = {key: dict(value) for key, value in server.extensions.items()}
    if trailers:
        scope.setdefault("extensions", {})[TRAILERS] = {}
    return scope
