"""Streams from Flask: text, CSV, HTML, a generator that reads the request, and errors in mid-stream.

    flask --app demo_apps.flask_stream run --port 8000
    gunicorn --threads 4 --bind 127.0.0.1:8000 demo_apps.flask_stream:app
    curl -N http://127.0.0.1:8000/stream
    curl -N 'http://127.0.0.1:8000/streamhtml?nblocks=16&block_size=1024'

The page at `/` links to all streams. The time between chunks is `?delay=` or DEMO_DELAY, in seconds.
"""

import csv
import html
import io
import time
from collections.abc import Iterator

from demo_apps import query
from demo_apps.chunks import MODEL, data_chunks
from demo_apps.requirement import requires
from demo_apps.text_model import letters

with requires("flask"):
    from flask import Blueprint, Flask, Response, request, stream_with_context

pages = Blueprint("pages", __name__)

LINKS = {
    "/stream": "ten chunks, half a second apart",
    "/large.csv?rows=100000": "a CSV export that is never completely in memory",
    "/streamhtml?nblocks=16&block_size=1024": "a page in 16 blocks of 1024 bytes",
    "/streamhtml?nblocks=16&block_size=1024&delay=0.5": "the same page, slow enough to watch",
    "/with-context?name=Ada": "a generator that reads the request, with stream_with_context",
    "/without-context?name=Ada": "the same generator without stream_with_context, which fails in mid-stream",
    "/error/handled": "an error in mid-stream that is reported in the stream",
    "/error/unhandled": "an error in mid-stream that cuts the stream",
}


def create_app() -> Flask:
    """Create a Flask app with all streams. Each call creates a new app, to which an extension can be added."""
    app = Flask(__name__)
    app.register_blueprint(pages)
    app.register_error_handler(query.BadQueryError, _bad_request)
    return app


def _bad_request(error: query.BadQueryError) -> Response:
    return Response(str(error), status=400, mimetype="text/plain")


@pages.get("/")
def index() -> str:
    """Links to all streams."""
    items = "\n".join(
        f'<li><a href="{html.escape(link)}">{html.escape(link)}</a>: {text}</li>' for link, text in LINKS.items()
    )
    return f"<!doctype html>\n<title>Flask streams</title>\n<h1>Flask streams</h1>\n<ul>\n{items}\n</ul>\n"


@pages.get("/stream")
def stream() -> Response:
    """Ten chunks of text."""
    return Response(stream_with_context(data_chunks(query.chunk_delay(request.args))), mimetype="text/plain")


@pages.get("/large.csv")
def large_csv() -> Response:
    """CSV with `rows` rows, each produced when the server asks for it."""
    rows = query.whole_number(request.args, "rows", 1000, 0, 10_000_000)
    return Response(_csv_rows(rows), mimetype="text/csv")


def _csv_rows(rows: int) -> Iterator[str]:
    words = letters(MODEL).split()
    yield _csv_line("number", "square", "word")
    for number in range(1, rows + 1):
        yield _csv_line(number, number**2, words[number % len(words)])


def _csv_line(*fields: object) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue()


@pages.get("/streamhtml")
def stream_html() -> Response:
    """A page of `nblocks` blocks, each a chunk of `block_size` bytes."""
    blocks = query.whole_number(request.args, "nblocks", 16, 1, 10_000)
    size = query.whole_number(request.args, "block_size", 1024, 64, 1_048_576)
    delay = query.real_number(request.args, "delay", 0, 0, query.LONGEST_DELAY)
    return Response(_html_page(blocks, size, delay), mimetype="text/html")


def _html_page(blocks: int, size: int, delay: float) -> Iterator[str]:
    yield (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Letters in blocks</title>\n'
        "<style>body { max-width: 40em; margin: 2em auto; font-family: serif; line-height: 1.5 }</style>\n"
        f"<h1>{blocks} blocks of {size} bytes</h1>\n"
    )
    text = html.escape(" ".join(letters(MODEL).split()), quote=False) + " "
    start = 0
    for number in range(1, blocks + 1):
        opening, closing = f"<p><b>{number}</b> ", "</p>\n"
        room = size - len(opening) - len(closing)
        rounds = (start + room) // len(text) + 1
        yield opening + (text * rounds)[start : start + room] + closing
        start = (start + room) % len(text)
        time.sleep(delay)
    yield "</html>\n"


@pages.get("/with-context")
def with_context() -> Response:
    """A generator that reads the request while it streams."""
    return Response(stream_with_context(_greeting(query.chunk_delay(request.args))), mimetype="text/plain")


@pages.get("/without-context")
def without_context() -> Response:
    """The same generator without the request context. It raises RuntimeError after the first chunk."""
    return Response(_greeting(query.chunk_delay(request.args)), mimetype="text/plain")


def _greeting(delay: float) -> Iterator[str]:
    yield "Hello "
    time.sleep(delay)
    yield request.args.get("name", "reader")
    yield "!\n"


class SourceLostError(Exception):
    """The source of the stream has failed."""


@pages.get("/error/handled")
def error_handled() -> Response:
    """An error after the head, when the status can no longer change. The stream reports it and ends cleanly."""

    def generate() -> Iterator[str]:
        try:
            yield from _failing_source(delay)
        except SourceLostError as error:
            yield f"Error: {error}. The data above is incomplete.\n"

    delay = query.chunk_delay(request.args)
    return Response(generate(), mimetype="text/plain")


@pages.get("/error/unhandled")
def error_unhandled() -> Response:
    """An error that ends the stream. The server cuts the connection, and only a reader that checks the end notices."""
    return Response(_failing_source(query.chunk_delay(request.args)), mimetype="text/plain")


def _failing_source(delay: float) -> Iterator[str]:
    for number in range(3):
        yield f"Data chunk {number}\n"
        time.sleep(delay)
    raise SourceLostError("the source has gone")


app = create_app()
