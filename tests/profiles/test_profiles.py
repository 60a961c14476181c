"""Every shipped profile can be planned with any of its values, tells where its figures come from, and loses no byte."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproof import Trace, replay
from streamproof.profiles import Profile, catalogue, resolve
from streamproof.profiles._rules import rules
from streamproof.profiles.options import Option
from streamproof.profiles.profile import GRADES, read_profile
from streamproof.sansio.errors import ConfigurationError
from streamproof.sansio.machine import Data, Head, framed
from streamproof.sansio.stages import STAGES
from streamproof.sansio.trace import Chunk, Outcome, Request, Response, StreamEnd

NAMES = list(catalogue())
TEXT = b"".join(b"%06d,sensor,%03d\n" % (row, row * 7919 % 1000) for row in range(9000))

PROMISED = """
    nginx nginx-uwsgi ingress-nginx apache apache-uwsgi haproxy openshift caddy traefik envoy varnish squid lighttpd h2o
    trafficserver nghttpx go-reverseproxy webpack-dev-server next-dev vite gae-standard gae-flex cloud-run
    firebase-hosting apigw-rest apigw-http lambda-url aws-alb cloudfront elastic-beanstalk heroku cloudflare cloudflared
    trycloudflare fastly azure-app-service azure-apim azure-functions vercel railway gunicorn-sync antivirus-scanner
    passthrough
