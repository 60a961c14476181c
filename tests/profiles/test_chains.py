"""Several hops in a row."""

from __future__ import annotations

from streamproof import replay
from streamproof.profiles import resolve
from streamproof.sansio.trace import Outcome, Request

from ..support.profile_traces import trace


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
