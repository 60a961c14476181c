"""The log: one line a stream that no stranger can forge, and lines for streams that are still open."""

from __future__ import annotations

import json
import logging
import logging.handlers
from typing import Any, Literal

import pytest

from streamproof import Outcome, Trace
from streamproof.exporters.log import LogExporter, line
from streamproof.live import LiveStream
from streamproof.sansio.trace import Request, StreamEnd
from streamproof.sansio.untrusted import plain

from ..support.exported import trace


class TestLog:
    def test_one_line_says_it_all(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "streamproof.stream"):
            LogExporter()(trace(), route="/s/<n>")
            LogExporter("json")(trace(Outcome.CUT, by="gunicorn", reason="worker timeout 1 s"))
        first, second = caplog.records
        assert first.getMessage() == (
            "outcome=complete method=GET target=/s route=/s/<n> status=200 chunks=3 bytes=16 head=0.125 "
            "first_byte=0.25 duration=4 longest_gap=2 longest_silence=2 backpressure=0.5"
        )
        assert (first.levelname, second.levelname) == ("INFO", "WARNING")
        assert first.stream["chunks"] == 3  # type: ignore[attr-defined]
        entry = json.loads(second.getMessage())
        assert (entry["event"], entry["outcome"], entry["by"]) == ("stream", "cut", "gunicorn")

    @pytest.mark.parametrize(
        "evil",
        ["/a\r\n2026 ERROR forged", "/a\x1b[2Jb", "/a b outcome=complete", '/"', "/\u2028x", "/" + "a" * 9999, "/\x7f"],
    )
    @pytest.mark.parametrize("form", ["text", "json"])
    def test_a_stranger_cannot_forge_a_line(self, form: Any, evil: str, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "streamproof.stream"):
            LogExporter(form)(trace(target=evil))
        text = caplog.records[0].getMessage()
        assert text.isascii()
        assert text.isprintable()
        if form == "text":
            assert len(text) < 1000
            assert text.count(" outcome=") == (' outcome=complete"' in text)

    def test_plain_values_stay_plain(self) -> None:
        assert [plain(value) for value in ("/a/b?c", 0.5, 12, "two words", "a=b")] == [
            "/a/b?c",
            "0.5",
            "12",
            '"two words"',
            '"a=b"',
        ]

    def test_what_is_not_there_is_left_out(self) -> None:
        empty = Trace(Request(), None, (), StreamEnd(0.5, Outcome.APP_ERROR))
        assert "status" not in line(empty)
        assert "first_byte" not in line(empty)


class TestOpenStreams:
    def lines(self, caplog: pytest.LogCaptureFixture, *streams: LiveStream, form: Literal["text", "json"]) -> list[str]:
        caplog.set_level(logging.INFO, "streamproof.stream")
        LogExporter(form, open_every=5.0, open_streams=streams).look()
        return [record.getMessage() for record in caplog.records]

    def test_one_that_is_old_enough_gets_a_line(self, caplog: pytest.LogCaptureFixture) -> None:
        old = LiveStream("GET", "/a b", 200, 61.5, 3, 90, 58.25)
        young = LiveStream("GET", "/young", 200, 4.9, 3, 90, 1.0)
        (text,) = self.lines(caplog, old, young, form="text")
        assert text == 'outcome=open method=GET target="/a b" status=200 chunks=3 bytes=90 age=61.5 silence=58.25'
        assert caplog.records[0].__dict__["stream"]["silence"] == 58.25

    def test_json_and_no_head_yet(self, caplog: pytest.LogCaptureFixture) -> None:
        (text,) = self.lines(caplog, LiveStream("G\nET", "/\n", None, 5.0, 0, 0, 5.0), form="json")
        expected = {"event": "stream", "outcome": "open", "method": "_OTHER", "target": "/\n", "chunks": 0, "bytes": 0}
        assert json.loads(text) == {**expected, "age": 5.0, "silence": 5.0}
        assert "\n" not in text

    def test_a_thousand_are_not_a_thousand_lines(self, caplog: pytest.LogCaptureFixture) -> None:
        lines = self.lines(caplog, *[LiveStream("GET", "/", 200, 9.0, 1, 1, 1.0)] * 1000, form="text")
        assert len(lines) == 101
        assert lines[-1] == "outcome=open and_more=900"

    def test_nobody_who_listens_costs_nothing(self) -> None:
        logger = logging.Logger("quiet", logging.WARNING)
        logger.addHandler(handler := logging.handlers.MemoryHandler(10))
        LogExporter(logger=logger, open_every=1.0, open_streams=[LiveStream("GET", "/", 200, 9.0, 1, 1, 1.0)]).look()
        assert handler.buffer == []