"""


def trace(
    *pieces: tuple[float, bytes],
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "text/event-stream"),),
    request: Request | None = None,
    outcome: Outcome = Outcome.COMPLETE,
    end: float | None = None,
) -> Trace:
    last = pieces[-1][0] if pieces else 0.0
    return Trace(
        request or Request(headers=(("Accept-Encoding", "gzip"),)),
        Response(200, headers, 0.0),
        tuple(Chunk(at, len(data), None, data) for at, data in pieces),
        StreamEnd(last + 0.1 if end is None else end, outcome),
    )


def arrivals(delivery: Trace) -> list[tuple[float, bytes]]:
    return [(round(chunk.at, 6), chunk.data or b"") for chunk in delivery.chunks]


HOLDERS = (
    "limits",
    "blocks",
    "coalesce",
    "go_writer",
    "hold_back",
    "buffer_all",
    "tls_records",
    "head_hold",
    "throttle",
)
EVENTS = [(step / 10, b"data: %011d\n\n" % step) for step in range(1, 6)]


# --- what is in the files


def test_every_promised_profile_is_there() -> None:
    assert set(PROMISED.split()) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_facts_have_a_source_a_date_and_a_grade(name: str) -> None:
    profile = catalogue()[name]
    assert profile.facts
    for fact in profile.facts:
        assert fact.text.strip()
        assert fact.source.strip()
        assert fact.grade in GRADES
        assert datetime.date(2026, 1, 1) <= fact.date <= datetime.date(2027, 1, 1)
    assert profile.grade in GRADES
    assert any(fact.grade == profile.grade for fact in profile.facts)


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_that_holds_says_why_and_what_helps(name: str) -> None:
    for entry in catalogue()[name].stages:
        if entry["use"] in (
            "limits",
            "blocks",
            "coalesce",
            "go_writer",
            "hold_back",
            "buffer_all",
            "tls_records",
            "head_hold",
            "nagle",
        ):
            assert entry.get("why"), entry
            assert entry.get("fix"), entry


def spellings(number: float, *, seconds: bool) -> Iterator[str]:
    """How a fact may write this figure."""
    yield from (f"{number:g}", f"{number:,.0f}", f"{number * 1000:g} ms")
    if seconds:
        yield from (f"{number / 60:g} min", f"{number / 3600:g} h")
    else:
        yield from (f"{number / 1024:g} {unit}" for unit in ("KB", "KiB", "kB"))
        yield from (f"{number / 1048576:g} {unit}" for unit in ("MB", "MiB"))


#: Settings that are durations; the other numbers are bytes, statuses, levels and windows.
SECONDS = {"first_byte", "idle", "total", "delay", "latency", "linger"}

#: Plain mechanism: the format, not the product, chose these.
MECHANISM = {"step", "level", "memory", "window"}


def stats(profile: Profile) -> Iterator[tuple[str, float, bool]]:
    """Every number that the file itself gives: of its stages, its pages, and the defaults of its options."""
    for entry in profile.stages:
        for key, value in entry.items():
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int | float) and not isinstance(number, bool) and key not in MECHANISM and number:
                    yield f"{entry['use']}.{key}", number, key in SECONDS
    for option in profile.options.values():
        default = option.parse(option.default, profile.name)
        if isinstance(default, int | float) and default:
            yield option.name, default, option.kind in ("time", "milliseconds")


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_in_a_fact(name: str) -> None:
    profile = catalogue()[name]
    said = " ".join(fact.text for fact in profile.facts)
    missing = [
        (where, number)
        for where, number, seconds in stats(profile)
        if not any(
            re.search(rf"(?<![\d.]){re.escape(text)}(?!\d)", said) for text in spellings(number, seconds=seconds)
        )
    ]
    assert missing == []


# --- options


def values_of(option: Option) -> st.SearchStrategy[str]:
    """Texts that this option takes."""
    some = {
        "size": ("512", "4k", "16k"),
        "time": ("50ms", "2s", "1m"),
        "milliseconds": ("200", "29000"),
        "int": ("1", "5"),
        "list": ("", "text/event-stream", "text/plain text/event-stream", "X-Accel-Buffering"),
        "version": ("1.29.7", "2.9.0", "9.2"),
        "text": ("here",),
    }
    return st.sampled_from((option.default, *(option.values or some[option.kind])))


@pytest.mark.parametrize("name", NAMES)
def test_every_default_and_every_listed_value_plans(name: str) -> None:
    profile = catalogue()[name]
    assert profile.plan().name == name
    for option in profile.options.values():
        assert option.summary
        for text in (option.default, *option.values):
            assert resolve(f"{name}:{option.name}={text}").plans[0].name == f"{name}:{option.name}={text}"


def test_a_plus_inside_a_media_type_parts_no_hops() -> None:
    via = resolve("nginx:gzip=on,gzip_types=application/xhtml+xml text/css+nginx:gzip_types=image/svg+xml+heroku")
    assert [plan.name for plan in via.plans] == [
        "nginx:gzip=on,gzip_types=application/xhtml+xml text/css",
        "nginx:gzip_types=image/svg+xml",
        "heroku",
    ]


def test_an_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError) as raised:
        resolve("ngnix:gzip=on")
    assert str(raised.value) == (
        f"'ngnix' in via 'ngnix:gzip=on' is not a known profile. Valid names: {', '.join(NAMES)}. Was 'nginx' meant?"
    )


@pytest.mark.parametrize(
    ("via", "message"),
    [
        (
            "heroku:gzip=on",
            "heroku has no option 'gzip'. Valid options: none. Is it a directive of another product?",
        ),
        (
            "varnish:do_esl=true",
            "varnish has no option 'do_esl'. Valid options: pass, do_stream, do_gzip, do_esi, first_byte_timeout, "
            "between_bytes_timeout. Is it a directive of another product?",
        ),
        (
            "nginx:gzip=yes",
            "nginx:gzip=yes cannot be used. Expected one of on, off. Is it a typing mistake?",
        ),
        (
            "nginx:proxy_buffer_size=4q",
            "nginx:proxy_buffer_size=4q cannot be used. Expected a size such as 4096, 16k or 1m, at least 1. "
            "Is it a typing mistake?",
        ),
        (
            "nginx:gzip_comp_level=10",
            "nginx:gzip_comp_level=10 cannot be used. Expected a whole number, at least 1, at most 9. "
            "Is it a typing mistake?",
        ),
        (
            "nginx:proxy_read_timeout=-1s",
            "nginx:proxy_read_timeout=-1s cannot be used. Expected a time such as 60s, 500ms or 1m. "
            "Is it a typing mistake?",
        ),
        (
            "nginx:version=new",
            "nginx:version=new cannot be used. Expected a version such as 1.22.1. Is it a typing mistake?",
        ),
        (
            "apigw-rest:timeoutInMillis=29s",
            "apigw-rest:timeoutInMillis=29s cannot be used. Expected a whole number of milliseconds. "
            "Is it a typing mistake?",
        ),
        (
            "nginx:gzip",
            "'gzip' in via 'nginx:gzip' is not an option. Expected OPTION=VALUE, "
            "as in nginx:OPTION=VALUE,OPTION=VALUE. Is the equals sign missing?",
        ),
        (
            "nginx:gzip=on,gzip=off",
            "'gzip' stands twice in via 'nginx:gzip=on,gzip=off'. Expected each option once. "
            "Was a second hop (+) meant?",
        ),
    ],
)
def test_what_cannot_be_used_says_so(via: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        resolve(via)
    assert str(raised.value) == message


# --- files that break the shape

SMALL: Mapping[str, Any] = {
    "name": '"small"',
    "title": '"a small one"',
    "summary": '"streams"',
    "grade": '"measured"',
    "date": "2026-11-21",
}
FACT = '[[facts]]\ntext = "x"\nsource = "y"\ndate = 2026-11-21\ngrade = "measured"\n'


def small(body: str = FACT, **changes: str | None) -> str:
    lines = {**SMALL, **changes}
    return "".join(f"{key} = {value}\n" for key, value in lines.items() if value is not None) + body


def test_a_small_profile_reads() -> None:
    profile = read_profile(small('[[stages]]\nuse = "head_hold"\n' + FACT), "small.toml")
    assert [type(rule.settings).__name__ for rule in profile.plan().rules] == ["HeadHold"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            small(title=None),
            "small.toml has no 'title'. Expected the members that docs/profiles.md lists. Is a name mistyped?",
        ),
        (
            small(grade='"guessed"'),
            "small.toml cannot be read: grade 'guessed' is not one of measured, source, documented, reported. "
            "Expected the members that docs/profiles.md lists. Is a name mistyped?",
        ),
        (
            small('[[stages]]\nuse = "head_hold"\nsize = 4\n' + FACT),
            "small.toml, stage 1 (head_hold): 'size' is not a setting of this stage. There are none. "
            "Is the name mistyped?",
        ),
        (
            small('[[stages]]\nlike = "that"\n' + FACT),
            "small.toml cannot be read: like = 'that' names no stage before it. "
            "Expected the members that docs/profiles.md lists. Is a name mistyped?",
        ),
        (
            small(base='"elsewhere"'),
            "small.toml has no 'elsewhere'. Expected the members that docs/profiles.md lists. Is a name mistyped?",
        ),
    ],
)
def test_a_broken_profile_names_the_fault(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_profile(text, "small.toml")
    assert str(raised.value) == message


OPTION = """
[options.hold]
values = ["on", "off"]
default = "on"

