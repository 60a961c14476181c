"""A via's text is parsed where the user gave it; what it means is what travels on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamproof import Trace
from streamproof.adapters.policy import PreparedPolicy
from streamproof.adapters.via import Route
from streamproof.analysis.diagnosis import diagnose
from streamproof.cli import main
from streamproof.profiles import resolve, via
from streamproof.sansio.flush import FlushPolicy
from streamproof.testing import suite
from streamproof.testing.clients import streaming
from streamproof.testing.recorded import trace_of
from streamproof.testing.transports import client

from ..support.testing_apps import WSGIStream, need

TEXT = "nginx:tls=on+heroku"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were parsed."""
    texts: list[str] = []
    parts: Callable[[str], list[str]] = via._parts

    def counted(text: str) -> list[str]:
        texts.append(text)
        return parts(text)

    monkeypatch.setattr(via, "_parts", counted)
    return texts


def test_a_client_parses_once_for_all_its_responses(parsed: list[str]) -> None:
    need("httpx2")
    with client(WSGIStream(), via=TEXT) as web:
        responses = [web.get("/") for _ in range(3)]
    assert parsed == [TEXT]
    assert trace_of(responses[0]).via == TEXT


def test_a_framework_client_parses_once(parsed: list[str]) -> None:
    need("werkzeug")
    from werkzeug.test import Client

    web: Any = streaming(Client(WSGIStream()), via=TEXT)
    for _ in range(3):
        assert web.get("/").data
    assert parsed == [TEXT]


def test_a_run_parses_once_for_all_its_clients(parsed: list[str]) -> None:
    need("werkzeug")
    from werkzeug.test import Client

    with suite.behind(TEXT):
        for _ in range(2):
            assert Client(WSGIStream()).get("/").data
    assert parsed == [TEXT]


def test_a_heartbeat_of_the_right_size_is_found_with_one_parsing(parsed: list[str]) -> None:
    PreparedPolicy(FlushPolicy(heartbeat=1.0, heartbeat_via="nginx:tls=on"))
    assert parsed == ["nginx:tls=on"]


def test_replay_on_the_command_line_parses_each_via_once(
    parsed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "stream.json"
    file.write_text(TRACE.to_json())
    main(["replay", str(file), "--via", TEXT, "--via", "nginx", "--json"])
    assert parsed == [TEXT, "nginx"]


def test_what_was_parsed_is_taken_as_it_is(parsed: list[str]) -> None:
    chain = resolve(TEXT)
    assert Route(chain).text == diagnose(TRACE, chain).vantage == TEXT
    assert parsed == [TEXT]


TRACE = Trace.from_dict(
    {
        "format": 1,
        "request": {"method": "GET", "http_version": "1.1", "headers": []},
        "response": {"at": 0.0, "status": 200, "headers": [["Content-Type", "text/plain"]]},
        "chunks": [{"at": second, "size": 10} for second in (1.0, 2.0, 3.0)],
        "end": {"at": 4.0, "outcome": "complete"},
    }
)
