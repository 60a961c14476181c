"""The command line without a server of an app: help, replay, probe, profiles, and the pieces that draw."""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import streamproof
from streamproof.adapters import compiled
from streamproof.cli import COMMANDS, main
from streamproof.cli._arguments import address, seconds, size
from streamproof.cli._live import Live, preview
from streamproof.cli._waterfall import ASCII, BLOCKS, Axis, pens, row
from streamproof.sansio.delivery import Burst
from streamproof.sansio.trace import Chunk, Outcome, Request, Response, StreamEnd, Trace

from ..support.scripted_server import CHUNKED, saying, scripted


def recording(server: str | None = "gunicorn") -> Trace:
    chunks = tuple(Chunk(at / 10, 5, None, b"tick\n") for at in range(1, 5))
    head = Response(200, (("Content-Type", "text/plain"),), 0.05)
    return Trace(Request(), head, chunks, StreamEnd(0.5, Outcome.COMPLETE), server)


@pytest.fixture
def kept(tmp_path: Path) -> str:
    path = tmp_path / "kept.json"
    path.write_text(recording().to_json())
    return str(path)


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    counting = "in Python" if compiled.counting is None else "compiled"
    assert capsys.readouterr().out == f"streamproof {streamproof.__version__} (counting: {counting})\n"
    assert main(["--help"]) == 0
    assert "exit status:" in capsys.readouterr().out
    assert main([]) == 2


@pytest.mark.parametrize("command", [module.__name__.rpartition(".")[2] for module in COMMANDS])
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"usage: streamproof {command}" in capsys.readouterr().out


