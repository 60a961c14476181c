"""Negative controls: real deliveries held against the wrong prediction, or a dishonest origin, must disagree."""

from __future__ import annotations

import pytest

from .compare import differences
from .configurations import CONFIGURATIONS, Configuration
from .judge import MOST_TRIES, Take, against_replay, staged
from .schedules import Schedule, sizes
from .suite import tokens
from .test_real_proxies import need

pytestmark = pytest.mark.proxies

#: No proxy at all: the reader asks the origin.
DIRECT = Configuration("direct", ())

#: nginx 1.1 keeps the tail of the first write until the second one.
HELD = Schedule("held", sizes(6000, 20, 20, every=0.04))
TOKENS = tokens("tokens")


def take(configuration: Configuration, schedule: Schedule, *, joins: bool = False) -> Take:
    """One play."""
    need(configuration)
    with staged(configuration, joins=joins) as stage:
        return stage.play(schedule)


def whats(take: Take, via: str) -> set[str]:
    return {difference.what.partition(",")[0] for difference in against_replay(take, via)}


def test_the_instrument_itself_agrees_with_no_proxy_at_all() -> None:
    assert any(not whats(take(DIRECT, TOKENS), "passthrough") for _ in range(MOST_TRIES))


@pytest.mark.parametrize("schedule", [HELD, TOKENS], ids=lambda schedule: schedule.name)
def test_an_origin_that_joins_writes_is_found_out(schedule: Schedule) -> None:
    assert "bursts" in whats(take(DIRECT, schedule, joins=True), "passthrough")


def test_an_origin_that_joins_writes_is_found_out_behind_a_proxy() -> None:
    configuration = CONFIGURATIONS["nginx-http11"]
    assert "bursts" in whats(take(configuration, TOKENS, joins=True), configuration.via)


def test_bytes_that_nginx_holds_do_not_pass_for_streaming() -> None:
    assert "bursts" in whats(take(CONFIGURATIONS["nginx-http11"], HELD), "passthrough")


@pytest.mark.parametrize(
    ("name", "via"),
    [
        ("nginx-http11", "nginx:proxy_http_version=1.1,proxy_buffer_size=8k"),
        ("nginx-unbuffered", "nginx:proxy_http_version=1.1"),
        ("nginx", "nginx:proxy_buffering=off"),
        ("nginx-nginx", "nginx:proxy_http_version=1.1,proxy_buffering=off+nginx:proxy_http_version=1.1"),
    ],
)
def test_the_options_of_a_via_make_a_difference(name: str, via: str) -> None:
    """Each via differs in one option from what really runs."""
    assert whats(take(CONFIGURATIONS[name], HELD), via)


def test_another_product_makes_a_difference() -> None:
    assert "bursts" in whats(take(CONFIGURATIONS["nginx-http11"], TOKENS), "haproxy")


def test_the_delivery_of_another_schedule_disagrees() -> None:
    configuration = CONFIGURATIONS["nginx-unbuffered"]
    one, other = take(configuration, TOKENS), take(configuration, HELD)
    assert differences(one.origin, one.real, other.real)
