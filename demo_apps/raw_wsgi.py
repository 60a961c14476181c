"""A plain WSGI app with two streams: ten chunks, and a text model's tokens.

gunicorn --bind 127.0.0.1:8000 demo_apps.raw_wsgi:app
curl -N http://127.0.0.1:8000/stream
curl -N -X POST 'http://127.0.0.1:8000/search?ai_prompt=Tell+me+something+funny'
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from demo_apps import query
from demo_apps.chunks import data_chunks, token_events

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

PLAIN = "text/plain; charset=utf-8"
EVENTS = "text/event-stream; charset=utf-8"


def stream(values: query.Query) -> tuple[str, Iterable[str]]:
    """Ten chunks of text."""
    return PLAIN, data_chunks(query.chunk_delay(values))


def search(values: query.Query) -> tuple[str, Iterable[str]]:
    """A model's tokens as server-sent events."""
    return EVENTS, token_events(query.prompt(values), query.parameters(values))


ROUTES: dict[str, tuple[str, Callable[[query.Query], tuple[str, Iterable[str]]]]] = {
    "/stream": ("GET", stream),
    "/search": ("POST", search),
}


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer `/stream` and `/search`. The blocks of a generator leave one by one."""
    if environ["PATH_INFO"] not in ROUTES:
        return _refuse(start_response, "404 Not Found", "There is /stream (GET) and /search (POST).\n")
    method, view = ROUTES[environ["PATH_INFO"]]
    if environ["REQUEST_METHOD"] != method:
        return _refuse(start_response, "405 Method Not Allowed", f"Use {method}.\n", [("Allow", method)])
    try:
        content_type, chunks = view(dict(parse_qsl(environ.get("QUERY_STRING", ""))))
    except query.BadQueryError as error:
        return _refuse(start_response, "400 Bad Request", str(error))
    start_response("200 OK", [("Content-Type", content_type)])
    return (chunk.encode() for chunk in chunks)


def _refuse(
    start_response: "StartResponse", status: str, text: str, headers: Iterable[tuple[str, str]] = ()
) -> list[bytes]:
    body = text.encode()
    start_response(status, [("Content-Type", PLAIN), ("Content-Length", str(len(body))), *headers])
    return [body]
