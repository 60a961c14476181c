"""The demo apps stream, proved by cause and not by clock, and each exhibit of the zoo shows its fault."""

import asyncio
import csv
import html
import io
import os
import random
import re
import socket
import subprocess
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import MetaPathFinder
from queue import SimpleQueue
from typing import IO, Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo_apps import query
from demo_apps.chunks import CHUNKS, MODEL, sse_event
from demo_apps.query import BadQueryError
from demo_apps.text_model import TextGenerationModel, letters, sample
from demo_apps.zoo import ZOO, Exhibit

from .support.demo_support import ROOT, ASGIApplication, Headers, PausedServer, Reader, load, need, replace_pauses

DATA = [f"Data chunk {number}\n".encode() for number in range(CHUNKS)]
EXHIBITS = {exhibit.name: exhibit for exhibit in ZOO}


def token_chunks(prompt: str, **parameters: Any) -> list[bytes]:
    """The events that an app sends for `prompt`."""
    values = query.parameters({name: str(value) for name, value in parameters.items()})
    tokens = list(TextGenerationModel.from_pretrained(MODEL).generate(prompt, **values))
    events = [sse_event(token) for token in tokens]
    return [event.encode() for event in [*events, sse_event(str(len(tokens)), name="end")]]


@dataclass(frozen=True)
class Stream:
    """A stream that several apps serve: how to ask for it, its chunks, and how many precede each pause."""

    method: str
    target: str
    content_type: str
    chunks: list[bytes]
    chunks_at_pause: range

    def assert_streamed(self, reader: Reader) -> None:
        """At every pause of the app the reader held exactly the chunks produced so far."""
        assert reader.status == 200
        assert reader.headers["content-type"].split(";")[0] == self.content_type
        assert reader.held_at_pause == [b"".join(self.chunks[:count]) for count in self.chunks_at_pause]
        assert reader.body == b"".join(self.chunks)


STREAM = Stream("GET", "/stream", "text/plain", DATA, range(1, CHUNKS + 1))
SEARCH_CHUNKS = token_chunks("Tell me something funny", max_output_tokens=8)
SEARCH = Stream(
    "POST",
    "/search?ai_prompt=Tell+me+something+funny&max_output_tokens=8",
    "text/event-stream",
    SEARCH_CHUNKS,
    range(len(SEARCH_CHUNKS) - 1),
)

WSGI_STREAMS = [
    pytest.param("demo_apps.raw_wsgi:app", None, STREAM, id="raw_wsgi-stream"),
    pytest.param("demo_apps.raw_wsgi:app", None, SEARCH, id="raw_wsgi-search"),
    pytest.param("demo_apps.flask_stream:app", "flask", STREAM, id="flask-stream"),
    pytest.param("demo_apps.django_stream:wsgi_app", "django", STREAM, id="django_wsgi-stream"),
    pytest.param("demo_apps.django_stream:wsgi_app", "django", SEARCH, id="django_wsgi-search"),
]
ASGI_STREAMS = [
    pytest.param("demo_apps.raw_asgi:app", None, STREAM, id="raw_asgi-stream"),
    pytest.param("demo_apps.raw_asgi:app", None, SEARCH, id="raw_asgi-search"),
    pytest.param("demo_apps.fastapi_llm:app", "fastapi", SEARCH, id="fastapi-search"),
    pytest.param("demo_apps.django_stream:asgi_app", "django", STREAM, id="django_asgi-stream"),
    pytest.param("demo_apps.django_stream:asgi_app", "django", SEARCH, id="django_asgi-search"),
]


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    """A reader that notes what it holds at each pause of the app."""
    reader = Reader()
    replace_pauses(monkeypatch, reader.pause)
    return reader


