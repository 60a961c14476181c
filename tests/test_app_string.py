"""``streamproof.app:app`` on every other server, and the wrapper inside the frameworks' own files."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .support.live_support import Booted, boot, eventually, free_port, need, read_until

pytestmark = pytest.mark.servers

APP = "streamproof.app:app"
SERVERS: dict[str, tuple[str, Callable[[int], list[str]]]] = {
    "uvicorn-h11": ("asgi", lambda port: ["uvicorn", "--port", f"{port}", "--http", "h11", APP]),
    "uvicorn-httptools": ("asgi", lambda port: ["uvicorn", "--port", f"{port}", "--http", "httptools", APP]),
    "uvicorn-wsgi": ("wsgi", lambda port: ["uvicorn", "--port", f"{port}", "--interface", "wsgi", APP]),
    "hypercorn": ("asgi", lambda port: ["hypercorn", "--bind", f"127.0.0.1:{port}", APP]),
    "hypercorn-wsgi": ("wsgi", lambda port: ["hypercorn", "--bind", f"127.0.0.1:{port}", f"wsgi:{APP}"]),
    "granian": ("asgi", lambda port: ["granian", "--interface", "asgi", "--port", f"{port}", APP]),
    "granian-wsgi": ("wsgi", lambda port: ["granian", "--interface", "wsgi", "--port", f"{port}", APP]),
    "waitress": ("wsgi", lambda port: ["waitress", f"--listen=127.0.0.1:{port}", APP]),
    "daphne": ("asgi", lambda port: ["daphne", "-p", f"{port}", APP]),
}
#: These never tell a WSGI app that its reader left: the stream runs to its end.
DEAF = ("uvicorn-wsgi", "hypercorn-wsgi")


@contextmanager
def served(folder: Path, name: str, app: str | None = None) -> Iterator[Booted]:
    kind, command = SERVERS[name]
    port = free_port()
    words = command(port)
    need(words[0], *(["a2wsgi"] if name == "uvicorn-wsgi" else []))
    with boot(folder, words, port, {"STREAMPROOF_APP": app or f"steered:{kind}"}) as server:
        yield server


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_loads_the_wrapped_app_and_every_end_is_told(name: str, tmp_path: Path) -> None:
    with served(tmp_path, name) as server:
        assert b"second" in server.get("/complete")
        whole = server.trace("/complete")
        assert whole["end"]["outcome"] == "complete"
        assert [chunk["size"] for chunk in whole["chunks"] if chunk["size"]] == [6, 7]

        with server.open("/error") as reader:
            read_until(reader, b"second")  # daphne leaves the connection open
        assert server.trace("/error")["end"]["outcome"] == "app_error"

        if name not in DEAF:
            with server.open("/endless") as reader:
                read_until(reader, b"first")
            assert server.trace("/endless")["end"]["outcome"] == "client_gone"


@pytest.mark.parametrize("name", SERVERS)
def test_a_graceful_stop_lets_a_stream_end_and_be_told(name: str, tmp_path: Path) -> None:
    with served(tmp_path, name) as server, server.open("/wait") as reader:
        read_until(reader, b"first")
        server.signal(signal.SIGTERM)
        server.pass_gate("go")
        assert server.trace("/wait")["end"]["outcome"] in ("complete", "shutdown")


def test_no_app_named_is_told_in_one_sentence(tmp_path: Path) -> None:
    need("uvicorn")
    port = free_port()
    with boot(tmp_path, ["uvicorn", "--port", f"{port}", APP], port, wait=False) as server:
        assert server.process.wait(15) != 0
    assert "Expected STREAMPROOF_APP=module:app" in server.log


FRAMEWORKS = {
    "flask": (
        "waitress",
        """
        from flask import Flask
        from streamproof.wsgi import StreamMiddleware

        app = Flask(__name__)
        app.wsgi_app = StreamMiddleware(app.wsgi_app, on_trace=print)


        @app.get("/stream/<name>")
        def stream(name):
            return (f"{n}\\n" for n in range(3)), {"Content-Type": "text/plain"}
        """,
    ),
    "starlette": (
        "uvicorn-h11",
        """
        from starlette.applications import Starlette
        from starlette.responses import StreamingResponse
        from starlette.routing import Route
        from streamproof.asgi import StreamMiddleware


        async def stream(request):
            async def lines():
                for n in range(3):
                    yield f"{n}\\n"

            return StreamingResponse(lines(), media_type="text/plain")


        app = Starlette(routes=[Route("/stream/{name}", stream)])
        app.add_middleware(StreamMiddleware, on_trace=print)
        """,
    ),
    "fastapi": (
        "uvicorn-h11",
        """
        from fastapi import FastAPI
        from fastapi.responses import StreamingResponse
        from streamproof.asgi import StreamMiddleware

        app = FastAPI()
        app.add_middleware(StreamMiddleware, on_trace=print)


        @app.get("/stream/{name}")
        async def stream(name: str):
            async def lines():
                for n in range(3):
                    yield f"{n}\\n"

            return StreamingResponse(lines(), media_type="text/plain")
        """,
    ),
    "django": (
        "waitress",
        """
        import django
        from django.conf import settings
        from django.http import StreamingHttpResponse
        from django.urls import path

        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x")
        django.setup()


        def stream(request, name):
            return StreamingHttpResponse((f"{n}\\n" for n in range(3)), content_type="text/plain")


        urlpatterns = [path("stream/<str:name>", stream)]

        from django.core.wsgi import get_wsgi_application
        from streamproof import wrap

        app = wrap(get_wsgi_application(), on_trace=print)
        """,
    ),
    "django-asgi": (
        "uvicorn-h11",
        """
        import django
        from django.conf import settings
        from django.http import StreamingHttpResponse
        from django.urls import path

        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x")
        django.setup()


        async def stream(request, name):
            async def lines():
                for n in range(3):
                    yield f"{n}\\n"

            return StreamingHttpResponse(lines(), content_type="text/plain")


        urlpatterns = [path("stream/<str:name>", stream)]

        from django.core.asgi import get_asgi_application
        from streamproof import wrap

        app = wrap(get_asgi_application(), on_trace=print)
        """,
    ),
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_frameworks_own_way_and_its_route_as_label(framework: str, tmp_path: Path) -> None:
    need(framework.partition("-")[0], "prometheus_client")
    name, text = FRAMEWORKS[framework]
    lines = text.splitlines()
    (tmp_path / "site_app.py").write_text("\n".join(line[8:] for line in lines))
    (tmp_path / "streamproof.toml").write_text('metrics_path = "/metrics"\n')
    with served(tmp_path, name, "site_app:app") as server:
        assert b"2\n" in server.get("/stream/some?secret=1")
        page = eventually(
            lambda: page if b"streamproof_streams_total{" in (page := server.get("/metrics")) else b"", "a count"
        ).decode()
        assert server.log.count("Trace(") == 1, "the app's own middleware told it, too"
    route = {"flask": "/stream/<name>", "django": "/stream/<str:name>"}.get(
        framework.partition("-")[0], "/stream/{name}"
    )
    assert f'streamproof_streams_total{{method="GET",outcome="complete",route="{route}",status="2xx"}} 1.0' in page
