"""Real servers in processes of their own: each serves and records, fails in words, and leaves nothing behind."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamproof.sansio.errors import ConfigurationError
from streamproof.sansio.trace import Outcome, Request, Trace
from streamproof.serving.server import Server, ServingError, serve
from streamproof.sockets.probe import read

from ..support.demo_support import need
from ..support.streams import LINES

pytestmark = pytest.mark.servers
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After each test: no child process, no folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(ROOT)
    yield
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def got(server: Server) -> Trace:
    return read(server.host, server.port, Request(), timeout=10)


@pytest.mark.parametrize(
    ("name", "attribute", "kind"),
    [
        ("gunicorn", "streaming", "wsgi"),
        ("gunicorn", "streaming_async", "asgi"),
        ("uvicorn", "streaming", "wsgi"),
        ("uvicorn", "streaming_async", "asgi"),
        ("hypercorn", "streaming", "wsgi"),
        ("hypercorn", "streaming_async", "asgi"),
        ("granian", "streaming", "wsgi"),
        ("granian", "streaming_async", "asgi"),
        ("waitress", "streaming", "wsgi"),
        ("daphne", "streaming_async", "asgi"),
        ("werkzeug", "streaming", "wsgi"),
    ],
)
def test_each_server_serves_and_records(name: str, attribute: str, kind: str) -> None:
    need(name)
    with serve(f"tests.support.streams:{attribute}", server=name) as server:
        assert (server.name, server.kind) == (name, kind)
        assert server.url == f"http://127.0.0.1:{server.port}"
        measured, recorded = got(server), server.traces.get()
    assert measured.body == recorded.body == b"".join(LINES)
    assert recorded.server == name
    assert [chunk.data for chunk in recorded.chunks] == LINES
    assert recorded.outcome is Outcome.COMPLETE


@pytest.mark.parametrize(("attribute", "usual"), [("streaming", "gunicorn"), ("streaming_async", "uvicorn")])
def test_the_usual_server_of_each_kind_is_the_default(attribute: str, usual: str) -> None:
    need(usual)
    with serve(f"tests.support.streams:{attribute}") as server:
        assert server.name == usual


def test_a_factory_is_called() -> None:
    need("gunicorn")
    with serve("tests.support.streams:factory()") as server:
        assert got(server).body == b"".join(LINES)


def test_without_the_middleware_nothing_is_recorded() -> None:
    need("gunicorn")
    with serve("tests.support.streams:streaming", wrap=False) as server:
        assert got(server).body == b"".join(LINES)
        assert list(server.traces) == []
        with pytest.raises(ServingError) as caught:
            server.traces.get(0)
    assert str(caught.value) == (
        "No recording came within 0 s. Expected one per response, when the app has ended it. "
        "Is the app still busy with it?"
    )


def test_a_via_holds_between_the_app_and_its_server() -> None:
    need("gunicorn")
    with serve("tests.support.streams:streaming", via="gae-standard") as server:
        measured = got(server)
    assert measured.body == b"".join(LINES)
    assert len(measured.chunks) == 1


def test_more_options_reach_the_server() -> None:
    need("gunicorn")
    with serve("tests.support.streams:streaming", options=["--log-level", "debug"]) as server:
        assert "loglevel: debug" in server.log
        assert server.tail(1) in server.log


def test_the_port_that_was_asked_for_is_used_and_a_busy_one_is_refused() -> None:
    need("gunicorn")
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(ServingError) as caught, serve("tests.support.streams:streaming", port=port):
            pass
    assert str(caught.value) == (
        f"The port {port} cannot be used: Address already in use. Expected a free port on 127.0.0.1, or no port. "
        "Is a server still running there?"
    )
    with serve("tests.support.streams:streaming", port=port) as server:
        assert server.port == port


HERE = f"{ROOT}/tests/support/streams.py"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "tests.support.streams",
            "'tests.support.streams' does not name an app. Expected 'module:app' or 'module:factory()', or a URL. "
            "Did you mean 'tests.support.streams:app'?",
        ),
        (
            "tests/support/streams.py:app",
            "'tests/support/streams.py:app' does not name an app. Expected 'module:app' or 'module:factory()', or a "
            "URL. Did you mean 'tests.support.streams:app'?",
        ),
        (
            "localhost:8000",
            "'localhost:8000' does not name an app. Expected 'module:app' or 'module:factory()', or a URL. "
            "Did you mean 'http://localhost:8000'?",
        ),
        (
            "nowhere.at_all:app",
            "There is no module 'nowhere.at_all'. Expected 'module:app' or 'module:factory()', importable from this "
            "folder. Is it in another one (--app-dir)?",
        ),
        (
            "tests.support.streams:application",
            "The module 'tests.support.streams' has no 'application'. Expected 'module:app' or 'module:factory()'. "
            "Is it defined under a condition?",
        ),
        (
            "tests.support.streams:number",
            "'tests.support.streams:number' is of the type int, which cannot be called. Expected a WSGI or ASGI app. "
            "Is it the name of something else?",
        ),
        (
            "tests.support.streams:factory",
            "'tests.support.streams:factory' is a function that needs no arguments. Expected a WSGI or ASGI app. "
            "Is it a factory: 'tests.support.streams:factory()'?",
        ),
        (
            "tests.support.streams:broken_factory()",
            "The factory 'tests.support.streams:broken_factory()' raised: LookupError: no configuration "
            f"({HERE}, line LINE). Expected an app. Does it need a setting or an argument?",
        ),
    ],
)
def test_what_is_no_app_is_told_in_a_sentence(target: str, message: str) -> None:
    with pytest.raises((ServingError, ConfigurationError)) as caught, serve(target):
        pass
    lines = Path(HERE).read_text().splitlines()
    raising = next(n for n, line in enumerate(lines, 1) if "no configuration" in line)
    assert str(caught.value) == message.replace("LINE", str(raising))


@pytest.mark.parametrize(
    ("text", "fact", "guess"),
    [
        (
            "import missing_friend",
            "The module 'user_app' cannot be imported: ModuleNotFoundError: No module named 'missing_friend' "
            "({path}, line 1)",
            "Is it installed here?",
        ),
        (
            "\n1 / 0",
            "The module 'user_app' raised at import: ZeroDivisionError: division by zero ({path}, line 2)",
            "Does \"python -c 'import user_app'\" show more?",
        ),
        (
            "def (",
            "The module 'user_app' raised at import: SyntaxError: invalid syntax ({path}, line 1)",
            "Does \"python -c 'import user_app'\" show more?",
        ),
    ],
)
def test_an_error_of_the_users_own_is_not_taken_for_a_wrong_name(
    text: str, fact: str, guess: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("user")
    path = folder / "user_app.py"
    path.write_text(text)
    with pytest.raises(ServingError) as caught, serve("user_app:app", app_dir=folder):
        pass
    assert str(caught.value) == f"{fact.format(path=path)}. Expected an app. {guess}"


@pytest.mark.parametrize(
    ("server", "message"),
    [
        (
            "apache",
            "'apache' is not a known server. Expected one of gunicorn, uvicorn, hypercorn, granian, waitress, daphne, "
            "werkzeug.",
        ),
        (
            "daphne",
            "The server daphne serves ASGI apps, and this one is WSGI. Expected one of: gunicorn, uvicorn, hypercorn, "
            "granian, waitress, werkzeug. Is it the right app?",
        ),
    ],
)
def test_a_server_that_cannot_serve_it_is_told_in_a_sentence(server: str, message: str) -> None:
    need("daphne")
    with (
        pytest.raises((ServingError, ConfigurationError)) as caught,
        serve("tests.support.streams:streaming", server=server),
    ):
        pass
    assert str(caught.value) == message


def test_a_server_that_is_not_installed_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamproof.serving.child import servers as _servers

    monkeypatch.setattr(_servers, "find_spec", lambda name: None if name == "waitress" else object())
    with pytest.raises(ConfigurationError) as caught:
        _servers.server_named("waitress").command("wsgi", "127.0.0.1", 1)
    assert str(caught.value) == (
        "The server waitress is not installed. Expected it in this environment: pip install waitress. "
        "Or did you mean one that is here: gunicorn, uvicorn, hypercorn, granian, daphne, werkzeug?"
    )


def test_a_server_that_does_not_start_is_told_with_its_last_words() -> None:
    need("uvicorn")
    with pytest.raises(ServingError) as caught, serve("tests.support.streams:no_start"):
        pass
    first, *words = str(caught.value).splitlines()
    assert first.startswith("The uvicorn process stopped before it served (exit status 3). Expected it to listen on ")
    assert first.endswith(". Does the end of its log show why?")
    assert words[-2:] == ["  ERROR:    no database", "  ERROR:    Application startup failed. Exiting."]


def test_a_server_that_does_not_start_in_time_is_ended() -> None:
    with pytest.raises(ServingError) as caught, serve("tests.support.streams:streaming", boot_timeout=0):
        pass
    assert str(caught.value).startswith("The server process did not serve within 0 s. Expected it to listen on ")


def test_an_error_in_the_block_ends_the_server_in_the_middle_of_a_response() -> None:
    need("gunicorn")
    with pytest.raises(RuntimeError, match="^out$"), serve("tests.support.streams:endless") as server:
        read(server.host, server.port, Request(), on_arrival=_out)


def _out(chunk: object) -> None:
    raise RuntimeError("out")
