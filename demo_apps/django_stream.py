"""Two streams from Django without a project, on WSGI and ASGI: ten chunks, and a text model's tokens.

gunicorn --bind 127.0.0.1:8000 demo_apps.django_stream:wsgi_app
uvicorn --host 127.0.0.1 --port 8000 --lifespan off demo_apps.django_stream:asgi_app
curl -N http://127.0.0.1:8000/stream
curl -N -X POST 'http://127.0.0.1:8000/search?ai_prompt=Tell+me+something+funny'
"""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from demo_apps import query
from demo_apps.chunks import data_chunks, data_chunks_async, token_events, token_events_async
from demo_apps.requirement import requires

with requires("django"):
    from django.conf import settings
    from django.core.handlers.asgi import ASGIHandler, ASGIRequest
    from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
    from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
    from django.urls import path

# Each site below has its own URLs and middleware.
if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["127.0.0.1", "localhost", "testserver"], ROOT_URLCONF=(), MIDDLEWARE=[])

Chunks = Iterator[str] | AsyncIterator[str]


def _view(
    method: str, content_type: str, chunks: Callable[[query.Query], Chunks]
) -> Callable[[HttpRequest], HttpResponse]:
    def view(request: HttpRequest) -> HttpResponse:
        if request.method != method:
            return HttpResponseNotAllowed([method])
        try:
            return StreamingHttpResponse(chunks(request.GET), content_type=content_type)
        except query.BadQueryError as error:
            return HttpResponse(str(error), status=400, content_type="text/plain")

    return view


def _urls(stream: Callable[[query.Query], Chunks], search: Callable[[query.Query], Chunks]) -> tuple[Any, ...]:
    return (
        path("stream", _view("GET", "text/plain; charset=utf-8", stream)),
        path("search", _view("POST", "text/event-stream; charset=utf-8", search)),
    )


blocking_urls = _urls(
    lambda values: data_chunks(query.chunk_delay(values)),
    lambda values: token_events(query.prompt(values), query.parameters(values)),
)
async_urls = _urls(
    lambda values: data_chunks_async(query.chunk_delay(values)),
    lambda values: token_events_async(query.prompt(values), query.parameters(values)),
)


def wsgi_site(urls: tuple[Any, ...], *middleware: str) -> WSGIHandler:
    """A WSGI app with its own URLs and middleware. One process can have several."""
    return _site(WSGIHandler, WSGIRequest, urls, middleware)


def asgi_site(urls: tuple[Any, ...], *middleware: str) -> ASGIHandler:
    """An ASGI app with its own URLs and middleware. One process can have several."""
    return _site(ASGIHandler, ASGIRequest, urls, middleware)


def _site(handler_class: Any, request_class: Any, urls: tuple[Any, ...], middleware: tuple[str, ...]) -> Any:
    settings.MIDDLEWARE = list(middleware)  # Django reads it once, when the handler is created
    handler = handler_class()
    handler.request_class = type("SiteRequest", (request_class,), {"urlconf": urls})
    return handler


wsgi_app = wsgi_site(blocking_urls)
asgi_app = asgi_site(async_urls)
