"""Every decoder takes any document: it returns a value, or raises its own error with one sentence.

About 20 seconds in CI, 2 elsewhere; ``FUZZ_SECONDS=600 pytest tests/fuzz`` runs for as long as you like. What was found
is in the examples.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streamproof import ConfigurationError, Trace, TraceError, replay
from streamproof.profiles import resolve
from streamproof.profiles.catalogue import built_in
from streamproof.profiles.profile import read_profile
from streamproof.sansio.errors import NeedsData
from streamproof.sansio.flush import FlushPolicy
from streamproof.settings.loading import load
from streamproof.settings.schema import SCHEMA

from ..support.traces import tokens
from .documents import NASTY, damaged, data, mutations, scalars, toml, toml_document, words

SECONDS = float(os.environ.get("FUZZ_SECONDS", "20" if "CI" in os.environ else "2"))

pytestmark = pytest.mark.timeout(60 + 2 * SECONDS)


def fuzz(a_second: int) -> settings:
    """Run for a sixth of the time; ``a_second`` is how many examples an idle machine takes in a second."""
    return settings(
        max_examples=max(int(SECONDS / 6 * a_second), 20),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def one_sentence(error: Exception) -> None:
    message = str(error)
    assert message.isprintable(), message
    assert len(message) < 2000, message
    assert message.endswith((".", "?")), message


# --- traces

TRACE = {
    **tokens(3).to_dict(),
    "response": {
        "at": 0.1,
        "status": 200,
        "headers": [["Content-Encoding", "gzip"]],
        "head_size": 9,
        "framing": "close",
    },
    "server": "gunicorn",
    "figures": tokens(3).stats.to_dict(),
}
TRACE["chunks"] = [{"at": 0.2, "size": 2, "accepted_at": 0.3, "data": "YWI="}, {"at": 0.4, "size": 0}]
TRACE["end"] = {"at": 1.0, "outcome": "cut", "how": "rst", "by": "a hop", "reason": "why"}
TRACE_NAMES = st.sampled_from(
    re.findall(
        r"\w+",
        "format request response chunks end server figures method target http_version headers status at "
        "head_size framing size accepted_at data outcome how by reason gaps bytes ",
    )
)


def nested(levels: int) -> Any:
    inside: Any = 0
    for _ in range(levels):
        inside = {"a": [inside]}
    return inside


@fuzz(130)
@given(data(TRACE_NAMES) | mutations(TRACE, TRACE_NAMES))
@example({**TRACE, "chunks": [{"at": 0.2, "size": 1, "data": "é"}]})
@example({**TRACE, "chunks": [{"at": 0.2, "size": 10**400}]})
@example({**TRACE, "chunks": [{"at": 10**400, "size": 1}]})
@example({**TRACE, "figures": {"chunks": 10**400, "gaps": ["x"] * 15}})
@example({**TRACE, "figures": {"gaps": None}})
@example({**TRACE, 3: 4})
@example({**TRACE, "figures": {"chunks": 1}})
def test_a_trace_is_read_or_refused(document: Any) -> None:
    try:
        trace = Trace.from_dict(document)
    except TraceError as error:
        return one_sentence(error)
    assert Trace.from_dict(trace.to_dict()).to_dict() == trace.to_dict()


@pytest.mark.parametrize("name", ["extra", "request", "chunks", "server"])
def test_a_trace_that_is_nested_too_deeply_is_refused(name: str) -> None:
    with pytest.raises(TraceError) as caught:
        Trace.from_dict({**TRACE, name: nested(50_000)})
    one_sentence(caught.value)


@fuzz(500)
@given(damaged(json.dumps(TRACE)))
@example("[" * 100_000)
@example('{"a":' * 100_000)
@example('{"format": ' + "9" * 5000 + "}")
@example('{"format": -' + "9" * 5000 + "}")
@example('{"format": 1e' + "9" * 5000 + "}")
@example("\ufeff{}")
@example("")
def test_the_text_of_a_trace_is_read_or_refused(text: str) -> None:
    for form in (text, text.encode("utf-8", "surrogatepass")):
        try:
            Trace.from_json(form)
        except TraceError as error:
            one_sentence(error)


def packed(body: bytes) -> dict[str, Any]:
    return {"at": 0.2, "size": len(body), "data": b64encode(body).decode()}


GZIP = zlib.compressobj(wbits=31)
ZIPPED = GZIP.compress(b"tick\n" * 100) + GZIP.flush()
REPLAYED = {**TRACE, "chunks": [packed(ZIPPED)], "figures": None}
VIAS = st.sampled_from(["passthrough", "nginx", "nginx:gzip=on", "varnish", "heroku", "nginx+cloudflare", "apigw-rest"])


@fuzz(100)
@given(mutations(REPLAYED, TRACE_NAMES), VIAS)
@example({**REPLAYED, "chunks": [packed(b"this is not gzip")]}, "varnish")
@example({**REPLAYED, "chunks": [packed(b"this is not gzip")]}, "nginx")
@example({**REPLAYED, "chunks": [packed(ZIPPED[:30] + b"x" * 20)]}, "varnish")
@example({**REPLAYED, "chunks": [{"at": 0.2, "size": 10**13}]}, "nginx")
@example({**REPLAYED, "chunks": [{"at": 0.2, "size": 2**53 - 1}]}, "passthrough")
@example({**REPLAYED, "response": {"at": 0, "status": 200, "headers": [["Content-Length", "9" * 5000]]}}, "nginx")
def test_a_trace_that_is_read_is_replayed_or_refused(document: Any, via: str) -> None:
    try:
        replay(Trace.from_dict(document), via)
    except (TraceError, NeedsData) as error:
        one_sentence(error)


# --- settings

SETTINGS = {
    "log": "json",
    "sample": 0.5,
    "keep_chunks": 12,
    "on_trace": ["a:b"],
    "policy": {
        "preset": "csv",
        "heartbeat": 10,
        "types": ["text/*"],
        "compress": ["gzip"],
        "min_size": 3,
        "max_delay": 1.0,
    },
    "budget": {"max_silence": 15, "min_bursts": 3},
}
SETTING_NAMES = st.sampled_from([entry.name for entry in SCHEMA] + list(FlushPolicy.__dataclass_fields__))


def try_load(folder: Path, environ: dict[str, str] | None = None) -> None:
    try:
        load(folder=folder, environ=environ or {})
    except ConfigurationError as error:
        one_sentence(error)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings")


@fuzz(100)
@given(
    mutations({"tool": {"streamproof": SETTINGS}}, SETTING_NAMES).map(toml_document)
    | mutations(SETTINGS, SETTING_NAMES).map(lambda table: toml_document({"tool": {"streamproof": table}}))
    | damaged(toml_document(SETTINGS))
)
@example("tool = 3")
@example("[tool]\nstreamproof = 3")
@example("[tool.streamproof.policy]\nheartbeat = 'x'")
@example("[tool.streamproof.policy]\ncompress = 3")
@example("[tool.streamproof.policy]\ntypes = [3]")
@example("[tool.streamproof.policy]\nalways_stream = 3")
@example("[tool.streamproof.policy]\nframings = 'x'")
@example("[tool.streamproof.policy]\npreset = []")
@example("[tool.streamproof.budget]\nmax_silence = []")
@example("[tool.streamproof]\nqueue = " + "9" * 5000)
@example("[tool.streamproof]\nsample = " + "9" * 5000 + ".0")
@example("[tool.streamproof]\nexport = []")
@example("[tool.streamproof]\nlog_open = 0x" + "f" * 5000)
@example("[tool.streamproof]\npolicy = " + "[" * 5000)
@example("[tool.streamproof]\npolicy = " + "[" * 60 + "]" * 60)
@example("[tool.streamproof]\nmetrics_path = " + json.dumps("x" * 100_000))
@example("a." * 1000 + "a = 1")
@example("[" + "a." * 1000 + "a]")
@example("a = 2026-99-99")
def test_a_settings_file_is_read_or_refused(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(text, "utf-8", "surrogatepass", newline="")
    try_load(folder)


@fuzz(400)
@given(
    st.sampled_from(SCHEMA),
    (words | st.sampled_from([value for value in NASTY if isinstance(value, str)]) | scalars.map(str)).filter(
        lambda text: "\x00" not in text
    )
    | damaged("preset=csv heartbeat=10 compress=gzip,br min_size=3 max_delay=1.0"),
)
@example(next(entry for entry in SCHEMA if entry.name == "policy"), "heartbeat='")
@example(next(entry for entry in SCHEMA if entry.name == "policy"), "heartbeat=" + "9" * 5000)
@example(next(entry for entry in SCHEMA if entry.name == "queue"), "9" * 5000)
@example(next(entry for entry in SCHEMA if entry.name == "queue"), "²")
def test_a_variable_is_read_or_refused(folder: Path, setting: Any, text: str) -> None:
    (folder / "pyproject.toml").unlink(missing_ok=True)
    try_load(folder, {setting.variable: text})
    try_load(folder, {f"STREAMPROOF_{text}": "1"})


# --- profiles and vias

PROFILE: dict[str, Any] = {
    "name": "small",
    "title": "a small one",
    "summary": "streams",
    "grade": "measured",
    "date": built_in()["nginx"].date,
    "asks": "{version}",
    "options": {
        "release": {"kind": "version", "default": "1.2.3", "summary": "x"},
        "version": {
            "values": ["1.0", "1.1"],
            "default": "1.0",
            "defaults_when": [{"if": {"release": ">=9"}, "default": "1.1"}],
        },
        "wait": {"kind": "time", "default": "30s", "low": 1, "high": 90},
    },
    "constants": {"block": {"value": 4096, "when": [{"if": {"release": ">=2.0"}, "value": 1}]}},
    "pages": [{"status": 502, "size": 3, "headers": [["Server", "{release}"]]}],
    "stages": [
        {"use": "limits", "id": "a", "first_byte": "{wait}", "why": "{wait} s", "if": {"version": ["1.0", "1.1"]}},
        {"like": "a", "idle": 3, "when": {"response.type": "text/*"}, "unless": {"response.status": ["200"]}},
        {"use": "blocks", "size": "{block}", "count": 8, "cures": [["A", "b"]]},
        {"use": "compress", "types": ["text/html"], "level": 1, "vary": "on"},
    ],
    "facts": [{"text": "x", "source": "y", "date": built_in()["nginx"].date, "grade": "source"}],
    "gets_head": {"version": "1.0"},
    "base": "nginx",
    "base_options": {"gzip": "on"},
    "adds_request": [["Via", "{release}"]],
}
PROFILE_NAMES = st.sampled_from(
    re.findall(
        r"\w+",
        "use id like if when unless why fix cures size first status pages name kind default values low high base ",
    )
)


@fuzz(60)
@given(mutations(PROFILE, PROFILE_NAMES).map(toml_document) | damaged(toml_document(PROFILE)))
@example(toml_document(PROFILE))
@example(toml_document({**PROFILE, "options": {"a": {"kind": "int", "default": "9" * 5000}}}))
@example(toml_document({**PROFILE, "options": {"a": {"kind": "sise", "default": "1"}}}))
@example(toml_document({**PROFILE, "options": {"a": {"kind": "size", "default": "1", "low": 1e308}}}))
@example(toml_document({**PROFILE, "stages": [{"use": []}]}))
@example(toml_document({**PROFILE, "stages": [{"use": "blocks", "size": "x"}]}))
@example(toml_document({**PROFILE, "stages": [{"use": "limits", "pages": 3}]}))
@example(toml_document({**PROFILE, "stages": [{"use": "limits", "if": 3}]}))
@example(toml_document({**PROFILE, "asks": "9"}))
def test_a_profile_is_read_or_refused(text: str) -> None:
    try:
        profile = read_profile(text, "small.toml", built_in())
    except ConfigurationError as error:
        return one_sentence(error)
    assert profile.plan().ask in ("1.0", "1.1", "same")


OPTIONS = [f"{profile.name}:{name}" for profile in built_in().values() for name in profile.options]


@fuzz(300)
@given(
    st.builds("{}={}".format, st.sampled_from(OPTIONS), words | scalars.map(str))
    | damaged("nginx:gzip=on,gzip_types=text/plain image/svg+xml+cloudflare")
    | words
)
@example("nginx:proxy_buffers=" + "9" * 400_000)
@example("nginx:proxy_read_timeout=" + "9" * 400 + "h")
@example("nginx:gzip_comp_level=" + "9" * 5000)
@example("nginx:version=" + "9" * 5000)
@example("nginx:version=²")
@example("nginx:proxy_buffers=²k")
@example("n" * 400_000)
@example("+".join(["nginx"] * 100_000))
@example("nginx:" + ",".join(f"a{number}=1" for number in range(100_000)))
def test_a_via_is_read_or_refused(text: str) -> None:
    try:
        resolve(text)
    except ConfigurationError as error:
        one_sentence(error)


def test_the_documents_that_are_changed_are_valid(folder: Path) -> None:
    """Without this the mutations would all fail at the same place."""
    assert Trace.from_dict(TRACE).server == "gunicorn"
    assert replay(Trace.from_dict(REPLAYED), "varnish").body == b"tick\n" * 100
    assert read_profile(toml_document(PROFILE), "small.toml", built_in()).name == "small"
    (folder / "pyproject.toml").write_text(toml_document({"tool": {"streamproof": SETTINGS}}))
    assert load(folder=folder, environ={}).sample == 0.5
    assert toml([{"a": True}, 3]) == '[{"a" = true}, 3]'
