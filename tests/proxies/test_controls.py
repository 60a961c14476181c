"""Negative controls: real deliveries held against the wrong prediction, or a dishonest origin, must disagree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .compare import differences
from .configurations import CONFIGURATIONS, Configuration, RealHop
from .judge import MOST_TRIES, against_replay, judge, punctual
from .needs import need
from .schedules import Schedule, sizes
from .stage import Take, staged
from .suite import tokens

pytestmark = pytest.mark.proxies

#: No proxy at all: the reader asks the origin.
DIRECT = Configuration("direct", ())

#: nginx 1.1 keeps the tail of the first write until the second one.
HELD = Schedule("held", sizes(6000, 20, 20, every=0.04))
TOKENS = tokens("tokens")


def whats(take: Take, via: str) -> set[str]:
    return {difference.what.partition(",")[0] for difference in against_replay(take, via)}


def found(configuration: Configuration, schedule: Schedule, via: str, *, buffers: bool = False) -> set[str]:
    """In what one play differs from the replay through ``via``; a void play counts if it shows other bursts."""
    need(configuration)
    with staged(configuration, buffers=buffers) as stage:
        return whats(punctual(stage, schedule, lambda take: "bursts" in whats(take, via)), via)


def test_the_instrument_itself_agrees_with_no_proxy_at_all() -> None:
    def agrees(take: Take) -> bool:
        return not whats(take, "passthrough")

    with staged(DIRECT) as stage:
        assert any(agrees(punctual(stage, TOKENS, agrees)) for _ in range(MOST_TRIES))


@pytest.mark.parametrize("schedule", [HELD, TOKENS], ids=lambda schedule: schedule.name)
def test_an_origin_that_buffers_writes_is_found_out(schedule: Schedule) -> None:
    assert "bursts" in found(DIRECT, schedule, "passthrough", buffers=True)


def test_an_origin_that_buffers_writes_is_found_out_behind_a_proxy() -> None:
    configuration = CONFIGURATIONS["nginx-http11"]
    assert "bursts" in found(configuration, TOKENS, configuration.via, buffers=True)


def test_bytes_that_nginx_holds_do_not_pass_for_streaming() -> None:
    assert "bursts" in found(CONFIGURATIONS["nginx-http11"], HELD, "passthrough")


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
    assert "bursts" in found(CONFIGURATIONS[name], HELD, via)


def test_no_void_play_makes_a_wrong_via_agree() -> None:
    """The judge plays again what lateness may explain; a real disagreement outlasts it."""
    right = CONFIGURATIONS["nginx-http11"]
    need(right)
    wrong = replace(right, hops=(RealHop(right.hops[0].recipe, "nginx:proxy_http_version=1.1,proxy_buffer_size=8k"),))
    (verdict,) = judge(wrong, [HELD])
    assert not verdict.agrees
    assert len(verdict.takes) > 1


def test_another_product_makes_a_difference() -> None:
    assert "bursts" in found(CONFIGURATIONS["nginx-http11"], TOKENS, "haproxy")


def test_the_delivery_of_another_schedule_disagrees() -> None:
    configuration = CONFIGURATIONS["nginx-unbuffered"]
    need(configuration)
    with staged(configuration) as stage:
        one, other = stage.play(TOKENS), stage.play(HELD)
    assert differences(one.origin, one.real, other.real)
