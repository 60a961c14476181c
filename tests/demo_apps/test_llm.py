"""The FastAPI app and its client, which prints each token as it comes."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from ..support.demo_streams import token_chunks
from ..support.demo_support import ROOT, ASGIApplication, Reader, load, need
from ..support.paused_server import PausedServer


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
def test_client_reports_a_refusal(capsys: pytest.CaptureFixture[str], run_client: Callable[[list[str]], int]) -> None:
    need("uvicorn")
    with PausedServer("uvicorn", "demo_apps.raw_asgi:app") as server:
        url = f"{server.url}/search"
        assert run_client(["--url", url, "--prompt", " "]) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"{url} answered 400: ai_prompt must be a text of 1 to 2000 characters.")


def test_client_reports_a_stream_that_broke_off(
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
