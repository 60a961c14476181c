"""Documents beyond a limit are refused with one sentence, before they cost time or memory."""

from __future__ import annotations

import json
import tracemalloc
import zlib
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamproof import ConfigurationError, Trace, TraceError, replay
from streamproof.sansio import replay as replay_module
from streamproof.sansio import trace_json
from streamproof.sansio.decode import documents, limits
from streamproof.sansio.decode.containers import Items
from streamproof.sansio.decode.fault import SHOWN, Fault, shown
from streamproof.sansio.decode.fields import Choice, Flag, Number, Seconds, Text, Whole
from streamproof.sansio.decode.tables import Table, optional
from streamproof.sansio.machine import Cut, Data, End, Head
from streamproof.sansio.stages import inflate
from streamproof.sansio.trace import Chunk, Request
from streamproof.settings.loading import load

from ..support.traces import tokens

ROOT = Path(__file__).parents[2]
MIB = 1024**2


def gzipped(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(bytes(MIB)) for _ in range(size // MIB)), packer.flush()])


BOMB = gzipped(64 * MIB)


def document(chunk: dict[str, Any], *headers: list[str]) -> dict[str, Any]:
    return {
        "format": 1,
        "request": {"method": "GET", "http_version": "1.1", "headers": []},
        "response": {"at": 0, "status": 200, "headers": list(headers)},
        "chunks": [{"at": 0.5, **chunk}],
        "end": {"at": 1, "outcome": "complete"},
    }


def zipped(body: bytes) -> Trace:
    chunk = {"size": len(body), "data": b64encode(body).decode()}
    return Trace.from_dict(document(chunk, ["Content-Encoding", "gzip"]))


@pytest.mark.parametrize("via", ["passthrough", "nginx", "varnish"])
def test_a_body_that_fills_the_memory_is_refused(via: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "INFLATED_SIZE", MIB)
    trace = zipped(BOMB)
    trace = replace(trace, request=trace.request._replace(headers=(("Accept-Encoding", "gzip"),)))
    tracemalloc.start()
    with pytest.raises(TraceError, match=r"^The body has more than 1,048,576 bytes when it is decompressed\. Expected"):
        replay(trace, via)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * MIB  # 64 without the limit


@pytest.mark.parametrize("length", [(), (("Content-Length", "9"),)])
def test_a_hop_that_decompresses_cuts_a_body_that_fills_the_memory(
    length: tuple[tuple[str, str], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inflate, "INFLATED_SIZE", MIB)
    stage = inflate.Inflate(name="varnish").start(Request(), 0.0)
    stage.receive(Head(200, (("Content-Encoding", "gzip"), *length), "chunked", 50), 0.0)
    *out, last = stage.receive(Data(BOMB), 0.0)
    assert last == Cut(
        "fin", "varnish", "the body has more than 1,048,576 B when it is decompressed", own=True, discard=False
    )
    assert sum(len(event.data) for event in out if isinstance(event, Data)) <= MIB
    assert stage.receive(End(), 1.0) == ()


def test_a_hop_that_decompresses_cuts_a_body_that_is_not_gzip() -> None:
    delivery = replay(zipped(b"tick, and no gzip"), "varnish:do_gzip=true")
    assert (str(delivery.outcome), delivery.end.by) == ("cut", "varnish")
    assert delivery.end.reason == "the body is not gzip, as its Content-Encoding says"


def test_a_body_that_is_not_gzip_is_refused() -> None:
    with pytest.raises(TraceError, match=r"^The body is not gzip, as its Content-Encoding says: .* Was it recorded"):
        replay(zipped(b"tick, and no gzip"), "nginx")


def test_a_chunk_without_data_is_no_larger_than_memory() -> None:
    trace = Trace.from_dict(document({"size": 10**13}))
    with pytest.raises(TraceError, match=r"^The trace has a chunk of 10,000,000,000,000 bytes without data\. Expected"):
        replay(trace, "nginx")


def test_a_body_that_the_hops_hold_is_no_larger_than_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "HELD_SIZE", MIB)
    monkeypatch.setattr(replay_module, "EMPTY_CHUNK_SIZE", MIB)
    trace = Trace.from_dict(document({"size": MIB}))
    long = replace(trace, chunks=tuple(Chunk(0.5, MIB) for _ in range(8)))
    assert replay(long, "passthrough").stats.bytes == 8 * MIB
    with pytest.raises(TraceError, match=r"^The hops hold .* bytes of this body\. Expected at most 1,048,576"):
        replay(long, "gae-standard")


@pytest.mark.parametrize(
    ("member", "most"), [("TRACE_SIZE", 100), ("TRACE_SIZE", 2000)], ids=["too large", "large enough"]
)
def test_a_trace_has_a_largest_size(member: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_json, member, most)
    text = tokens(3).to_json()
    if most > len(text):
        assert Trace.from_json(text) == tokens(3)
        return
    match = rf"^The trace has {len(text):,} bytes\. Expected one JSON object, .* 100 bytes\."
    with pytest.raises(TraceError, match=match):
        Trace.from_json(text)


def test_the_chunks_of_a_trace_are_limited() -> None:
    crowd = Items(item=Whole(), most=3)
    assert crowd.read([1, 2, 3]) == (1, 2, 3)
    with pytest.raises(Fault) as caught:
        crowd.read([1, 2, 3, 4])
    assert caught.value.sentence("numbers", "Why?") == "numbers has 4 items. Expected a list of at most 3. Why?"
    chunks = next(member.field for member in trace_json.TRACE.members if member.name == "chunks")
    assert isinstance(chunks, Items)
    assert chunks.most == limits.CHUNKS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "The trace is nested too deeply. Expected at most 32 levels. "),
        ('{"a": ' + "9" * 5000 + "}", "The trace has a number of 5,000 digits. Expected at most 40 digits. "),
    ],
)
def test_text_that_breaks_the_parser_is_refused(text: str, message: str) -> None:
    with pytest.raises(TraceError) as caught:
        Trace.from_json(text)
    assert str(caught.value) == f"{message}Was the file edited by hand?"