@pytest.fixture
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apps that do not pause."""
    monkeypatch.setenv("DEMO_DELAY", "0")
    monkeypatch.setenv("DEMO_TOKEN_DELAY", "0")


def load_needing(target: str, package: str | None) -> Any:
    if package:
        need(package)
    return load(target)


# The apps that stream


@pytest.mark.parametrize(("target", "package", "stream"), WSGI_STREAMS)
def test_wsgi_app_hands_over_each_chunk_before_the_next(
    reader: Reader, target: str, package: str | None, stream: Stream
) -> None:
    app = load_needing(target, package)
    stream.assert_streamed(reader.read_wsgi(app, stream.target, method=stream.method))


@pytest.mark.parametrize(("target", "package", "stream"), ASGI_STREAMS)
def test_asgi_app_hands_over_each_chunk_before_the_next(
    reader: Reader, target: str, package: str | None, stream: Stream
) -> None:
    app = load_needing(target, package)
    stream.assert_streamed(reader.read_asgi(app, stream.target, method=stream.method))


def buffering_wsgi(app: WSGIApplication) -> WSGIApplication:
    """Collects the whole body, then hands it over."""

    def joined(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return [b"".join(app(environ, start_response))]

    return joined


def one_behind_wsgi(app: WSGIApplication) -> WSGIApplication:
    """Hands each chunk over when it has the next: the least that can be held."""

    def lagging(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        held = b""
        for chunk in app(environ, start_response):
            yield held
            held = chunk
        yield held

    return lagging


@pytest.mark.parametrize("holding", [buffering_wsgi, one_behind_wsgi])
@pytest.mark.parametrize(("target", "package", "stream"), WSGI_STREAMS)
def test_wsgi_check_notices_a_layer_that_holds(
    reader: Reader,
    target: str,
    package: str | None,
    stream: Stream,
    holding: Callable[[WSGIApplication], WSGIApplication],
) -> None:
    app = holding(load_needing(target, package))
    reader.read_wsgi(app, stream.target, method=stream.method)
    assert reader.body == b"".join(stream.chunks)
    with pytest.raises(AssertionError):
        stream.assert_streamed(reader)


def buffering_asgi(app: ASGIApplication) -> ASGIApplication:
    """Collects the whole body, then sends it on."""

    async def joined(scope: Any, receive: Any, send: Any) -> None:
        body = b""

        async def collect(message: Any) -> None:
            nonlocal body
            if message["type"] != "http.response.body":
                await send(message)
                return
            body += message.get("body", b"")
            if not message.get("more_body", False):
                await send({"type": "http.response.body", "body": body})

        await app(scope, receive, collect)

    return joined


@pytest.mark.parametrize(("target", "package", "stream"), ASGI_STREAMS)
def test_asgi_check_notices_a_layer_that_holds(
    reader: Reader, target: str, package: str | None, stream: Stream
) -> None:
    app = buffering_asgi(load_needing(target, package))
    reader.read_asgi(app, stream.target, method=stream.method)
    assert reader.body == b"".join(stream.chunks)
    with pytest.raises(AssertionError):
        stream.assert_streamed(reader)


@pytest.mark.usefixtures("no_delay")
@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/stream", 200),
        ("GET", "/stream?delay=0", 200),
        ("GET", "/stream?delay=soon", 400),
        ("GET", "/stream?delay=nan", 400),
        ("GET", "/stream?delay=-1", 400),
        ("POST", "/search?ai_prompt=rivers", 200),
        ("POST", "/search?ai_prompt=rivers&temperature=1&top_p=1&top_k=3&max_output_tokens=5", 200),
        ("POST", "/search", 400),
        ("POST", "/search?ai_prompt=rivers&temperature=9", 400),
        ("POST", "/search?ai_prompt=rivers&top_k=many", 400),
        ("GET", "/search?ai_prompt=rivers", 405),
        ("GET", "/elsewhere", 404),
    ],
)
def test_plain_apps_and_django_answer_alike(method: str, target: str, status: int) -> None:
    need("django")
    wsgi: list[WSGIApplication] = [
        validator(load("demo_apps.raw_wsgi:app")),
        load("demo_apps.django_stream:wsgi_app"),
    ]
    asgi: list[ASGIApplication] = [
        load("demo_apps.raw_asgi:app"),
        load("demo_apps.django_stream:asgi_app"),
    ]
    readers = [Reader().read_wsgi(app, target, method=method) for app in wsgi]
    readers += [Reader().read_asgi(app, target, method=method) for app in asgi]
    assert [reader.status for reader in readers] == [status] * 4
    if status in (200, 400):
        assert len({reader.body for reader in readers}) == 1


def test_a_wrong_environment_is_not_the_readers_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_DELAY", "soon")
    with pytest.raises(RuntimeError, match="DEMO_DELAY must be a number from 0 to 60, not 'soon'"):
        Reader().read_wsgi(load("demo_apps.raw_wsgi:app"), "/stream")


def test_raw_asgi_stops_in_a_silence_when_its_reader_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    async def leave_in_the_first_pause() -> Reader:
        leaving = asyncio.Event()

        async def idle() -> None:
            leaving.set()
            await asyncio.Event().wait()  # a silence that ends only by cancellation

        replace_pauses(monkeypatch, lambda: None, idle=idle)
        reader = Reader()
        async with asyncio.timeout(10):
            await reader.exchange(load("demo_apps.raw_asgi:app"), "/stream", leaving=leaving)
        return reader

    assert asyncio.run(leave_in_the_first_pause()).body == DATA[0]


def test_raw_asgi_raises_what_its_stream_raised() -> None:
    async def broken_pipe(message: Any) -> None:
        raise OSError("gone")

    async def silent() -> Any:
        await asyncio.Event().wait()

    scope = {"type": "http", "path": "/stream", "method": "GET", "query_string": b"delay=0"}
    with pytest.raises(OSError, match="gone"):
        asyncio.run(load("demo_apps.raw_asgi:app")(scope, silent, broken_pipe))


def test_raw_asgi_keeps_the_lifespan_protocol() -> None:
    messages = [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]
    sent: list[str] = []

    async def receive() -> Any:
        return messages.pop()

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(load("demo_apps.raw_asgi:app")({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


# Flask


@pytest.fixture
def flask_app(no_delay: None) -> WSGIApplication:
    need("flask")
    app: WSGIApplication = load("demo_apps.flask_stream:app")
    return app


def test_flask_index_links_to_every_page(flask_app: WSGIApplication) -> None:
    page = Reader().read_wsgi(flask_app, "/").text
    links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', page)]
    routes = {rule.rule for rule in load("demo_apps.flask_stream:app").url_map.iter_rules()}
    assert {link.split("?")[0] for link in links} == routes - {"/", "/static/<path:filename>"}


def test_flask_large_csv_makes_each_row_a_chunk(flask_app: WSGIApplication) -> None:
    reader = Reader().read_wsgi(flask_app, "/large.csv?rows=500")
    assert reader.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(reader.text)))
    assert rows[0] == ["number", "square", "word"]
    assert [row[:2] for row in rows[1:]] == [[str(n), str(n * n)] for n in range(1, 501)]
    assert len(reader.blocks) == 501
    assert len(Reader().read_wsgi(flask_app, "/large.csv").blocks) == 1001


def test_flask_large_csv_produces_no_row_that_nobody_takes(flask_app: WSGIApplication) -> None:
    environ: dict[str, Any] = {"PATH_INFO": "/large.csv", "QUERY_STRING": "rows=10000000"}
    setup_testing_defaults(environ)
    result = flask_app(environ, lambda *_: lambda _: None)
    assert [next(iter(result)) for _ in range(2)] == [b"number,square,word\n", b"1,1,letter\n"]
    result.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("blocks", "size"), [(1, 64), (16, 1024), (3, 65537)])
def test_flask_streamhtml_sends_blocks_of_the_size_asked_for(
    flask_app: WSGIApplication, blocks: int, size: int
) -> None:
    reader = Reader().read_wsgi(flask_app, f"/streamhtml?nblocks={blocks}&block_size={size}")
    assert reader.headers["content-type"].startswith("text/html")
    head, *body, tail = reader.blocks
    assert head.startswith(b"<!doctype html>")
    assert tail == b"</html>\n"
    assert [len(block) for block in body] == [size] * blocks
    text = "".join(re.findall(r"<p><b>\d+</b> (.*)</p>\n", b"".join(body).decode()))
    page = " ".join(letters(MODEL).split()) + " "
    assert text == (page * (blocks * size // len(page) + 1))[: len(text)]


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("/streamhtml?nblocks=0", "nblocks must be a whole number from 1 to 10000, not '0'"),
        ("/streamhtml?nblocks=many", "nblocks must be a whole number"),
        ("/streamhtml?nblocks=1_0", "nblocks must be a whole number"),
        ("/streamhtml?block_size=63", "block_size must be a whole number from 64 to 1048576, not '63'"),
        ("/streamhtml?block_size=1e3", "block_size must be a whole number"),
        ("/streamhtml?block_size=99999999", "block_size must be a whole number"),
        ("/streamhtml?delay=inf", "delay must be a number from 0 to 60, not 'inf'"),
        ("/large.csv?rows=-1", "rows must be a whole number from 0 to 10000000, not '-1'"),
        ("/stream?delay=slow", "delay must be a number"),
    ],
)
def test_flask_refuses_a_bad_value_in_clear_words(flask_app: WSGIApplication, target: str, problem: str) -> None:
    reader = Reader().read_wsgi(flask_app, target)
    assert reader.status == 400
    assert reader.text.startswith(problem)


def test_flask_generator_reads_the_request_only_with_its_context(flask_app: WSGIApplication) -> None:
    assert Reader().read_wsgi(flask_app, "/with-context?name=Ada").text == "Hello Ada!\n"
    broken = Reader()
    with pytest.raises(RuntimeError, match="Working outside of request context"):
        broken.read_wsgi(flask_app, "/without-context?name=Ada")
    assert (broken.status, broken.text) == (200, "Hello ")


def test_flask_error_in_mid_stream_is_reported_or_cuts(flask_app: WSGIApplication) -> None:
    before = b"".join(DATA[:3])
    reported = Reader().read_wsgi(flask_app, "/error/handled")
    assert reported.body == before + b"Error: the source has gone. The data above is incomplete.\n"
    cut = Reader()
    with pytest.raises(Exception, match="the source has gone"):
        cut.read_wsgi(flask_app, "/error/unhandled")
    assert (cut.status, cut.body) == (200, before)


# FastAPI and its client


@pytest.mark.usefixtures("no_delay")
def test_fastapi_serves_a_page_and_refuses_bad_parameters() -> None:
    need("fastapi")
    app: ASGIApplication = load("demo_apps.fastapi_llm:app")
    page = Reader().read_asgi(app, "/")
    assert page.headers["content-type"].startswith("text/html")
    assert 'fetch("search?"' in page.text
    for target in [
        "/search",
        "/search?ai_prompt=",
        "/search?ai_prompt=x&top_p=2",
        "/search?ai_prompt=x&top_k=0",
    ]:
        assert Reader().read_asgi(app, target, method="POST").status == 422


@pytest.mark.servers
def test_client_prints_each_token_while_the_model_still_writes() -> None:
    need("fastapi", "uvicorn", "requests")
    *tokens, end = token_chunks("Tell me something funny")
    with PausedServer("uvicorn", "demo_apps.fastapi_llm:app") as server, client(server.url) as process:
        assert process.stdout is not None
        server.wait_for_pause()
        assert process.stdout.readline() == "--- the stream begins ---\n"
        for token in tokens[:5]:
            server.resume()
            server.wait_for_pause()  # the model will not go on before its last token is read
            assert timed(process.stdout) == token.decode().rstrip("\n")
        server.finish()
        rest = process.stdout.read().splitlines()
        assert process.wait(timeout=10) == 0
    assert rest[-1].startswith(f"--- the stream ends: {len(tokens) + 2} lines, the first after ")
    assert [line.split(" ", 1)[1] for line in rest[-3:-1]] == end.decode().splitlines()[:2]


@contextmanager
def client(url: str) -> Iterator[subprocess.Popen[str]]:
    """A client in a process of its own, stopped whatever happens."""
    command = [sys.executable, "-m", "demo_apps.llm_client", "--url", f"{url}/search"]
    environment = os.environ | {"NO_PROXY": "127.0.0.1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def timed(output: IO[str]) -> str:
    """The next line, without its time."""
    arrival, _, line = output.readline().rstrip("\n").partition(" ")
    assert re.fullmatch(r"\+\d+\.\d\ds", arrival)
    return line


@pytest.fixture
def run_client(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], int]:
    """The client's main, which asks no proxy for a loopback address."""
    need("requests")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    main: Callable[[list[str]], int] = load("demo_apps.llm_client:main")
    return main


