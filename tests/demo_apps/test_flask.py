"""The Flask app: its pages, its rows, its errors in mid-stream."""

from __future__ import annotations

import csv
import html
import io
import re
from typing import Any
from wsgiref.types import WSGIApplication
from wsgiref.util import setup_testing_defaults

import pytest

from demo_apps.chunks import MODEL
from demo_apps.text_model import letters

from ..support.demo_streams import DATA
from ..support.demo_support import Reader, load, need


@pytest.fixture
def flask_app(no_delay: None) -> WSGIApplication:
    need("flask")
    app: WSGIApplication = load("demo_apps.flask_stream:app")
    return app


def test_flask_index_links_to_every_page(flask_app: WSGIApplication) -> None:
    page = Reader().read_wsgi(flask_app, "/").text
    links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', page)]
    routes = {rule.rule for rule in load("demo_apps.flask_stream:app").url_map.iter_rules()}
    assert {link.split("?")[0] for link in links} == routes - {"/", "/static/<path:filename>"}


def test_flask_large_csv_makes_each_row_a_chunk(flask_app: WSGIApplication) -> None:
    reader = Reader().read_wsgi(flask_app, "/large.csv?rows=500")
    assert reader.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(reader.text)))
    assert rows[0] == ["number", "square", "word"]
    assert [row[:2] for row in rows[1:]] == [[str(n), str(n * n)] for n in range(1, 501)]
    assert len(reader.blocks) == 501
    assert len(Reader().read_wsgi(flask_app, "/large.csv").blocks) == 1001


def test_flask_large_csv_produces_no_row_that_nobody_takes(flask_app: WSGIApplication) -> None:
    environ: dict[str, Any] = {"PATH_INFO": "/large.csv", "QUERY_STRING": "rows=10000000"}
    setup_testing_defaults(environ)
    result = flask_app(environ, lambda *_: lambda _: None)
    assert [next(iter(result)) for _ in range(2)] == [b"number,square,word\n", b"1,1,letter\n"]
    result.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("blocks", "size"), [(1, 64), (16, 1024), (3, 65537)])
def test_flask_streamhtml_sends_blocks_of_the_size_asked_for(
    flask_app: WSGIApplication, blocks: int, size: int
) -> None:
    reader = Reader().read_wsgi(flask_app, f"/streamhtml?nblocks={blocks}&block_size={size}")
    assert reader.headers["content-type"].startswith("text/html")
    head, *body, tail = reader.blocks
    assert head.startswith(b"<!doctype html>")
    assert tail == b"</html>\n"
    assert [len(block) for block in body] == [size] * blocks
    text = "".join(re.findall(r"<p><b>\d+</b> (.*)</p>\n", b"".join(body).decode()))
    page = " ".join(letters(MODEL).split()) + " "
    assert text == (page * (blocks * size // len(page) + 1))[: len(text)]


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("/streamhtml?nblocks=0", "nblocks must be a whole number from 1 to 10000, not '0'"),
        ("/streamhtml?nblocks=many", "nblocks must be a whole number"),
        ("/streamhtml?nblocks=1_0", "nblocks must be a whole number"),
        ("/streamhtml?block_size=63", "block_size must be a whole number from 64 to 1048576, not '63'"),
        ("/streamhtml?block_size=1e3", "block_size must be a whole number"),
        ("/streamhtml?block_size=99999999", "block_size must be a whole number"),
        ("/streamhtml?delay=inf", "delay must be a number from 0 to 60, not 'inf'"),
        ("/large.csv?rows=-1", "rows must be a whole number from 0 to 10000000, not '-1'"),
        ("/stream?delay=slow", "delay must be a number"),
    ],
)
def test_flask_refuses_a_bad_value_in_clear_words(flask_app: WSGIApplication, target: str, problem: str) -> None:
    reader = Reader().read_wsgi(flask_app, target)
    assert reader.status == 400
    assert reader.text.startswith(problem)


def test_flask_generator_reads_the_request_only_with_its_context(flask_app: WSGIApplication) -> None:
    assert Reader().read_wsgi(flask_app, "/with-context?name=Ada").text == "Hello Ada!\n"
    broken = Reader()
    with pytest.raises(RuntimeError, match="Working outside of request context"):
        broken.read_wsgi(flask_app, "/without-context?name=Ada")
    assert (broken.status, broken.text) == (200, "Hello ")


def test_flask_error_in_mid_stream_is_reported_or_cuts(flask_app: WSGIApplication) -> None:
    before = b"".join(DATA[:3])
    reported = Reader().read_wsgi(flask_app, "/error/handled")
    assert reported.body == before + b"Error: the source has gone. The data above is incomplete.\n"
    cut = Reader()
    with pytest.raises(Exception, match="the source has gone"):
        cut.read_wsgi(flask_app, "/error/unhandled")
    assert (cut.status, cut.body) == (200, before)
