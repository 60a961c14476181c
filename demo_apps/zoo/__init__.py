"""Real stacks that hold or lose streamed bytes. Each is a small file whose first line names the fault.

Each exhibit is one of the demo apps, which stream, and one additional layer or change. This list imports none of them.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One stack, the command that runs it, and its fault."""

    name: str
    target: str  # "package.module:attribute", as servers accept it
    kind: Literal["wsgi", "asgi"]
    server: Literal["gunicorn", "uvicorn", "daphne"]
    path: str
    headers: tuple[tuple[str, str], ...]  # request headers that the fault needs
    fault: str
    package: str | None  # the distribution that it needs, besides its server


ZOO: tuple[Exhibit, ...] = (
    Exhibit(
        name="starlette_compress",
        target="demo_apps.zoo.starlette_compress_text:app",
        kind="asgi",
        server="uvicorn",
        path="/stream",
        headers=(("Accept-Encoding", "br"),),
        fault="starlette-compress flushes only the types that it knows as streams; text/plain is held to the end",
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
        fault="Werkzeug's ProfilerMiddleware collects the body to time it; every chunk is held to the end",
        package="werkzeug",
    ),
    Exhibit(
        name="bridge_never_closes",
        target="demo_apps.zoo.bridge_never_closes:app",
        kind="asgi",
        server="uvicorn",
        path="/stream",
        headers=(),
        fault="asgiref's WsgiToAsgi never calls close() on the WSGI iterable; its resources leak",
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
        fault="an async generator blocks, so daphne's event loop cannot write; every chunk is held to the end",
        package=None,
    ),
    Exhibit(
        name="sleep_in_async_app",
        target="demo_apps.zoo.sleep_in_async_app:app",
        kind="asgi",
        server="uvicorn",
        path="/stream",
        headers=(),
        fault="time.sleep in an async app stops the event loop; every other reader waits until the stream ends",
        package=None,
    ),
)