def test_replay_prints_the_table_and_its_status_counts_the_vias_asked_for(
    kept: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", kept, "--via", "passthrough", "--via", "gae-standard"]) == 1
    assert capsys.readouterr().out == (
        """
             first  last bursts   lag outcome  verdict
app          100ms 400ms      4     - complete streams
passthrough  100ms 400ms      4   0ms complete streams
gae-standard 500ms 500ms      1 400ms complete held to the end

              0                           0.25                           0.50 s
app          |             ▃            ▃            ▃            ▃
passthrough  |             ▃            ▃            ▃            ▃
gae-standard |             ···················································█

gae-standard: held to the end
    all 20 B at 0.50 s, up to 0.40 s late: App Engine standard collects the
    whole body and sends it as one response
    fix: move this route to App Engine flexible (with `X-Accel-Buffering: no`)
    or Cloud Run; nothing in the app helps
"""
    )
    assert main(["replay", kept]) == 0


def test_replay_reads_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(recording().to_json().encode())))
    assert main(["replay", "-", "--json", "--via", "passthrough"]) == 0
    assert [entry["vantage"] for entry in json.loads(capsys.readouterr().out)["vantages"]] == ["app", "passthrough"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "The recording '{path}' cannot be read: No such file or directory. Expected a file that --save wrote, "),
        ("{", "The trace is not JSON: Expecting property name enclosed in double quotes at line 1 column 2. "),
        ("{}", "trace has no 'format'. Expected it there. Is it a trace of another format than 1?"),
    ],
)
def test_a_recording_that_cannot_be_used_is_one_sentence(
    text: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "some.json"
    if text is not None:
        path.write_text(text)
    assert main(["replay", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"streamproof: {message.format(path=path)}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{folder}", "Is a directory"),
        ("{folder}:1", "Is a directory"),
        ("{folder}:\u00b2", "No such file or directory"),
        ("{folder}:" + "9" * 5000, "File name too long"),
        ("a" * 300, "File name too long"),
        ("a" * 300 + ":1", "File name too long"),
    ],
)
def test_a_file_name_that_cannot_be_read_is_one_sentence(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", name.format(folder=tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("streamproof: The recording '")
    assert f"cannot be read: {message}. Expected a file that --save wrote, or -." in error
    assert len(error) < 600


@pytest.mark.parametrize(
    "arguments",
    [
        ("http://" + "a" * 70,),
        ("http://a..b/",),
        ("http://127.0.0.1:0/",),
        ("http://127.0.0.1:" + "9" * 5000,),
        ("http://127.0.0.1:9/\udcff",),
        ("http://127.0.0.1:9/", "-d", "\udcff"),
        ("http://127.0.0.1:9/", "-d", "@" + "a" * 300),
        ("http://127.0.0.1:9/", "--timeout", "9" * 400 + "s"),
        ("http://127.0.0.1:9/", "--for", "\u0663s"),
        ("http://127.0.0.1:9/", "--chunks", "9" * 5000),
    ],
)
def test_an_argument_that_cannot_be_used_is_one_sentence(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Port 9 has no listener, so a request that can be sent is an error as well."""
    assert main(["probe", *arguments]) == 2
    assert "Traceback" not in (error := capsys.readouterr().err)
    assert "streamproof" in error
    assert len(error) < 2000


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("64k", 65536), ("256M", 1 << 28), ("1g", 1 << 30)])
def test_sizes(text: str, value: int) -> None:
    assert size(text) == value


@pytest.mark.parametrize("text", ["", "0", "-1", "1t", "\u00b2", "9" * 400, "1.5m"])
def test_an_invalid_size_is_an_error(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"is not a size\. Expected, for example, 64k, 256m or 1g\.$"):
        size(text)


def without(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command where ``module`` is not installed."""
    code = f"import sys; sys.modules[{module!r}] = None; from streamproof import extras; find = extras.find_spec; "
    code += f"extras.find_spec = lambda name: None if name == {module!r} else find(name); "
    code += f"from streamproof.cli import main; sys.exit(main({list(arguments)!r}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_without_rich_replay_still_gives_data_and_drawing_says_what_to_install(kept: str) -> None:
    assert without("rich", "replay", kept, "--json").returncode == 0
    drawing = without("rich", "replay", kept)
    assert (drawing.returncode, drawing.stderr) == (
        2,
        "streamproof: Drawing needs rich, which is not installed. Install it: pip install 'streamproof[cli]'.\n",
    )


@pytest.mark.parametrize("command", ["check", "probe"])
def test_without_h11_reading_says_what_to_install(command: str) -> None:
    done = without("h11", command, "http://127.0.0.1:1/")
    assert (done.returncode, done.stderr) == (
        2,
        "streamproof: Reading from a socket needs h11, which is not installed. "
        "Install it: pip install 'streamproof[cli]'.\n",
    )


def test_probe_prints_what_arrived_and_keeps_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "kept.json"
    with scripted(saying(CHUNKED + b"5\r\ntick\n\r\n0\r\n\r\n")) as port:
        assert main(["probe", f"http://127.0.0.1:{port}/x", "--save", str(kept)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("200 OK, no content type, chunked\n")
    assert '5 B  "tick\\n"\n' in out
    assert Trace.from_json(kept.read_text()).body == b"tick\n"


def test_probe_gives_data_that_replay_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(saying(CHUNKED + b"5\r\ntick\n\r\n")) as port:
        assert main(["probe", f"http://127.0.0.1:{port}/x", "--json"]) == 1
    trace = Trace.from_json(capsys.readouterr().out)
    assert (trace.outcome, trace.end.how, trace.request.target) == (Outcome.CUT, "fin", "/x")


def test_profiles_lists_every_profile_with_grade_and_date(capsys: pytest.CaptureFixture[str]) -> None:
    from streamproof.profiles import catalogue

    assert main(["profiles"]) == 0
    heads = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert [head.split()[:3] for head in heads] == [
        [name, profile.grade, str(profile.date)] for name, profile in catalogue().items()
    ]


def test_one_profile_is_explained_with_options_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    from streamproof.profiles import catalogue

    nginx = catalogue()["nginx"]
    assert main(["profiles", "nginx"]) == 0
    out = capsys.readouterr().out
    assert "  proxy_http_version\n      one of 1.0, 1.1; default 1.0; 1.1 when version >=1.29.7\n" in out
    assert all(fact.source in out for fact in nginx.facts)
    assert main(["profiles", "nginx", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert list(data["options"]) == list(nginx.options)


def test_an_unknown_profile_is_an_error_with_the_valid_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "nope"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("streamproof: 'nope' in via 'nope' is not a known profile. Valid names: ")


def test_options_shows_what_each_option_changes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "nginx", "--options"]) == 0
    out = capsys.readouterr().out
    assert "  events, 20 B every 0.5 s                  held to the end\n" in out
    change = "      events, 20 B every 0.5 s: held to the end -> streams\n"
    assert f"  proxy_http_version=1.1\n{change}" in out
    assert "  gzip_vary=on: changes none of these streams\n" in out


def test_several_vias_are_compared_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "heroku", "nginx:proxy_http_version=1.1,tls=on"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["heroku", "nginx:proxy_http_version=1.1,tls=on"]
    assert lines[1].split("  ")[0] == "events, 20 B every 0.5 s"
    assert lines[1].endswith("  streams                  held to the end")
    assert main(["profiles", "heroku", "cloudflare", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["heroku"]["a silence of 90 s"] == "cut at 55 s"
    assert data["cloudflare"]["a silence of 90 s"] == "streams"


def test_every_profile_has_a_behavior(capsys: pytest.CaptureFixture[str]) -> None:
    from streamproof.profiles import catalogue

    assert main(["profiles", *catalogue(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == set(catalogue())
    assert set(found["passthrough"].values()) == {"streams", "the reader sees the cut"}


@pytest.mark.parametrize(("text", "value"), [("5s", 5.0), ("500ms", 0.5), ("2m", 120.0), ("1.5", 1.5), (".5s", 0.5)])
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "0", "-1s", "5x", "s", "1e3", "nan"])
def test_an_invalid_duration_is_an_error(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        seconds(text)
    assert str(caught.value) == f"{text!r} is not a duration. Expected, for example, 5s, 500ms or 2m."


@pytest.mark.parametrize(
    ("url", "path", "expected"),
    [
        ("http://a", None, "http://a:80/"),
        ("https://a/b?c=d#e", None, "https://a:443/b?c=d"),
        ("http://a:8000", "/b c", "http://a:8000/b%20c"),
        ("http://a:8000/b/", "c", "http://a:8000/b/c"),
        ("http://[::1]:80/", None, "http://[::1]:80/"),
    ],
)
def test_addresses(url: str, path: str | None, expected: str) -> None:
    assert address(url, path).url == expected


@pytest.mark.parametrize(
    ("data", "encoding", "shown"),
    [
        (b"tick\n", "utf-8", '"tick\\n"'),
        (b'\x1b[31m"\\', "utf-8", '"\\x1b[31m\\"\\\\"'),
        ("é‮".encode(), "utf-8", '"é\\u202e"'),
        ("é".encode(), "ascii", '"\\xe9"'),
        (b"a" * 60, "utf-8", '"' + "a" * 49 + '..."'),
    ],
)
def test_a_preview_drives_no_terminal(data: bytes, encoding: str, shown: str) -> None:
    assert preview(data, encoding) == shown


def test_compressed_bytes_are_not_shown() -> None:
    out: Any = io.StringIO()
    live = Live(out)
    live.head(Response(200, (("Content-Encoding", "gzip"),), 0.0, None, "close"))
    live.arrival(Chunk(0.1, 3, None, b"\x1f\x8b\x08"))
    assert out.getvalue() == "200 OK, no content type, until close\n    0.100 s        3 B  (gzip)\n"


PRODUCED = (Burst(0.0, 4), Burst(1.0, 4))


@pytest.mark.parametrize(
    ("delivered", "broken", "drawn"),
    [
        (PRODUCED, False, "▅    ▅    "),
        ((Burst(2.0, 8),), False, "·········█"),
        ((Burst(0.5, 4), Burst(1.5, 4)), False, "··▅  ··▅  "),
        ((), True, "·········x"),
        ((Burst(0.0, 4),), True, "▅    ····x"),
    ],
)
def test_a_waterfall_row(delivered: tuple[Burst, ...], broken: bool, drawn: str) -> None:
    assert row(PRODUCED, delivered, 2.0, broken, Axis(2.0, 10), BLOCKS) == drawn


def test_a_waterfall_without_blocks_is_ascii() -> None:
    assert (pens("utf-8"), pens("ascii"), pens(None)) == (BLOCKS, ASCII, ASCII)
    assert row(PRODUCED, (Burst(2.0, 8),), 2.0, False, Axis(2.0, 10), ASCII) == ".........#"


def test_output_for_nobody_ends_quietly(kept: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "streamproof.cli", "profiles", "nginx"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(30), error) == (1, b"")