def test_client_says_that_no_server_is_there(
    capsys: pytest.CaptureFixture[str], run_client: Callable[[list[str]], int]
) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else can take the port
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}/search"
        assert run_client(["--url", url]) == 1
    assert capsys.readouterr().err == f"No server answers at {url}. Is it running?\n"


@pytest.mark.usefixtures("no_delay")
@pytest.mark.servers
def test_client_tells_of_a_refusal(capsys: pytest.CaptureFixture[str], run_client: Callable[[list[str]], int]) -> None:
    need("uvicorn")
    with PausedServer("uvicorn", "demo_apps.raw_asgi:app") as server:
        url = f"{server.url}/search"
        assert run_client(["--url", url, "--prompt", " "]) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"{url} answered 400: ai_prompt must be a text of 1 to 2000 characters.")


def test_client_tells_of_a_stream_that_broke_off(
    capsys: pytest.CaptureFixture[str], run_client: Callable[[list[str]], int]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        breaking = threading.Thread(target=answer_half, args=(listener,))
        breaking.start()
        assert run_client(["--url", f"http://127.0.0.1:{listener.getsockname()[1]}/search"]) == 1
        breaking.join(timeout=10)
    output = capsys.readouterr()
    assert re.fullmatch(r"--- the stream begins ---\n\+\d\.\d\ds data: half\n", output.out)
    assert output.err.startswith("The stream broke off after 1 lines: ")


def answer_half(listener: socket.socket) -> None:
    """Answer one request with a chunk, and no chunk that ends the body."""
    listener.settimeout(10)
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\ndata: half\n\n\r\n")


@pytest.mark.parametrize("size", ["0", "-1", "many"])
def test_client_refuses_a_bad_chunk_size(
    capsys: pytest.CaptureFixture[str], run_client: Callable[[list[str]], int], size: str
) -> None:
    with pytest.raises(SystemExit) as exit_status:
        run_client([f"--chunk-size={size}"])
    assert exit_status.value.code == 2
    assert f"must be a whole number from 1, not {size!r}" in capsys.readouterr().err


def test_client_has_help(capsys: pytest.CaptureFixture[str], run_client: Callable[[list[str]], int]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        run_client(["--help"])
    assert exit_status.value.code == 0
    assert "--prompt" in capsys.readouterr().out


# The text model

MODEL_UNDER_TEST = TextGenerationModel.from_pretrained(MODEL)
WEIGHTS = {"river": 8.0, "letter": 4.0, "gate": 2.0, "barrel": 1.0}


def drawn(**parameters: Any) -> Counter[str]:
    """A thousand draws from WEIGHTS."""
    rng = random.Random(1)
    values = {"temperature": 1.0, "top_p": 1.0, "top_k": 40} | parameters
    return Counter(sample(WEIGHTS, rng, **values) for _ in range(1000))


def test_sample_follows_the_weights_at_temperature_one() -> None:
    counts = drawn()
    assert [token for token, _ in counts.most_common()] == list(WEIGHTS)
    assert abs(counts["river"] / 1000 - 8 / 15) < 0.05


def test_sample_grows_bolder_with_temperature() -> None:
    assert drawn(temperature=0)["river"] == 1000
    shares = [drawn(temperature=temperature)["river"] for temperature in (0.2, 0.5, 1, 2)]
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) == 4


def test_sample_keeps_the_top_k_and_the_top_p() -> None:
    assert set(drawn(top_k=1)) == {"river"}
    assert set(drawn(top_k=3)) == {"river", "letter", "gate"}
    assert set(drawn(top_p=0)) == {"river"}
    assert set(drawn(top_p=0.5)) == {"river"}
    assert set(drawn(top_p=0.79)) == {"river", "letter"}


def text_for(prompt: str, **parameters: Any) -> str:
    values = query.parameters({name: str(value) for name, value in parameters.items()})
    return "".join(MODEL_UNDER_TEST.generate(prompt, **values))


def test_model_repeats_itself_for_the_same_prompt_and_parameters() -> None:
    assert text_for("rivers") == text_for("rivers")
    assert text_for("rivers") != text_for("gardens")


def test_model_writes_about_the_prompt() -> None:
    assert text_for("the barrel").startswith("Barrel")


@pytest.mark.parametrize("changed", [{"temperature": 1.5}, {"top_p": 0.1}, {"top_k": 1}])
def test_each_parameter_changes_the_text(changed: dict[str, float]) -> None:
    usual = {"temperature": 1.0, "top_p": 1.0, "top_k": 100}
    assert text_for("rivers", **usual) != text_for("rivers", **usual | changed)


@pytest.mark.parametrize("limit", [1, 2, 30])
def test_model_stops_at_its_limit(limit: int) -> None:
    assert len(list(MODEL_UNDER_TEST.generate("rivers", limit, 1.0, 1.0, 40))) == limit


@settings(max_examples=30)
@given(prompt=st.text(max_size=40), temperature=st.floats(0, 2))
def test_model_answers_any_prompt(prompt: str, temperature: float) -> None:
    tokens = list(MODEL_UNDER_TEST.generate(prompt, 200, temperature, 0.9, 40))
    assert 1 <= len(tokens) <= 200
    assert all(tokens)
    assert "".join(tokens).strip() == "".join(tokens)


# What is read from a query


@given(text=st.text(max_size=20))
def test_whole_number_is_in_range_or_refused(text: str) -> None:
    try:
        value = query.whole_number({"rows": text}, "rows", 5, 1, 100)
    except BadQueryError as error:
        assert "rows must be a whole number from 1 to 100" in str(error)
    else:
        assert 1 <= value <= 100
        assert text.lstrip("0") == str(value)


@given(text=st.one_of(st.text(max_size=20), st.floats().map(str)))
def test_real_number_is_in_range_or_refused(text: str) -> None:
    try:
        value = query.real_number({"delay": text}, "delay", 0.5, 0, 60)
    except BadQueryError as error:
        assert "delay must be a number from 0 to 60" in str(error)
    else:
        assert 0 <= value <= 60


def test_sse_event_gives_each_line_a_field() -> None:
    assert sse_event(" river") == "data:  river\n\n"
    assert sse_event("one\ntwo", name="end") == "event: end\ndata: one\ndata: two\n\n"


# The zoo


def load_exhibit(exhibit: Exhibit) -> Any:
    need(*filter(None, [exhibit.package]))
    return load(exhibit.target)


def read_exhibit(reader: Reader, exhibit: Exhibit, headers: Headers) -> Reader:
    app = load_exhibit(exhibit)
    if exhibit.kind == "wsgi":
        return reader.read_wsgi(app, exhibit.path, headers=headers)
    return reader.read_asgi(app, exhibit.path, headers=headers)


def decoded(encoding: str | None, body: bytes) -> bytes:
    """What can be read of the beginning of an encoded body."""
    if encoding == "gzip":
        return zlib.decompressobj(wbits=31).decompress(body)
    if encoding == "br":
        brotli: Any = import_module("brotli")
        plain: bytes = brotli.Decompressor().process(body)
        return plain
    assert encoding is None
    return body


@pytest.mark.parametrize(
    "name",
    ["starlette_compress", "flask_compress", "django_gzip", "django_blocking_iterator", "werkzeug_profiler"],
)
def test_exhibit_holds_every_chunk_to_the_end(reader: Reader, name: str) -> None:
    exhibit = EXHIBITS[name]
    warned = (
        pytest.warns(Warning, match="must consume synchronous iterators")
        if name == "django_blocking_iterator"
        else nullcontext()
    )
    with warned:
        read_exhibit(reader, exhibit, exhibit.headers)
    encoding = reader.headers.get("content-encoding")
    assert encoding == dict(exhibit.headers).get("Accept-Encoding")
    assert [decoded(encoding, held) for held in reader.held_at_pause] == [b""] * CHUNKS
    assert decoded(encoding, reader.body) == b"".join(DATA)


@pytest.mark.parametrize("name", ["starlette_compress", "flask_compress", "django_gzip"])
def test_compressing_exhibit_streams_to_a_reader_who_accepts_no_encoding(reader: Reader, name: str) -> None:
    STREAM.assert_streamed(read_exhibit(reader, EXHIBITS[name], ()))


def test_django_gzip_lets_its_header_out_at_once(reader: Reader) -> None:
    exhibit = EXHIBITS["django_gzip"]
    read_exhibit(reader, exhibit, exhibit.headers)
    assert reader.held_at_pause[0][:2] == b"\x1f\x8b"  # a first byte that proves nothing about the rest
    assert len(set(reader.held_at_pause)) == 1


@pytest.mark.usefixtures("no_delay")
def test_bridge_never_closes_what_a_server_would(capsys: pytest.CaptureFixture[str]) -> None:
    exhibit = EXHIBITS["bridge_never_closes"]
    assert read_exhibit(Reader(), exhibit, exhibit.headers).body == b"".join(DATA)
    assert capsys.readouterr().out == "the body begins\n"
    Reader().read_wsgi(load(exhibit.target.replace(":app", ":wsgi_app")), exhibit.path)
    assert capsys.readouterr().out == "the body begins\nclose() ran\n"


def first_chunk(app: WSGIApplication) -> tuple[bytes, Iterator[bytes]]:
    """The first chunk, and the rest that nobody has asked for."""
    environ: dict[str, Any] = {"PATH_INFO": "/stream"}
    setup_testing_defaults(environ)
    chunks = iter(app(environ, lambda *_: lambda _: None))
    return next(chunks), chunks


def test_queue_runs_ahead_of_a_reader_who_took_one_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: SimpleQueue[None] = SimpleQueue()
    replace_pauses(monkeypatch, lambda: pauses.put(None))
    held, rest = first_chunk(load("demo_apps.raw_wsgi:app"))
    assert pauses.empty()
    held, rest = first_chunk(load_exhibit(EXHIBITS["queue_runs_ahead"]))
    for _ in DATA:
        pauses.get(timeout=10)
    assert [held, *rest] == DATA


async def order_of_answers(app: ASGIApplication) -> list[str]:
    """Who got bytes and when, of the stream's reader and of another who asks for something short."""
    order: list[str] = []
    await asyncio.gather(
        Reader().exchange(app, "/stream", on_block=lambda: order.append("stream")),
        Reader().exchange(app, "/ping", on_block=lambda: order.append("other")),
    )
    return order


@pytest.mark.usefixtures("reader")
def test_sleep_in_async_app_makes_other_readers_wait() -> None:
    order = asyncio.run(order_of_answers(load("demo_apps.raw_asgi:app")))
    assert order[-1] == "stream"
    order = asyncio.run(order_of_answers(load_exhibit(EXHIBITS["sleep_in_async_app"])))
    assert order == ["stream"] * CHUNKS + ["other"]


@pytest.mark.servers
def test_sleep_in_async_app_makes_other_readers_wait_at_uvicorn() -> None:
    need("uvicorn")
    exhibit = EXHIBITS["sleep_in_async_app"]
    with PausedServer(exhibit.server, exhibit.target) as server, server.request(exhibit.path) as reader:
        server.wait_for_pause()
        with server.request("/ping") as other:
            for chunk in DATA:
                reader.read_until(chunk)
                assert other.read_arrived() == b""
                server.resume()
                if chunk != DATA[-1]:
                    server.wait_for_pause()
            other.read_until(b"pong")


@pytest.mark.servers
def test_blocking_async_generator_is_held_by_daphne() -> None:
    need("daphne")
    exhibit = EXHIBITS["blocking_async_generator"]
    with PausedServer(exhibit.server, exhibit.target) as server, server.request(exhibit.path) as reader:
        for _ in DATA:
            server.wait_for_pause()
            assert reader.read_arrived() == b""
            server.resume()
        reader.read_until(DATA[-1])
    assert all(chunk in reader.received for chunk in DATA)


@pytest.mark.servers
@pytest.mark.parametrize(
    ("server_name", "target"),
    [
        ("daphne", "demo_apps.raw_asgi:app"),
        ("uvicorn", "demo_apps.zoo.blocking_async_generator:app"),
        ("gunicorn", "demo_apps.raw_wsgi:app"),
    ],
)
def test_chunk_reaches_the_reader_while_the_app_is_paused(server_name: str, target: str) -> None:
    need(server_name)
    with PausedServer(server_name, target) as server, server.request("/stream") as reader:
        for chunk in DATA:
            server.wait_for_pause()
            reader.read_until(chunk)
            server.resume()


def test_zoo_lists_every_exhibit_once() -> None:
    modules = {path.stem for path in (ROOT / "demo_apps" / "zoo").glob("*.py")} - {"__init__"}
    assert {exhibit.target for exhibit in ZOO} == {f"demo_apps.zoo.{module}:app" for module in modules}
    assert len(EXHIBITS) == len(ZOO)


@pytest.mark.parametrize("exhibit", ZOO, ids=lambda exhibit: exhibit.name)
def test_exhibit_says_what_is_wrong_and_how_to_run_it(exhibit: Exhibit) -> None:
    need(*filter(None, [exhibit.package]))
    module = exhibit.target.partition(":")[0]
    first, *rest = (import_module(module).__doc__ or "").splitlines()
    assert first.endswith(".")
    commands = [line.split() for line in rest]
    assert any(words[:1] == [exhibit.server] and words[-1] == exhibit.target for words in commands)


# Imports

APP_MODULES = [
    "demo_apps.flask_stream",
    "demo_apps.fastapi_llm",
    "demo_apps.raw_wsgi",
    "demo_apps.raw_asgi",
    "demo_apps.django_stream",
    "demo_apps.llm_client",
    *[exhibit.target.partition(":")[0] for exhibit in ZOO],
]


def test_importing_an_app_does_nothing_else() -> None:
    need("flask", "fastapi", "django", "requests", *filter(None, [exhibit.package for exhibit in ZOO]))
    script = (
        "import importlib, sys, threading\n"
        "import demo_apps.zoo\n"
        "assert not {'flask', 'django', 'starlette', 'werkzeug', 'asgiref'} & set(sys.modules)\n"
        "for module in sys.argv[1:]: importlib.import_module(module)\n"
        "assert threading.active_count() == 1\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *APP_MODULES],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


class Uninstalled(MetaPathFinder):
    """An import system without one package."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname == self._package:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@pytest.mark.parametrize(
    ("module", "package", "name"),
    [
        ("demo_apps.flask_stream", "flask", "flask"),
        ("demo_apps.fastapi_llm", "fastapi", "fastapi"),
        ("demo_apps.django_stream", "django", "django"),
        ("demo_apps.llm_client", "requests", "requests"),
        ("demo_apps.zoo.starlette_compress_text", "starlette_compress", "starlette-compress"),
        ("demo_apps.zoo.flask_compress_stream", "flask_compress", "flask-compress"),
        ("demo_apps.zoo.werkzeug_profiler", "werkzeug", "werkzeug"),
        ("demo_apps.zoo.bridge_never_closes", "asgiref", "asgiref"),
    ],
)
def test_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch, module: str, package: str, name: str) -> None:
    if name == "flask-compress":
        need("flask")  # which its module imports first
    for loaded in [key for key in sys.modules if key in (module, package) or key.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(sys, "meta_path", [Uninstalled(package), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError, match=f"^This demo needs {name}: pip install {name}$"):
        import_module(module)


def test_missing_package_skips_on_a_laptop_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs no-such-package"):
        need("no-such-package")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-package is not installed"):
        need("no-such-package")
