"""Arguments that no machine can use are refused with one sentence: hosts, durations and numbers that are too long."""

from __future__ import annotations

import pytest

from streamproof.cli import CANNOT_RUN, main

LABEL = "b" * 300


@pytest.mark.parametrize("command", ["probe", "check"])
@pytest.mark.parametrize(
    "host", [f"{LABEL}.com", "a..b", f"é{LABEL}", ".".join(["b" * 60] * 5)], ids=["label", "empty", "idna", "name"]
)
def test_a_host_that_cannot_be_looked_up_is_refused(
    command: str, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, f"http://{host}/"]) == CANNOT_RUN
    error = capsys.readouterr().err
    assert " is not the name of a host. Expected at most 253 characters, 1 to 63 between two periods." in error
    assert len(error.splitlines()) == 1
    assert len(error) < 300


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--for", "9" * 5000 + "s"], "is not a duration. Expected, for example, 5s, 500ms or 2m, at most "),
        (["--timeout", "9" * 100], "is not a duration. Expected, for example, 5s, 500ms or 2m, at most "),
        (["--chunks", "9" * 5000], "is not a number of chunks. Expected a whole number from 1."),
        (["--chunks", "²"], "is not a number of chunks. Expected a whole number from 1."),
        (["--chunks", "0"], "is not a number of chunks. Expected a whole number from 1."),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_number_that_is_too_long_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", "http://127.0.0.1:1/", *arguments]) == CANNOT_RUN
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert message in line
    assert len(line) < 300


@pytest.mark.parametrize("port", ["9" * 5000, "²", "0", "65536", "x"])
def test_a_port_that_is_none_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "app:app", "--port", port]) == CANNOT_RUN
    assert "is not a port (1 to 65535)." in capsys.readouterr().err


def test_a_url_that_is_too_long_is_shown_short(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "ftp://" + "b" * 100_000]) == CANNOT_RUN
    assert len(capsys.readouterr().err) < 300
