"""Budgets on the middleware: which findings a stream gets, and what is done with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from streamproof import Budget, ConfigurationError, Trace, wrap
from streamproof.adapters.recording import BudgetExceeded
from streamproof.adapters.taps import tap
from streamproof.counts import violations
from streamproof.sansio.findings import Finding
from streamproof.sansio.flush import FlushPolicy
from streamproof.testing import buffered, client
from tests.support.wsgi_server import Server

#: No stream can keep to it: some time always passes.
NONE_AT_ALL = {
    "SP101": Budget(first_byte=0),
    "SP102": Budget(max_silence=0),
    "SP103": Budget(max_backpressure=0),
    "SP105": Budget(min_bursts=50),
    "SP106": Budget(closes_within=0),
}
#: Far beyond what a test takes.
PLENTY = Budget(3600.0, 3600.0, 3600.0, 1, 3600.0, 3600.0)


def app(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield from (b"a", b"b", b"c", b"d")


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for body in (b"a", b"b"):
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def call(app: Any) -> bytes:
    """The body of one request to an app."""
    with client(app) as http:
        return http.get("/").content


class Found:
    """Keeps the codes of the findings that it is called with."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def __call__(self, finding: Finding, trace: Trace) -> None:
        assert trace.stats.bytes
        self.codes.append(finding.code)


@pytest.mark.parametrize("code", [code for code in NONE_AT_ALL if code != "SP105"])
def test_each_limit_has_a_code(code: str) -> None:
    found = Found()
    call(wrap(app, budget=NONE_AT_ALL[code], on_violation=found))
    assert found.codes == [code]


def test_bursts_are_counted_where_the_chunks_are_kept() -> None:
    found = Found()
    call(wrap(app, budget=NONE_AT_ALL["SP105"], on_violation=found, keep_chunks=True))
    assert found.codes == ["SP105"]


@pytest.mark.parametrize("keep", [False, True])
def test_a_stream_within_its_budget_is_no_finding(keep: bool) -> None:
    found = Found()
    assert call(wrap(app, budget=PLENTY, on_violation=found, keep_chunks=keep)) == b"abcd"
    assert found.codes == []


def test_an_asgi_stream_has_the_same_codes() -> None:
    found = Found()
    assert call(wrap(asgi_app, budget=Budget(first_byte=0, max_silence=0), on_violation=found)) == b"ab"
    assert found.codes == ["SP101", "SP102"]


def test_a_finding_is_logged_by_default(caplog: pytest.LogCaptureFixture) -> None:
    call(wrap(app, budget=Budget(max_silence=0)))
    assert "GET / SP102 stall" in " ".join(caplog.messages[0].split()).replace("GET /: ", "GET / ")


def test_or_counted_or_raised_or_all_of_it() -> None:
    before, found = violations["SP102"], Found()
    with pytest.raises(BudgetExceeded, match="SP102 stall") as raised:
        call(wrap(app, budget=Budget(max_silence=0), on_violation=("metric", found, "raise")))
    assert violations["SP102"] == before + 1
    assert found.codes == ["SP102"]
    assert [finding.code for finding in raised.value.findings] == ["SP102"]


def test_a_callable_that_raises_hurts_no_response(caplog: pytest.LogCaptureFixture) -> None:
    def broken(finding: Finding, trace: Trace) -> None:
        raise ZeroDivisionError

    wrapped = wrap(app, budget=Budget(max_silence=0), on_violation=broken)
    assert call(wrapped) == call(wrapped) == b"abcd"
    assert "was dropped" in caplog.text


def test_what_a_layer_inside_holds_is_measured_between_the_tap_and_the_middleware() -> None:
    found = Found()
    budget = Budget(max_hold=0)
    call(wrap(buffered(tap(app)), budget=budget, on_violation=found))
    assert found.codes == ["SP104"]
    assert call(wrap(buffered(tap(app)), budget=PLENTY, on_violation=found)) == b"abcd"
    assert found.codes == ["SP104"]


def test_a_budget_alone_changes_no_head() -> None:
    server = Server(wrap(app, budget=PLENTY))
    assert list(server.body) == [b"a", b"b", b"c", b"d"]
    server.close()
    assert server.starts == [("200 OK", [("Content-Type", "text/plain")])]


def test_it_goes_with_a_policy_whose_heartbeats_bridge_the_silence() -> None:
    found = Found()
    wrapped = wrap(app, policy=FlushPolicy.for_sse(), budget=PLENTY, on_violation=found)
    assert call(wrapped) == b"abcd"
    assert found.codes == []


@pytest.mark.parametrize("options", [{"budget": {"max_silence": 1}}, {"budget": Budget(), "on_violation": "shout"}])
def test_what_cannot_be_used_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"Expected .+\?"):
        wrap(app, **options)
