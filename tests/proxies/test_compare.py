"""The comparison can fail: each thing in which two deliveries can differ is seen, and no more than that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamproof.sansio.trace import Chunk, Outcome, Request, Response, StreamEnd, Trace

from .compare import bursts, differences, lag_error, noisy, picture
from .judge import on_an_edge


def delivery(*arrivals: tuple[float, bytes], status: int = 200, outcome: Outcome = Outcome.COMPLETE) -> Trace:
    """What a reader got: (ms, bytes) each."""
    chunks = tuple(Chunk(ms / 1e3, len(data), None, data) for ms, data in arrivals)
    end = StreamEnd(chunks[-1].at if chunks else 0.0, outcome)
    head = Response(status, (("Content-Type", "text/plain"), ("X-One", "1")), 0.001, framing="chunked")
    return Trace(Request(), head, chunks, end)


ORIGIN = delivery((10, b"aa"), (50, b"bb"), (90, b"cc"))


def whats(real: Trace, predicted: Trace) -> list[str]:
    return [difference.what.partition(",")[0] for difference in differences(ORIGIN, real, predicted)]


def test_the_same_delivery_agrees() -> None:
    assert whats(ORIGIN, ORIGIN) == []


def test_arrivals_closer_than_5_ms_are_one_burst() -> None:
    together = delivery((10, b"aa"), (14.9, b"bb"), (19.8, b"cc"))
    apart = delivery((10, b"aa"), (15.1, b"bb"), (30, b"cc"))
    assert [burst.upto for burst in bursts(together)] == [6]
    assert [burst.upto for burst in bursts(apart)] == [2, 4, 6]
    assert bursts(together)[0].at == pytest.approx(0.010)


def test_bytes_that_are_held_are_seen() -> None:
    assert whats(delivery((50, b"aabb"), (90, b"cc")), ORIGIN) == ["bursts"]


def test_one_byte_on_the_wrong_side_of_a_burst_is_seen() -> None:
    assert whats(delivery((10, b"aab"), (50, b"b"), (90, b"cc")), ORIGIN) == ["bursts"]


@pytest.mark.parametrize(("ms", "expected"), [(99, []), (101, ["lag"])])
def test_lag_may_err_by_10_ms(ms: float, expected: list[str]) -> None:
    assert whats(delivery((10, b"aa"), (50, b"bb"), (ms, b"cc")), ORIGIN) == expected


def test_lag_is_that_of_each_byte() -> None:
    assert lag_error(delivery((10, b"aabb"), (90, b"cc")), ORIGIN) == pytest.approx(0.040)


def test_other_bytes_are_seen() -> None:
    assert whats(delivery((10, b"aa"), (50, b"bb"), (90, b"cX")), ORIGIN) == ["body"]


def test_missing_bytes_are_seen() -> None:
    assert whats(delivery((10, b"aa"), (50, b"bb")), ORIGIN) == ["bursts", "body"]


def test_another_status_is_seen() -> None:
    assert whats(delivery(status=502), ORIGIN) == ["status"]


def test_a_status_of_the_hop_is_compared_without_its_body() -> None:
    assert whats(delivery((10, b"<html>"), status=502), delivery(status=502)) == []


def test_an_end_that_hides_a_loss_is_seen() -> None:
    cut = replace(ORIGIN, end=StreamEnd(0.09, Outcome.CUT, "fin"))
    assert whats(ORIGIN, cut) == ["outcome"]


def test_a_reader_that_gave_up_is_not_one_that_was_cut() -> None:
    left = replace(ORIGIN, end=StreamEnd(10, Outcome.CLIENT_GONE))
    assert whats(left, replace(ORIGIN, end=StreamEnd(10, Outcome.CUT, "fin"))) == ["outcome"]


def test_another_framing_is_seen() -> None:
    assert ORIGIN.response is not None
    assert whats(replace(ORIGIN, response=ORIGIN.response._replace(framing="close")), ORIGIN) == ["framing"]


def test_a_late_head_is_seen() -> None:
    assert ORIGIN.response is not None
    assert whats(replace(ORIGIN, response=ORIGIN.response._replace(at=0.02)), ORIGIN) == ["head"]


@pytest.mark.parametrize(
    "fields",
    [
        (("Content-Type", "text/plain"),),
        (("Content-Type", "text/html"), ("X-One", "1")),
        (("Content-Type", "text/plain"), ("X-One", "1"), ("X-One", "1")),
        (("Content-Type", "text/plain"), ("X-One", "1"), ("Content-Encoding", "gzip")),
    ],
    ids=["dropped", "changed", "doubled", "encoded"],
)
def test_fields_dropped_changed_or_added_to_the_body_are_seen(fields: tuple[tuple[str, str], ...]) -> None:
    assert ORIGIN.response is not None
    assert whats(replace(ORIGIN, response=ORIGIN.response._replace(headers=fields)), ORIGIN) == ["fields"]


def test_the_case_of_names_and_fields_of_the_hops_own_are_no_difference() -> None:
    assert ORIGIN.response is not None
    fields = (("content-type", "text/plain"), ("x-one", "1"), ("X-Cache", "MISS"))
    assert whats(replace(ORIGIN, response=ORIGIN.response._replace(headers=fields)), ORIGIN) == []


def test_repetitions_that_differ_are_noise_and_those_that_do_not_are_none() -> None:
    assert not noisy(ORIGIN, delivery((11, b"aa"), (52, b"bb"), (91, b"cc")))
    assert noisy(ORIGIN, delivery((11, b"aa"), (64, b"bb"), (91, b"cc")))
    assert noisy(ORIGIN, delivery((50, b"aabb"), (90, b"cc")))


def test_repetitions_may_be_asked_to_differ_by_less() -> None:
    assert noisy(ORIGIN, delivery((11, b"aa"), (56, b"bb"), (91, b"cc")), by=0.005)


def test_a_write_that_meets_a_timer_lies_on_an_edge() -> None:
    """HAProxy's wait begins with the head, at 1 ms, and ends at 206 ms."""
    met, missed = delivery((50, b"aa"), (207, b"bb")), delivery((50, b"aa"), (250, b"bb"))
    assert on_an_edge(met, "haproxy", 0.025)
    assert not on_an_edge(met, "haproxy", 0.0) and not on_an_edge(met, "haproxy:http-no-delay=on", 0.025)
    assert not on_an_edge(missed, "haproxy", 0.025)


def test_pictures_are_short() -> None:
    assert picture(ORIGIN) == "10ms:2 50ms:4 90ms:6"
    assert picture(ORIGIN, most=1) == "10ms:2 … 2 more, last 90ms"
    assert picture(delivery()) == "nothing"
