"""The behavior of each server when a reader leaves, and with heads, errors and backpressure: :data:`SERVER_BEHAVIORS`.

Measured over HTTP/1.1 on loopback, with the version at each entry. The transports play it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..app_kind import Kind
from ..sansio.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ServerBehavior:
    """The behavior of one server.

    ``spec_version`` and ``extensions`` are what its ASGI scope says, None for an absent key. ``head_alone``: a head
    without a body reaches the reader. ``empty_flushes``: an empty chunk lets it go. ``raises_when_gone``: a send after
    the reader left raises OSError, else it returns silently. ``cancels_after``: seconds until the app's task is
    cancelled, None for never. ``window``: bytes under way before a send waits, None for no backpressure.
    ``left_open``: a broken or unfinished body is not cut, the reader waits for ever. ``sends_head_body``: the body of
    a HEAD response goes out. ``runs_on``: a WSGI app whose reader left is iterated to its end before its
    close(). ``hides_cuts``: a cut looks like the end to the reader.
    """

    name: str
    kind: Kind
    spec_version: str | None = "2.3"
    extensions: Mapping[str, Mapping[str, object]] | None = None
    head_alone: bool = True
    empty_flushes: bool = True
    raises_when_gone: bool = False
    cancels_after: float | None = None
    window: int | None = 65536
    left_open: bool = False
    sends_head_body: bool = False
    runs_on: bool = False
    hides_cuts: bool = False
    server: str | None = None


_ALL = (
    # uvicorn 0.54.0; asyncio's flow control lets 64 KiB wait (asyncio.transports, high-water mark)
    ServerBehavior("uvicorn", "asgi", server="uvicorn"),
    # gunicorn 27.0.1, -k asgi; asgi_disconnect_grace_period is 3 s
    ServerBehavior(
        "gunicorn-asgi",
        "asgi",
        spec_version="2.4",
        head_alone=False,
        empty_flushes=False,
        cancels_after=3.0,
        server="gunicorn-asgi",
    ),
    # hypercorn 0.18.0; it offers trailers over HTTP/2 only
    ServerBehavior("hypercorn", "asgi", spec_version="2.1", extensions={}, server="hypercorn"),
    # granian 2.8.7
    ServerBehavior(
        "granian",
        "asgi",
        head_alone=False,
        extensions={"http.response.pathsend": {}, "websocket.http.response": {}},
        server="granian",
    ),
    # daphne 4.2.3; application_close_timeout is 10 s
    ServerBehavior(
        "daphne",
        "asgi",
        spec_version=None,
        head_alone=False,
        cancels_after=10.0,
        window=None,
        left_open=True,
        sends_head_body=True,
        server="daphne",
    ),
    # No server yet: ASGI HTTP specification 2.4, "Disconnected Client - send exception"
    ServerBehavior("spec", "asgi", spec_version="2.4", raises_when_gone=True, head_alone=False, extensions={}),
    # No server either: the behavior of Starlette's TestClient (1.10, testclient.py), which its users' tests rely on
    ServerBehavior(
        "starlette-testclient", "asgi", spec_version=None, extensions={"http.response.debug": {}}, hides_cuts=True
    ),
    ServerBehavior("gunicorn", "wsgi", server="gunicorn"),
    # waitress 3.0.2; outbuf_high_watermark is 16 MiB
    ServerBehavior(
        "waitress",
        "wsgi",
        empty_flushes=False,
        window=16 << 20,
        sends_head_body=True,
        server="waitress",
    ),
    ServerBehavior("werkzeug", "wsgi", sends_head_body=True, server="werkzeug"),
    ServerBehavior("wsgiref", "wsgi", sends_head_body=True),
    ServerBehavior("granian-wsgi", "wsgi", server="granian"),
    # hypercorn 0.18.0 and uvicorn 0.54.0 iterate on to the end for a reader who has left
    ServerBehavior("hypercorn-wsgi", "wsgi", runs_on=True, server="hypercorn"),
    ServerBehavior("uvicorn-wsgi", "wsgi", runs_on=True, server="uvicorn"),
)

#: Every known behavior, by the server's name.
SERVER_BEHAVIORS: Mapping[str, ServerBehavior] = {server.name: server for server in _ALL}

_USUAL = {"asgi": "uvicorn", "wsgi": "gunicorn"}


def behavior_of(name: str | ServerBehavior | None, kind: Kind) -> ServerBehavior:
    """The behavior of the server ``name`` with apps of this kind; None is the default server.

    ``granian``, ``hypercorn`` and ``uvicorn`` mean their WSGI side for a WSGI app, ``gunicorn`` its ASGI worker for an
    ASGI app. Raises ConfigurationError with the valid names.
    """
    if isinstance(name, ServerBehavior):
        return name
    wanted = name or _USUAL[kind]
    for key in (wanted, f"{wanted}-{kind}"):
        if key in SERVER_BEHAVIORS and SERVER_BEHAVIORS[key].kind == kind:
            return SERVER_BEHAVIORS[key]
    valid = ", ".join(server.name for server in _ALL if server.kind == kind)
    raise ConfigurationError(
        f"server={name!r} is not a server for a {kind.upper()} app. Expected one of: {valid}. "
        "Is the app of the other kind?"
    )
