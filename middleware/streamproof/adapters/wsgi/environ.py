"""Read a request from a WSGI environ: target, version, fields, and the server's name.

Follows PEP 3333, "environ Variables", and what servers put beside them. The ASGI side is in ``asgi/scope.py``.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import compress, repeat
from typing import TYPE_CHECKING
from urllib.parse import quote

from ...sansio.http import Headers
from ...sansio.trace import Request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_VERSIONS = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2": "2", "HTTP/2.0": "2", "HTTP/3": "3", "HTTP/3.0": "3"}


@lru_cache(16)
def server_of(software: str | None) -> str | None:
    """Return the server's name as in profiles, from SERVER_SOFTWARE (``gunicorn/27.0.1``); None if there is none."""
    name = (software or "").partition("/")[0].partition(" ")[0].lower()
    return {"wsgiserver": "wsgiref"}.get(name, name) or None


def target_of(environ: WSGIEnvironment) -> str:
    """Return the request target as it came, or rebuild it."""
    for key in ("REQUEST_URI", "RAW_URI"):
        if isinstance(raw := environ.get(key), str):
            return raw
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING", "")
    return (quote(path.encode("latin-1", "replace"), "/:;=@!$&'()*+,~") or "/") + (f"?{query}" if query else "")


#: The field that each key of an environ stands for, "" for none. Cached, because computing every key again takes a
#: tenth of what a response costs. Bounded, because strangers choose field names.
_FIELDS: dict[str, str] = {}
_MOST_FIELDS = 1024


def _fields(environ: WSGIEnvironment) -> Headers:
    known, found = _FIELDS.get, []
    for key in compress(environ, map(known, environ, repeat("?"))):
        name, value = known(key) or _field(key), environ[key]
        if name and type(value) is str and (value or key[:8] != "CONTENT_"):
            found.append((name, value))
    return tuple(found)


def _field(key: str) -> str:
    name = key[5:] if key[:5] == "HTTP_" and key != "HTTP_VERSION" else ""
    name = (key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else name).replace("_", "-").title()
    if len(_FIELDS) < _MOST_FIELDS:
        _FIELDS[key] = name
    return name


def version_and_fields(environ: WSGIEnvironment) -> tuple[str, Headers]:
    """Return the HTTP version and the fields."""
    return _VERSIONS.get(environ.get("SERVER_PROTOCOL", ""), "1.1"), _fields(environ)


def request_of(environ: WSGIEnvironment) -> Request:
    """Return the request of ``environ``."""
    return Request(environ.get("REQUEST_METHOD", "GET"), target_of(environ), *version_and_fields(environ))
