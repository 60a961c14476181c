"""One word per delivery, the holder's rule, and a cure that was tried out."""

from __future__ import annotations

import re
from dataclasses import replace as with_changes
from pathlib import Path

import pytest

from streamproof import Budget, ConfigurationError, Trace, examine, locate, replay
from streamproof.analysis.diagnosis import diagnose
from streamproof.sansio.delivery import bursts, compare, lags
from streamproof.sansio.trace import NEVER_CLOSED, Chunk, Outcome, Request, StreamEnd
from streamproof.sansio.verdict import judge_delivery

from ..support.traces import stream, tokens

GZIP = Request(headers=(("Accept-Encoding", "gzip"),))


@pytest.mark.parametrize(
    ("via", "word", "healthy"),
    [
        ("passthrough", "streams", True),
        ("apache", "streams", True),
        ("heroku", "streams", True),
        ("haproxy", "late", True),
        ("gae-standard", "held to the end", False),
        ("gae-flex", "held to the end", False),
        ("apigw-rest", "held to the end", False),
        ("nginx:proxy_http_version=1.0", "held to the end", False),
        ("nginx:proxy_http_version=1.1", "streams", True),
        ("nginx:proxy_http_version=1.1,tls=on", "held to the end", False),
    ],
)
def test_the_main_table(via: str, word: str, healthy: bool) -> None:
    trace = stream([(index * 0.5, b"Data chunk\n") for index in range(10)], end=5.0, framing=None, server="gunicorn")
    verdict = diagnose(trace, via).verdict
    assert (verdict.word, verdict.healthy) == (word, healthy)


def test_the_holder_is_the_stage_that_held_most() -> None:
    verdict = diagnose(tokens(), "nginx:proxy_http_version=1.1,tls=on").verdict
    assert verdict.rule == "TLS records of 16384 B, filled before they are sent"
    assert verdict.fix == "send `X-Accel-Buffering: no` (replayed: the response then streams)"


def test_a_cure_is_only_named_when_replaying_it_streams() -> None:
    """The header helps the first of two nginx, which then eats it: no header is the cure, the setting is."""
    trace = stream([(index * 0.5, b"x") for index in range(10)], end=5.0, framing=None)
    fix = diagnose(trace, "nginx+nginx").verdict.fix
    assert fix is not None
    assert "replayed" not in fix


def test_in_a_chain_the_hop_is_named() -> None:
    trace = stream([(index * 0.5, b"x") for index in range(10)], end=5.0, framing=None)
    rule = diagnose(trace, "heroku+gae-standard").verdict.rule
    assert rule == "gae-standard: App Engine standard collects the whole body and sends it as one response"


def test_a_long_silence_is_cut_and_the_limit_named() -> None:
    verdict = diagnose(stream([(0.0, 10), (60.0, 10)], end=61.0), "heroku").verdict
    assert verdict.word == "cut"
    assert verdict.sentence == (
        "cut at 55.00 s by heroku (idle limit 55 s), 10 B lost: "
        "30 s to the first byte (H12), then a rolling 55 s (H15, H28)"
    )


def test_a_late_first_byte_is_refused_by_the_hop() -> None:
    verdict = diagnose(stream([(31.0, 10), (32.0, 10)], head_at=31.0, end=33.0), "heroku").verdict
    assert verdict.word == "refused"
    assert verdict.sentence.startswith("the hop answered 503 itself: 30 s to the first byte")


def test_an_error_that_the_reader_cannot_see_has_its_own_word() -> None:
    trace = stream([(0.0, 10), (1.0, 10)], framing="close", outcome=Outcome.APP_ERROR, how="fin", end=1.2)
    assert diagnose(trace, "nginx").verdict.word == "lost its end"


def test_the_app_itself_is_judged_first() -> None:
    assert diagnose(tokens(), None).verdict.word == "streams"
    assert diagnose(stream([(0.0, 50)]), None).verdict.word == "not a stream"
    assert diagnose(stream([(0.0, 50)], outcome=Outcome.APP_ERROR), None).verdict.word == "failed"


def test_a_server_that_joins_is_found_by_measuring_it() -> None:
    app = tokens()
    joined = stream([(5.0, app.body)], end=5.0)
    assert diagnose(app, None, measured=joined).verdict.word == "held to the end"
    assert diagnose(app, None, measured=app).verdict.word == "streams"


def test_what_never_arrived_waited_until_the_reader_left() -> None:
    left = stream([(0.0, 10), (1.0, 10)], framing="close", outcome=Outcome.CLIENT_GONE, end=3.0)
    seen = diagnose(left, "gae-standard")
    assert seen.verdict.word == "held to the end"
    assert seen.worst_lag == 3.0
    assert seen.verdict.sentence.startswith("none of 20 B had arrived when the reader left at 3.00 s: App Engine")


def test_hold_is_causal_and_not_a_matter_of_speed() -> None:
    """The same lag is no hold where the next chunk was not there yet, and one where it was."""
    slow = stream([(index * 1.0, 10) for index in range(4)])
    fast = stream([(index * 0.1, 10) for index in range(4)])

    def late(trace: Trace) -> Trace:
        return stream([(chunk.at + 0.5, chunk.size) for chunk in trace.chunks])

    assert compare(slow, late(slow)).held == 0
    assert compare(fast, late(fast)).held == 3
    assert judge_delivery(slow, late(slow))[0].word == "late"
    assert judge_delivery(fast, late(fast))[0].word == "in blocks"


