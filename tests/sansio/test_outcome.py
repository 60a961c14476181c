"""How a response ended: each rule of the table, in its order."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproof.sansio.outcome import (
    CLIENT_GONE,
    COMPLETE,
    NOT_CLOSED,
    Ending,
    Event,
    decide,
    has_received_all,
    of_error,
)
from streamproof.sansio.trace import Outcome, Response

EVENTS: tuple[Event, ...] = get_args(Event)
CUT = Ending(Outcome.CUT, "nginx", "send_timeout")


class GreenletExit(BaseException):
    """As gevent's, which is known by its name."""


class CancelledError(BaseException):
    """As asyncio's, which is known by its name."""


class Timeout(BaseException):
    """As gevent's."""


def failed(name: str) -> Ending:
    return Ending(Outcome.APP_ERROR, None, name)


@pytest.mark.parametrize(
    ("event", "facts", "ending"),
    [
        ("complete", {}, COMPLETE),
        ("complete", {"reader_gone": True}, CLIENT_GONE),
        ("complete", {"error": ValueError()}, failed("close() raised ValueError")),
        ("complete", {"reported_failure": "KeyError"}, failed("KeyError")),
        ("raised", {"error": OSError()}, failed("OSError")),
        ("raised", {"error": OSError(), "reader_gone": True}, CLIENT_GONE),
        ("raised", {"error": SystemExit(0)}, Ending(Outcome.SHUTDOWN, None, "SystemExit")),
        ("raised", {"error": CancelledError()}, Ending(Outcome.SHUTDOWN, None, "CancelledError")),
        ("raised", {"error": CancelledError(), "reader_gone": True}, CLIENT_GONE),
        ("raised", {"error": GeneratorExit()}, Ending(Outcome.ABANDONED)),
        ("raised", {"error": Timeout()}, Ending(Outcome.CUT, "server", "Timeout")),
        ("closed", {}, CLIENT_GONE),
        ("closed", {"received_all": True}, COMPLETE),
        ("closed", {"received_all": True, "reader_gone": True}, CLIENT_GONE),
        ("closed", {"error": BrokenPipeError(), "received_all": True}, CLIENT_GONE),
        ("closed", {"error": GeneratorExit()}, CLIENT_GONE),
        ("closed", {"error": AssertionError()}, failed("AssertionError")),
        ("closed", {"error": GreenletExit()}, Ending(Outcome.SHUTDOWN, None, "GreenletExit")),
        ("returned", {}, failed("returned without completing the response")),
        ("returned", {"reader_gone": True}, CLIENT_GONE),
        ("collected", {}, Ending(Outcome.ABANDONED)),
        ("collected", {"known": NOT_CLOSED}, NOT_CLOSED),
    ],
)
def test_each_rule(event: Event, facts: dict[str, Any], ending: Ending) -> None:
    assert decide(event, **facts) == ending


@given(st.sampled_from(EVENTS), st.booleans(), st.booleans(), st.sampled_from([None, ValueError(), SystemExit(1)]))
def test_the_first_to_know_is_believed(event: Event, gone: bool, all_of_it: bool, error: BaseException | None) -> None:
    assert decide(event, known=CUT, reader_gone=gone, received_all=all_of_it, error=error) is CUT


@given(st.sampled_from(EVENTS), st.booleans(), st.booleans(), st.sampled_from([None, ValueError(), SystemExit(1)]))
def test_a_stream_whose_reader_left_is_never_complete(
    event: Event, received_all: bool, reported: bool, error: BaseException | None
) -> None:
    failure = "KeyError" if reported else None
    ending = decide(event, reader_gone=True, received_all=received_all, error=error, reported_failure=failure)
    assert ending.outcome is not Outcome.COMPLETE


def test_a_worker_that_is_stopped_with_a_status_was_too_slow() -> None:
    ending = of_error(SystemExit(1))
    assert (ending.outcome, ending.by) == (Outcome.CUT, "server")


@pytest.mark.parametrize(
    ("method", "status", "length", "size", "all_of_it"),
    [
        ("HEAD", 200, "5", 0, True),
        ("GET", 204, None, 0, True),
        ("GET", 304, "9", 0, True),
        ("GET", 200, "5", 4, False),
        ("GET", 200, "5", 5, True),
        ("GET", 200, None, 5, False),
    ],
)
def test_what_the_head_says_of_the_body(
    method: str, status: int, length: str | None, size: int, all_of_it: bool
) -> None:
    head = Response(status, () if length is None else (("Content-Length", length),))
    assert has_received_all(method, head, size) is all_of_it
    assert not has_received_all(method, None, size)
