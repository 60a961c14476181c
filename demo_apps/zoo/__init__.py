"""Stacks that hold or lose streamed bytes for real, each a small file whose first line says what is wrong.

Every exhibit is one of the apps next door, which stream, and one thing more. This list imports none of them.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One stack, how to run it and what is wrong with it."""

    name: str
    target: str  # "package.module:attribute", as servers take it
    kind: Literal["wsgi", "asgi"]
    server: Literal["gunicorn", "uvicorn", "daphne"]
    path: str
    headers: tuple[tuple[str, str], ...]  # what the request needs for the fault to show
    fault: str
    package: str | None  # the distribution it needs besides its server


ZOO: tuple[Exhibit, ...] = (
    Exhibit(
        name="starlette_compress",
        target="demo_apps.zoo.starlette_compress_text:app",
        kind="asgi",
        server="uvicorn",
        path="/stream",
        headers=(("Accept-Encoding", "br"),),
        fault="starlette-compress flushes only the types it knows as streams; text/plain is held to the end",
        package="starlette-compress",
    ),
    Exhibit(
        name="flask_compress",
        target="demo_apps.zoo.flask_compress_stream:app",
        kind="wsgi",
        server="gunicorn",
        path="/stream",
        headers=(("Accept-Encoding", "br"),),
        fault="Flask-Compress never flushes a streamed body; small chunks are held to the end",
        package="flask-compress",
    ),
    Exhibit(
        name="django_gzip",
        target="demo_apps.zoo.django_gzip:app",
        kind="wsgi",
        server="gunicorn",
        path="/stream",
        headers=(("Accept-Encoding", "gzip"),),
        fault="Django's GZipMiddleware never flushes a blocking iterator; only gzip's header leaves at once",
        package="django",
    ),
    Exhibit(
        name="django_blocking_iterator",
        target="demo_apps.zoo.django_blocking_iterator:app",
        kind="asgi",
        server="uvicorn",
        path="/stream",
        headers=(),
        fault="Django under ASGI turns a blocking iterator into a list before it sends the first chunk",
        package="django",
    ),
    Exhibit(
        name="werkzeug_profiler",
        target="demo_apps.zoo.werkzeug_profiler:app",
        kind="wsgi",
        server="gunicorn",
        path="/stream",
        headers=(),
        fault="Werkzeug's ProfilerMiddleware joins the body to time it; every chunk is held to the end",
        package="werkzeug",
    ),
    Exhibit(
        name="bridge_never_closes",
        target="demo_apps.zoo.bridge_never_closes:app",
        kind="asgi",
        server="uvicorn",
        path="/stream",
        headers=(),
        fault="asgiref's WsgiToAsgi never calls close() on the WSGI iterable; what it would free is lost",
        package="asgiref",
    ),
    Exhibit(
        name="queue_runs_ahead",
        target="demo_apps.zoo.queue_runs_ahead:app",
        kind="wsgi",
        server="gunicorn",
        path="/stream",
        headers=(),
        fault="a thread drains the app into an unbounded queue; a slow reader cannot slow the app down",
        package=None,
    ),
    Exhibit(
        name="blocking_async_generator",
        target="demo_apps.zoo.blocking_async_generator:app",
        kind="asgi",
        server="daphne",
        path="/stream",
        headers=(),
        fault="an async generator that blocks keeps daphne's event loop from writing; all is held to the end",
        package=None,
    ),
    Exhibit(
        name="sleep_in_async_app",
        target="demo_apps.zoo.sleep_in_async_app:app",
        kind="asgi",
        server="uvicorn",
        path="/stream",
        headers=(),
        fault="time.sleep in an async app stops the event loop; every other reader waits for the end",
        package=None,
    ),
)