def test_lag_is_told_byte_by_byte() -> None:
    made = [Chunk(0.0, 10), Chunk(1.0, 10)]
    got = [Chunk(0.5, 5), Chunk(1.5, 15)]
    assert [tuple(lag) for lag in lags(made, got)] == [(0, 5, 0.5), (5, 5, 1.5), (10, 10, 0.5)]


def test_arrivals_closer_than_five_milliseconds_are_one_burst() -> None:
    made = bursts([Chunk(0.0, 1), Chunk(0.004, 1), Chunk(0.008, 1), Chunk(0.02, 1)])
    assert [tuple(burst) for burst in made] == [(0.0, 3), (0.02, 1)]


def test_the_holder_among_several_places_is_the_leg_that_held() -> None:
    app = tokens()
    server = stream([(chunk.at + 0.001, chunk.data or b"") for chunk in app.chunks], end=5.0)
    reader = replay(server, "gae-standard")
    found = locate([("app", app), ("server", server), ("reader", reader)])
    assert found.holder is not None
    assert (found.holder.before, found.holder.after) == ("server", "reader")
    assert str(found) == "10 bursts in, 1 out, held up to 4.999 s between server and reader"
    assert locate([("app", app), ("server", server)]).holder is None


def test_a_leg_that_compresses_is_located_by_causality() -> None:
    app = tokens(size=100)
    packed = stream([(0.0, 10), (5.0, 60)], end=5.0, headers=[("Content-Encoding", "br")])
    found = locate([("app", app), ("compressor", packed)])
    assert found.holder is not None
    assert not found.holder.exact
    assert found.holder.held == 8


def test_locate_wants_two_places_with_chunks() -> None:
    with pytest.raises(ConfigurationError, match="Expected at least two places"):
        locate([("app", tokens())])
    full = tokens()
    thin = Trace(full.request, full.response, (), full.end, None, full.stats)
    with pytest.raises(ConfigurationError, match="The trace taken at 'app' keeps no chunks"):
        locate([("app", thin), ("server", full)])


@pytest.mark.parametrize(
    ("trace", "budget", "codes"),
    [
        (tokens(), Budget(), []),
        (tokens(), Budget(first_byte=1, max_silence=1, min_bursts=10, closes_within=1), []),
        (tokens(), Budget(min_bursts=11), ["SP105"]),
        (tokens(), Budget(max_silence=0.4), ["SP102"]),
        (tokens(), Budget(closes_within=0.1), ["SP106"]),
        (stream([(3.0, 10), (4.0, 1)]), Budget(first_byte=2), ["SP101"]),
        (stream([], end=9.0), Budget(first_byte=2), ["SP101"]),
        (stream([(0.0, 1)], outcome=Outcome.APP_ERROR), None, ["SP201"]),
        (stream([(0.0, 1)], outcome=Outcome.CUT), None, ["SP202"]),
        (stream([(0.0, 1)], outcome=Outcome.ABANDONED), None, ["SP203"]),
        (stream([(0.0, 1)], outcome=Outcome.SHUTDOWN), None, ["SP204"]),
        (with_changes(stream([(0.0, 1)]), end=StreamEnd(1.0, Outcome.COMPLETE, reason=NEVER_CLOSED)), None, ["SP205"]),
        (stream([(0.0, 1)], outcome=Outcome.CLIENT_GONE), None, []),
        (stream([(0.0, 3)], headers=[("Content-Length", "5")], framing="length"), None, ["SP301"]),
        (stream([(0.0, 3)], headers=[("Connection", "keep-alive")]), None, ["SP302"]),
        (stream([(0.0, 3)], headers=[("Content-Type", "text/event-stream")]), None, ["SP303"]),
        (
            stream([(0.0, 3)], headers=[("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")]),
            None,
            [],
        ),
    ],
)
def test_each_fault_has_its_code(trace: Trace, budget: Budget | None, codes: list[str]) -> None:
    assert [finding.code for finding in examine(trace, budget)] == codes


def test_a_hold_needs_the_production_beside_the_delivery() -> None:
    app = tokens()
    delivery = replay(app, "gae-standard")
    assert examine(delivery, Budget(max_hold=1)) == []
    (found,) = examine(delivery, Budget(max_hold=1), production=app)
    assert str(found) == (
        "SP104 held: 5.000 s, the budget is 1 s. Which hop holds it? streamproof check names the holder."
    )


@pytest.mark.parametrize("value", [-1, float("nan"), "2", True])
def test_a_budget_is_a_number(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^Budget\(max_silence=.*Expected a number of seconds, 0 or more"):
        Budget(max_silence=value)  # type: ignore[arg-type]


def test_gzip_behind_nginx_is_named_for_a_reader_that_accepts_it() -> None:
    body = [(index * 0.5, b"line of text\n") for index in range(10)]
    trace = stream(body, end=5.0, request=GZIP)
    via = "nginx:proxy_http_version=1.1,gzip=on,gzip_types=text/plain"
    verdict = diagnose(trace, via).verdict
    assert verdict.word == "held to the end"
    assert verdict.rule is not None
    assert verdict.rule.startswith("gzip with buffering on")


def test_the_page_on_findings_lists_every_code() -> None:
    root = Path(__file__).parents[2]
    sources = (path.read_text("utf-8") for path in (root / "middleware").rglob("*.py"))
    codes = {code for source in sources for code in re.findall(r'"(SP\d{3})"', source)}
    page = (root / "docs" / "findings.md").read_text("utf-8")
    assert set(re.findall(r"^\| (SP\d{3}) ", page, re.MULTILINE)) == codes