def test_a_member_that_nobody_reads_may_be_nested_up_to_the_limit() -> None:
    deep: Any = 0
    for _ in range(limits.NESTING):
        deep = [deep]
    good = tokens(3).to_dict()
    assert Trace.from_dict({**good, "extra": deep}) == tokens(3)
    with pytest.raises(TraceError, match="nested too deeply"):
        Trace.from_dict({**good, "extra": [deep]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tool = 3", "pyproject.toml: tool is 3. Expected a table. "),
        ("[tool]\nstreamproof = 3", "pyproject.toml: tool.streamproof is 3. Expected a table. "),
        ("a." * 40 + "a = 1", "pyproject.toml has a key of more than 32 parts. Expected TOML. "),
        ("a = " + "[" * 5000, "pyproject.toml is nested too deeply. Expected at most 32 levels. "),
        ("a = " + "9" * 5000, "pyproject.toml has a number of thousands of digits. Expected at most 40 digits. "),
        (
            "[tool.streamproof.policy]\nheartbeat = '5'",
            "pyproject.toml: policy.heartbeat is '5'. Expected a number of seconds, more than 0, at most ",
        ),
        (
            "[tool.streamproof.policy]\ntypes = [3]",
            "pyproject.toml: policy.types[0] is 3. Expected text, at most 10,000 characters. ",
        ),
        (
            "[tool.streamproof.policy]\ncompress = ['zip']",
            "pyproject.toml: policy.compress[0] is 'zip'. Expected one of zstd, br, gzip. Did you mean 'gzip'?",
        ),
    ],
)
def test_settings_that_broke_the_loading_are_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(folder=tmp_path, environ={})
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(message)
    assert str(caught.value).endswith("?")


def test_a_text_with_many_periods_is_not_a_long_key(tmp_path: Path) -> None:
    sentences = "One. Two, three. " * 100
    (tmp_path / "pyproject.toml").write_text(f'[project]\ndescription = "{sentences}"\n[tool.streamproof]\nqueue = 7\n')
    assert load(folder=tmp_path, environ={}).queue == 7


LONG = [None, True, 10**5000, -1.5, "x" * 10**6, "\x1b[31m\n\x85", [[[[1]]]] * 50, {"a": {"b": {"c": 1}}}, object()]


@pytest.mark.parametrize("value", LONG, ids=[str(number) for number in range(len(LONG))])
def test_the_value_in_an_error_is_short_and_printable(value: object) -> None:
    assert len(shown(value)) <= SHOWN
    assert shown(value).isprintable()


def test_a_table_describes_itself() -> None:
    """JSON Schema can be made of it: each field has a kind and words for what it expects."""
    table = Table(members=(optional("a", Choice(values=("x", "y"))), optional("b", Seconds()), optional("c", Flag())))
    described = {member.name: (member.field.kind, member.field.expected) for member in table.members}
    assert described == {
        "a": ("choice", "one of x, y"),
        "b": ("seconds", "a number of seconds from 0 to 1,000,000,000"),
        "c": ("flag", "true or false"),
    }
    assert (Whole().kind, Number().kind, Text().kind) == ("whole", "number", "text")


def test_every_limit_is_in_the_documentation() -> None:
    """As a number with separators, in MiB or GiB, or as a power."""
    page = (ROOT / "docs" / "limits.md").read_text("utf-8")
    for name, value in vars(limits).items():
        if name.isupper():
            number = int(value)
            forms = [f"{number:,}", f"{number // MIB} MiB", f"{number // 1024**3} GiB"]
            forms += ["2^53 - 1"] * (number == 2**53 - 1)
            assert any(f"| {form}" in page for form in forms), name


def test_json_is_parsed_within_the_digits() -> None:
    most = "9" * limits.DIGITS
    assert documents.json_data(f"[{most}, -1, 0.5]", most=100, expected="JSON") == [int(most), -1, 0.5]
    assert json.loads(json.dumps([1.5])) == documents.json_data(b"[1.5]", most=100, expected="JSON")
