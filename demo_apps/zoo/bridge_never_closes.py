"""asgiref's WsgiToAsgi never calls close() on the WSGI iterable: its resources leak.

    uvicorn --host 127.0.0.1 --port 8000 demo_apps.zoo.bridge_never_closes:app
    gunicorn --bind 127.0.0.1:8000 demo_apps.zoo.bridge_never_closes:wsgi_app
    curl -N http://127.0.0.1:8000/stream

The server prints "close() ran" with gunicorn and never with uvicorn.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from demo_apps.raw_wsgi import app as streaming_app
from demo_apps.requirement import requires

with requires("asgiref"):
    from asgiref.wsgi import WsgiToAsgi

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


class Closing:
    """A body that prints when it begins and when it is closed."""

    def __init__(self, body: Iterable[bytes]) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        print("the body begins", flush=True)
        return iter(self._body)

    def close(self) -> None:
        """Print that the server or the bridge called close(), as WSGI requires."""
        print("close() ran", flush=True)
        if hasattr(self._body, "close"):
            self._body.close()


def wsgi_app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Closing:
    """The streaming app, with a body that prints when it is closed."""
    return Closing(streaming_app(environ, start_response))


app = WsgiToAsgi(wsgi_app)  # type: ignore[no-untyped-call]
