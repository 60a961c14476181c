"""``streamproof proxy`` as a user meets it: in a process of its own, stopped by Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..proxies.origin import Origin
from ..proxies.schedules import Schedule, evenly

COMMAND = (sys.executable, "-m", "streamproof.cli", "proxy")


@contextmanager
def proxying(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def refused(*arguments: str) -> str:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


def next_object(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


@pytest.mark.servers
def test_it_holds_as_the_profile_says_and_stops_on_ctrl_c() -> None:
    with (
        Origin() as origin,
        proxying("--json", str(origin.port), "--via", "gae-standard", "--via", "heroku") as process,
    ):
        play = origin.expect(Schedule("three", evenly(3, 100)))
        opened = [next_object(process), next_object(process)]
        assert [each["via"] for each in opened] == ["gae-standard", "heroku"]
        with urllib.request.urlopen(opened[0]["url"] + play.target, timeout=10) as answer:
            assert len(answer.read()) == 300
            assert answer.headers["Content-Length"] == "300"
        ended = next_object(process)
        assert (ended["via"], ended["status"], ended["bytes_out"], ended["outcome"]) == (
            "gae-standard",
            200,
            300,
            "complete",
        )
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")


@pytest.mark.servers
@pytest.mark.parametrize("way", ["download", "upload"])
def test_a_large_body_does_not_fill_the_memory(way: str) -> None:
    """A download behind a hop that holds everything is in memory once, an upload in a file."""
    size, block = 96 << 20, b"x" * (1 << 20)

    def serve() -> None:
        sock, _ = listener.accept()
        with sock, sock.makefile("rb") as received:
            while received.readline().strip():
                pass
            if way == "upload":
                while received.read(1 << 20):
                    pass
                return
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            for _ in range(size // len(block)):
                sock.sendall(block)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        with proxying("--json", str(listener.getsockname()[1]), "--via", "azure-functions") as process:
            port = int(next_object(process)["url"].rpartition(":")[2])
            before = peak(process.pid)
            with socket.create_connection(("127.0.0.1", port), 60) as sock:
                if way == "upload":
                    sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
                    for _ in range(size // len(block)):
                        sock.sendall(block)
                else:
                    sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    count = 0
                    while more := sock.recv(1 << 20):
                        count += len(more)
                    assert count > size
                grown = peak(process.pid) - before
    assert grown < (1.5 * size if way == "download" else 24 << 20)


def peak(pid: int) -> int:
    """The most memory that a process has had so far, in bytes."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("reads /proc")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_the_help_states_the_limits_of_memory() -> None:
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, timeout=20)
    assert "A request body above 1 MiB is in a temporary file." in done.stdout
    assert "--max-held SIZE" in done.stdout


@pytest.mark.servers
def test_plain_lines_name_the_rule_that_holds() -> None:
    with Origin() as origin, proxying(str(origin.port), "--via", "gae-standard") as process:
        assert process.stdout is not None
        play = origin.expect(Schedule("three", evenly(3, 100)))
        first = process.stdout.readline().strip()
        url = first.split(" at ")[1].split(" ")[0]
        assert first == f"gae-standard at {url} in front of 127.0.0.1:{origin.port} (facts: documented)"
        with urllib.request.urlopen(url + play.target, timeout=10) as answer:
            answer.read()
        assert process.stdout.readline().strip() == (
            f"#1 GET {play.target} -  100 B held by gae-standard: "
            "App Engine standard collects the whole body and sends it as one response"
        )


def test_a_port_in_use_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = refused("8000", "--via", "heroku", "--port", str(port))
    assert error.startswith(f"streamproof: Port {port} on 127.0.0.1 cannot be used: ")
    assert error.endswith("Expected a free port. Does another proxy still use it?")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("8000", "--via", "heruko"),
            "'heruko' in via 'heruko' is not a known profile. Valid names: ",
        ),
        (
            ("https://a.example", "--via", "heroku"),
            "The upstream 'https://a.example' uses TLS. Expected the plain http://host:port of an app server.",
        ),
        (("8000", "--via", "heroku", "--port", "70000"), "70000 is not a port (1 to 65535)."),
        (("http://", "--via", "heroku"), "'http://' is not an http or https URL with a host. "),
        (("\u00b2", "--via", "heroku"), "'\u00b2' is not a port (1 to 65535). Expected the digits 0 to 9."),
        (("0", "--via", "heroku"), "0 in 'http://127.0.0.1:0' is not a port (1 to 65535)."),
        (("9" * 5000, "--via", "heroku"), "'http://127.0.0.1:9999"),
        (("a" * 70, "--via", "heroku"), f"'{'a' * 56}..."),
    ],
)
def test_a_mistake_in_each_argument_is_one_sentence(arguments: tuple[str, ...], message: str) -> None:
    assert refused(*arguments).startswith(f"streamproof: {message}")
