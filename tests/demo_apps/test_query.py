"""Numbers in a query are in range or refused; events have the shape of server-sent events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from demo_apps import query
from demo_apps.chunks import sse_event
from demo_apps.query import BadQueryError


@given(text=st.text(max_size=20))
def test_whole_number_is_in_range_or_refused(text: str) -> None:
    try:
        value = query.whole_number({"rows": text}, "rows", 5, 1, 100)
    except BadQueryError as error:
        assert "rows must be a whole number from 1 to 100" in str(error)
    else:
        assert 1 <= value <= 100
        assert text.lstrip("0") == str(value)


@given(text=st.one_of(st.text(max_size=20), st.floats().map(str)))
def test_real_number_is_in_range_or_refused(text: str) -> None:
    try:
        value = query.real_number({"delay": text}, "delay", 0.5, 0, 60)
    except BadQueryError as error:
        assert "delay must be a number from 0 to 60" in str(error)
    else:
        assert 0 <= value <= 60


def test_sse_event_gives_each_line_a_field() -> None:
    assert sse_event(" river") == "data:  river\n\n"
    assert sse_event("one\ntwo", name="end") == "event: end\ndata: one\ndata: two\n\n"