[options.read_timeout]
kind = "time"
default = "30s"

[figures.block]
value = 4096
"""
CONDITIONS = (
    "request.version, request.method, request.header.NAME, response.status, response.framing, response.type, "
    "response.header.NAME"
)
NAMED = "hold, read_timeout, block"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            '[[stages]]\nuse = "head_hold"\nwhen = { "response.typ" = "text/*" }\n',
            "stage 1 (head_hold): when: 'response.typ' is not a condition. "
            f"Expected one of {CONDITIONS}. Did you mean 'response.type'?",
        ),
        (
            '[[stages]]\nuse = "abort"\n[[stages]]\nuse = "head_hold"\nunless = { "reponse.header.x-y" = "no" }\n',
            "stage 2 (head_hold): unless: 'reponse.header.x-y' is not a condition. "
            f"Expected one of {CONDITIONS}. Did you mean 'response.header.NAME'?",
        ),
        (
            '[[stages]]\nuse = "head_hold"\nif = { hold = "off" }\nwhen = { "request.header." = "x" }\n',
            "stage 1 (head_hold): when: 'request.header.' is not a condition. "
            f"Expected one of {CONDITIONS}. Did you mean 'request.header.NAME'?",
        ),
        (
            '[[stages]]\nuse = "head_hold"\nif = { hodl = "on" }\n',
            "stage 1 (head_hold): if: 'hodl' is not an option of this profile. "
            f"Expected one of {NAMED}. Did you mean 'hold'?",
        ),
        (
            '[[stages]]\nuse = "head_hlod"\n',
            f"stage 1 (head_hlod): 'head_hlod' is not a stage. Expected one of {', '.join(STAGES)}. "
            "Did you mean 'head_hold'?",
        ),
        (
            '[[stages]]\nuse = "limits"\nidle = "{read_timeut}"\n',
            "stage 1 (limits): idle: 'read_timeut' is not an option or a figure of this profile. "
            f"Expected one of {NAMED}. Did you mean 'read_timeout'?",
        ),
        (
            '[[stages]]\nuse = "limits"\nif = { hold = "off" }\nwhy = "after {timeout} s"\n',
            "stage 1 (limits): why: 'timeout' is not an option or a figure of this profile. "
            f"Expected one of {NAMED}. Did you mean 'read_timeout'?",
        ),
        (
            '[[pages]]\nstatus = 502\nsize = 1\nheaders = [["Server", "small/{version}"]]\n',
            "page 1: headers: 'version' is not an option or a figure of this profile. "
            f"Expected one of {NAMED}. Is the name mistyped?",
        ),
        (
            '[gets_head]\nhodl = "on"\n',
            "gets_head: 'hodl' is not an option of this profile. Expected one of hold, read_timeout. "
            "Did you mean 'hold'?",
        ),
        (
            '[figures.other]\nvalue = 1\nwhen = [{ if = { hodl = "on" }, value = 2 }]\n',
            "figures.other.when: 'hodl' is not an option of this profile. Expected one of hold, read_timeout. "
            "Did you mean 'hold'?",
        ),
        (
            '[options.late]\nkind = "int"\ndefault = 1\ndefaults_when = [{ if = { hodl = "on" }, default = 2 }]\n',
            "options.late.defaults_when: 'hodl' is not an option of this profile. "
            "Expected one of hold, read_timeout, late. Did you mean 'hold'?",
        ),
    ],
)
def test_a_mistyped_name_is_found_when_the_profile_is_read(body: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_profile(small(OPTION + body + FACT), "small.toml")
    assert str(raised.value) == f"small.toml, {message}"


@pytest.mark.parametrize("member", ['asks = "{hodl}"', 'adds_request = [["Via", "{hodl}"]]'])
def test_a_mistyped_placeholder_outside_of_a_stage_is_found_too(member: str) -> None:
    place = member.partition(" ")[0]
    with pytest.raises(ConfigurationError) as raised:
        read_profile(small(f"{member}\n{OPTION}{FACT}"), "small.toml")
    assert str(raised.value) == (
        f"small.toml, {place}: 'hodl' is not an option or a figure of this profile. "
        "Expected one of hold, read_timeout. Did you mean 'hold'?"
    )


def test_a_header_name_in_a_condition_is_read_in_any_case() -> None:
    stage = '[[stages]]\nuse = "head_hold"\nwhen = { "response.header.X-Hold" = "Yes" }\n'
    (rule,) = read_profile(small(stage + FACT), "small.toml").plan().rules
    assert rule.applies(Request(), Head(200, (("X-Hold", "yes"),), "chunked", 0))


def test_braces_in_the_value_of_an_option_stay() -> None:
    text = '[options.word]\nkind = "text"\ndefault = "x"\n[[stages]]\nuse = "head_hold"\nwhy = "says {word}"\n'
    (rule,) = read_profile(small(text + FACT), "small.toml").plan({"word": "{word}"}).rules
    assert rule.why == "says {word}"


# --- cures


def cures() -> Iterator[tuple[str, Mapping[str, Any], list[str]]]:
    """Profile, stage entry and header field."""
    for name in NAMES:
        for entry in catalogue()[name].stages:
            for field in entry.get("cures", ()):
                yield name, entry, field


def test_a_rule_that_a_header_frees_names_it() -> None:
    """A profile that obeys one of these fields and leaves it out of ``cures`` would never be offered the cure."""
    for name in NAMES:
        for entry in catalogue()[name].stages:
            found = entry.get("cures", [])
            if entry.get("unless", {}).get("response.header.x-accel-buffering") == "no":
                assert ["X-Accel-Buffering", "no"] in found, (name, entry)
            if entry.get("no_transform"):
                assert ["Cache-Control", "no-transform"] in found, (name, entry)


@pytest.mark.parametrize(("name", "entry", "field"), list(cures()))
def test_a_header_that_frees_a_rule_keeps_it_from_acting(name: str, entry: Mapping[str, Any], field: list[str]) -> None:
    profile = catalogue()[name]
    request = Request(headers=(("Accept-Encoding", "gzip"),))
    head = Head(200, (("Content-Type", "text/html"), (field[0], field[1])), "chunked", 100)
    values = {**profile.settle({}), **{key: variants[-1][1] for key, variants in profile.stats.items()}}
    (rule,) = rules([entry], values, name, (), every=True)
    assert (field[0], field[1]) in rule.cures
    stage = rule.settings.start(request, 0.0)
    assert not rule.applies(request, head) or list(stage.receive(head, 0.0)) == [head]


def test_a_file_that_is_not_toml_says_so() -> None:
    with pytest.raises(ConfigurationError, match=r"^small\.toml is not TOML: .* Was it cut short\?$"):
        read_profile("name = ", "small.toml")


# --- any options, any schedule


@st.composite
def vias(draw: st.DrawFn) -> str:
    hops = []
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2)):
        profile = catalogue()[name]
        chosen = draw(st.lists(st.sampled_from(list(profile.options)), unique=True)) if profile.options else []
        given_ = [f"{option}={draw(values_of(profile.options[option]))}" for option in chosen]
        hops.append(name + (":" + ",".join(given_) if given_ else ""))
    return "+".join(hops)


@settings(max_examples=250, deadline=None)
@given(
    via=vias(),
    sizes=st.lists(st.integers(1, 30_000) | st.integers(1, 99), max_size=6),
    gap=st.sampled_from((0.0, 0.03, 0.4, 1.5)),
    length=st.booleans(),
    outcome=st.sampled_from((Outcome.COMPLETE, Outcome.COMPLETE, Outcome.APP_ERROR)),
    version=st.sampled_from(("1.0", "1.1", "2")),
    gzip=st.booleans(),
)
def test_no_via_loses_adds_or_hastens_a_byte(
    via: str, sizes: list[int], gap: float, length: bool, outcome: Outcome, version: str, gzip: bool
) -> None:
    pieces, position = [], 0
    for index, size in enumerate(sizes):
        pieces.append((gap * (index + 1), TEXT[position : position + size]))
        position += size
    body = b"".join(data for _, data in pieces)
    kind = ("Content-Type", "text/event-stream")
    promised = str(len(body) + (0 if outcome is Outcome.COMPLETE else 5))
    sent = trace(
        *pieces,
        headers=(kind, ("Content-Length", promised)) if length else (kind,),
        request=Request(http_version=version, headers=(("Accept-Encoding", "gzip"),) if gzip else ()),
        outcome=outcome,
    )
    got = replay(sent, via)
    if got.response is None or got.response.status != 200:
        return  # a hop gave up and answered itself
    assert body.startswith(got.body)
    patient = not re.search("=(50ms|2s|200)", via)  # a limit's cut may look complete: by the close, or hidden by a hop
    if patient and got.outcome is Outcome.COMPLETE and outcome is Outcome.COMPLETE:
        assert got.body == body
    left = 0
    for chunk in got.chunks:
        left += chunk.size
        assert left <= sum(len(data) for at, data in pieces if at <= chunk.at)


# --- what the best known ones do


def test_nginx_holds_what_gunicorn_streams_to_http10() -> None:
    assert arrivals(replay(trace(*EVENTS), "nginx")) == [(0.6, b"".join(data for _, data in EVENTS))]


def test_nginx_streams_complete_chunks() -> None:
    assert arrivals(replay(trace(*EVENTS), "nginx:proxy_http_version=1.1")) == EVENTS
    assert arrivals(replay(trace(*EVENTS), "nginx:version=1.29.7")) == EVENTS


XAB = (("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "no"))


@pytest.mark.parametrize("value", ["no", "NO"])
def test_x_accel_buffering_switches_nginx_to_streaming_and_ends_there(value: str) -> None:
    got = replay(trace(*EVENTS, headers=(XAB[0], ("X-Accel-Buffering", value))), "nginx")
    assert arrivals(got) == EVENTS
    assert got.response is not None
    assert got.response.at == 0.0
    assert [name for name, _ in got.response.headers] == [
        "Content-Type",
        "Server",
        "Date",
        "Transfer-Encoding",
        "Connection",
    ]


@pytest.mark.parametrize(
    "options",
    ["proxy_ignore_headers=X-Accel-Buffering", "proxy_ignore_headers=X-Accel-Buffering Set-Cookie"],
)
def test_an_ignored_x_accel_buffering_changes_nothing(options: str) -> None:
    assert arrivals(replay(trace(*EVENTS, headers=XAB), f"nginx:{options}")) == arrivals(
        replay(trace(*EVENTS), "nginx")
    )


def test_another_ignored_header_does_not_matter() -> None:
    assert arrivals(replay(trace(*EVENTS, headers=XAB), "nginx:proxy_ignore_headers=Set-Cookie")) == EVENTS


def test_the_first_of_two_nginx_eats_x_accel_buffering() -> None:
    whole = b"".join(data for _, data in EVENTS)
    assert arrivals(replay(trace(*EVENTS, headers=XAB), "nginx+nginx")) == [(0.6, whole)]
    assert arrivals(replay(trace(*EVENTS, headers=XAB), "nginx+nginx:proxy_buffering=off")) == EVENTS
    assert arrivals(replay(trace(*EVENTS, headers=XAB), "apache+nginx")) == EVENTS
    assert arrivals(replay(trace(*EVENTS, headers=XAB), "nginx+nginx:proxy_http_version=1.1")) == EVENTS


def test_nginx_answers_head_with_the_head_that_get_would_get() -> None:
    """Its gzip filter sees the head before nginx knows that no body follows."""
    fields = (("Content-Type", "text/html"), ("ETag", '"a"'), ("Accept-Ranges", "bytes"), ("Content-Length", "1024"))
    asked = Request("HEAD", headers=(("Accept-Encoding", "gzip"),))
    for options in ("", ",proxy_buffering=off"):
        got = replay(trace(headers=fields, request=asked), f"nginx:gzip=on{options}")
        assert got.response is not None
        told = {name.lower(): value for name, value in got.response.headers}
        assert (told["content-encoding"], told["etag"]) == ("gzip", 'W/"a"')
        assert not told.keys() & {"content-length", "accept-ranges", "transfer-encoding"}
        assert (got.body, got.outcome) == (b"", Outcome.COMPLETE)


@pytest.mark.parametrize(
    ("via", "chunks"),
    [("apache", [8192, 8192, 3616]), ("haproxy:http-no-delay=on", [16320 - 6, 20000 - (16320 - 6)])],
)
def test_a_large_chunk_is_passed_on_read_by_read(via: str, chunks: list[int]) -> None:
    """The next hop sees one chunk a read: of Apache's the body bytes count, of HAProxy's those on the wire."""
    chain = resolve(via).start(Request(), 0.0)
    chain.receive(Head(200, (("Transfer-Encoding", "chunked"),), "chunked", 100), 0.0)
    out = chain.receive(framed(TEXT[:20000], "chunked"), 0.1)
    assert [len(event.data) for event in out if isinstance(event, Data)] == chunks


def fields_of(delivery: Trace) -> dict[str, str]:
    assert delivery.response is not None
    return {name.lower(): value for name, value in delivery.response.headers}


@pytest.mark.parametrize("via", ["traefik", "go-reverseproxy:FlushInterval=100ms"])
def test_go_sends_the_head_after_one_interval_though_no_byte_came(via: str) -> None:
    sent = trace((0.45, b"a"), (0.5, b"b"), headers=(("Content-Type", "text/plain"), ("Content-Length", "4")), end=0.9)
    got = replay(sent, via)
    assert got.response is not None and got.response.at == pytest.approx(0.1)
    assert arrivals(got) == [(0.55, b"ab")]


def test_traefik_compress_is_not_for_head_nor_for_readers_without_gzip_nor_short_bodies() -> None:
    plain = (("Content-Type", "text/plain"), ("ETag", '"a"'))
    gzip = (("Accept-Encoding", "gzip"),)
    for method, asks, length, coding, vary in (
        ("GET", gzip, None, "gzip", "Accept-Encoding"),
        ("GET", gzip, 1024, "gzip", "Accept-Encoding"),
        ("GET", gzip, 1023, None, "Accept-Encoding"),
        ("GET", (), None, None, None),
        ("HEAD", gzip, 1024, None, None),
    ):
        headers = plain if length is None else (*plain, ("Content-Length", str(length)))
        pieces = [(0.3, TEXT[: length or 2000])] if method == "GET" else []
        got = replay(trace(*pieces, headers=headers, request=Request(method, headers=asks)), "traefik:compress=on")
        told = fields_of(got)
        assert (told.get("content-encoding"), told.get("vary"), told["etag"]) == (coding, vary, '"a"')
        assert got.response is not None
        assert (got.response.at >= 0.3) is (method == "GET" and asks == gzip), (method, asks)


@pytest.mark.parametrize(
    ("version", "etag", "obeys"),
    [
        ("2.6.2", '"a"', False),
        ("2.6.3", '"a"', True),
        ("2.7.6", '"a"', True),
        ("2.8.0", '"a-gzip"', True),
        ("2.9.0", '"a-gzip"', True),
    ],
)
def test_caddy_encode_by_release(version: str, etag: str, obeys: bool) -> None:
    plain = (("Content-Type", "text/plain"), ("ETag", '"a"'))
    via = f"caddy:encode=gzip,version={version}"
    assert fields_of(replay(trace((0.1, TEXT[:2000]), headers=plain), via))["etag"] == etag
    asked = replay(trace((0.1, TEXT[:2000]), headers=(*plain, ("Cache-Control", "no-transform"))), via)
    assert ("content-encoding" not in fields_of(asked)) is obeys


def test_lighttpd_deflate_makes_a_broken_length_look_complete() -> None:
    """It counts what it has and names the size that this becomes; what is too short for it stays broken."""
    headers = (("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "9000"))
    for size, outcome in ((4000, Outcome.COMPLETE), (256, Outcome.APP_ERROR)):
        sent = trace((0.1, TEXT[:size]), headers=headers, outcome=Outcome.APP_ERROR)
        got = replay(sent, "lighttpd:deflate=text/ application/json")
        assert (got.body, got.outcome) == (TEXT[:size], outcome)


@pytest.mark.parametrize(
    ("kind", "agent", "coding"),
    [
        ("text/plain; charset=utf-8", "curl/8", "gzip"),
        ("application/json", "curl/8", None),
        ("multipart/mixed", "curl/8", None),
        ("text/plain", "Mozilla/4.0 (compatible; MSIE 5.5)", None),
    ],
)
def test_haproxy_compresses_types_by_their_beginning(kind: str, agent: str, coding: str | None) -> None:
    request = Request(headers=(("Accept-Encoding", "gzip"), ("User-Agent", agent)))
    sent = trace((0.1, TEXT[:2000]), headers=(("Content-Type", kind),), request=request)
    assert (
        fields_of(replay(sent, "haproxy:compression-algo=gzip,compression-type=text/ multi")).get("content-encoding")
        == coding
    )


@pytest.mark.parametrize(("options", "coding"), [("", "gzip"), (",pass=on", "gzip")])
def test_varnish_packs_no_partial_answer(options: str, coding: str) -> None:
    sent = trace((0.1, TEXT[:2000]), headers=(("Content-Type", "text/plain"),))
    assert sent.response is not None
    partial = replace(sent, response=replace(sent.response, status=206))
    assert fields_of(replay(sent, f"varnish:do_gzip=true{options}"))["content-encoding"] == coding
    assert "content-encoding" not in fields_of(replay(partial, f"varnish:do_gzip=true{options}"))


def test_each_hop_asks_the_one_before_it_in_its_own_version() -> None:
    via = resolve("gunicorn-sync+nginx:proxy_http_version=1.1+haproxy")
    assert via.start(Request(http_version="2"), 0.0).request.http_version == "1.1"
    assert resolve("nginx+haproxy").start(Request(), 0.0).request.http_version == "1.0"


def test_a_chain_is_as_well_known_as_its_weakest_hop() -> None:
    assert resolve("nginx+cloudflare").grade == "documented"
    assert resolve("nginx+antivirus-scanner").grade == "reported"
    assert resolve("nginx").grade == "measured"


def test_a_relative_is_cut_under_its_own_name() -> None:
    got = replay(trace((0.1, b"x"), (90.0, b"y")), "ingress-nginx:proxy-read-timeout=5s")
    assert (got.outcome, got.end.by, got.end.reason) == (Outcome.CUT, "ingress-nginx", "idle limit 5 s")


def test_the_next_hop_sees_a_cut_as_its_upstreams_death() -> None:
    silent = trace((0.1, b"x"), (90.0, b"y"))
    assert replay(silent, "nginx:proxy_http_version=1.1+caddy").outcome is Outcome.COMPLETE
    got = replay(trace(end=90.0), "passthrough+heroku")
    assert got.response is not None
    assert got.response.status == 200


def test_the_page_on_profiles_lists_every_stage_and_setting() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "profiles.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*)\|$", page, re.MULTILINE))
    for name, kind in STAGES.items():
        settings_ = {item.name for item in fields(kind)} - {"name", "pages"}  # type: ignore[arg-type]
        assert set(re.findall(r"`(\w+)`", rows[name])) == settings_, name
