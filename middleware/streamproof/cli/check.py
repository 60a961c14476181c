"""``streamproof check``: boots an app's server, reads one response, and reports what holds it."""

from __future__ import annotations

import argparse
import json
import shlex
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..sansio.decode.fault import Fault, shown
from ..sansio.decode.fields import Whole
from ..sansio.errors import ConfigurationError
from . import _files
from ._arguments import Address, add_limits, add_output, add_request, address, is_url, target_of

if TYPE_CHECKING:
    from ..profiles import Via
    from ..sansio.trace import Trace
    from ..serving.server import Server
    from ._render import Page

NOTICE = 5.0  # seconds for the app to notice that its reader left; gunicorn gives ASGI apps 3
WAITED = 0.1  # seconds that a request may wait for the app before a note says so: a reader notices more than that
AFTER_END = 2.0  # seconds to wait for the recording of a response that has ended

EPILOG = """\
TARGET is 'module:app', 'module:factory()', or the URL of a running server. The app is imported twice: once to see
whether it is WSGI or ASGI, once by its server. It runs in a process of its own, which is stopped afterwards.

exit status:
  0    the response streams at the app, at its server and at each --via (the usual vias are shown, but do not count)
  1    findings: held, cut, late, an error, not a stream, or silence for --timeout
  2    wrong usage, or the command cannot run: no such app, server not installed, port in use, connection refused
  130  interrupted

examples:
  streamproof check app:app /stream
  streamproof check 'app:create_app()' /search -d ai_prompt=Hello
  streamproof check app:app /events --for 5s --via nginx --via nginx:gzip=on+cloudflare
  streamproof check app:app /stream --server 'gunicorn -k gevent' --save stream.json
  streamproof check http://127.0.0.1:8000/stream
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "check",
        help="check whether an app streams, and which hops would hold its response",
        description="Boot an app's server, read one response, and report what holds it, here and behind other hops.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", metavar="TARGET", help="module:app, 'module:factory()' or a URL")
    parser.add_argument("path", metavar="PATH", nargs="?", help="the path to request (default /)")
    parser.add_argument("--via", action="append", default=[], help="a hop, or several with +; repeat to compare")
    group = parser.add_argument_group("server")
    group.add_argument(
        "--server",
        metavar="NAME",
        help="the server, with its options in quotes (default: gunicorn for WSGI, uvicorn for ASGI)",
    )
    group.add_argument("--port", type=_port, default=0, metavar="N", help="a loopback port (default: a free one)")
    group.add_argument("--app-dir", metavar="DIR", help="the folder to import the module from (default: this folder)")
    add_request(parser)
    add_limits(parser)
    parser.add_argument("--save", metavar="FILE", help="write the recording to FILE, for streamproof replay")
    add_output(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    from ..extras import need
    from ..profiles import resolve

    vias = [resolve(text) for text in arguments.via]
    need("h11", "Reading from a socket")
    page = None
    if not arguments.json:
        from ._render import Page

        page = Page(no_color=arguments.no_color)
    if is_url(arguments.target):
        return _check_url(arguments, vias, page)
    return _check_app(arguments, vias, page)


def _check_url(arguments: argparse.Namespace, vias: list[Via], page: Page | None) -> int:
    from ..analysis.diagnosis import diagnose
    from ..analysis.production import as_produced, judgeable
    from ._explain import notes
    from ._live import Live
    from ._reading import read
    from ._report import Report

    place = address(arguments.target, arguments.path)
    measured, silence = read(place, arguments, None if page is None else Live(page.out))
    report = Report(notes=notes(measured, None, silence))
    production = as_produced(measured)
    if judgeable(measured):
        report.diagnoses.append(replace(diagnose(measured, None), vantage="server"))
        if report.diagnoses[0].verdict.word != "not a stream" or vias:
            report.add_vias(production, vias)
    return _output(arguments, page, report, production, place.url, production.server)


def _check_app(arguments: argparse.Namespace, vias: list[Via], page: Page | None) -> int:
    from ..analysis.diagnosis import diagnose
    from ..analysis.production import judgeable, on_the_apps_clock, production_of, with_wire_head
    from ..sansio.trace import Outcome
    from ..serving.server import serve
    from ._explain import left, notes
    from ._live import Live
    from ._reading import read
    from ._report import Note, Report

    words = _words(arguments.server or "")
    with serve(
        arguments.target,
        server=words[0] if words else None,
        port=arguments.port,
        app_dir=arguments.app_dir,
        options=words[1:],
    ) as server:
        place = Address(False, server.host, server.port, target_of(arguments.path or "/"))
        if page is not None:
            page.line(f"{server.name} serves {arguments.target} ({(server.kind or '').upper()}) at {place.url}")
        measured, silence = read(place, arguments, None if page is None else Live(page.out))
        left_at = time.monotonic()
        gone = measured.outcome is Outcome.CLIENT_GONE
        app, noticed = _recording(server, NOTICE if gone and silence is None else AFTER_END)
        log, server_name = server.log, server.name
        ended_at, started_at = server.traces.last_at, server.traces.last_started_at
    report = Report(notes=notes(measured, app, silence, log=log))
    waited = 0.0 if started_at is None else started_at - (left_at - measured.end.at)
    if waited > WAITED and app is not None:
        text = f"The request waited {waited:.2f} s before the app was called. Was {server_name} still starting?"
        report.notes.append(Note(text, finding=False))
    if gone and silence is None:
        after = None if ended_at is None or not noticed else ended_at - left_at
        report.notes.append(left(measured, app, after, NOTICE))
    production = production_of(app, measured, None if ended_at is None or not gone else left_at - ended_at)
    if judgeable(measured):
        if app is not None:
            at_server = diagnose(production, None, measured=on_the_apps_clock(measured, waited))
            report.diagnoses += [diagnose(production, None), at_server]
        else:
            report.diagnoses.append(replace(diagnose(measured, None), vantage="server"))
        if report.diagnoses[0].verdict.word != "not a stream" or vias:
            report.add_vias(production, vias)
    return _output(arguments, page, report, with_wire_head(app, measured) or measured, place.url, server_name)


def _recording(server: Server, timeout: float) -> tuple[Trace | None, bool]:
    """The app's recording, and whether the response ended by itself; otherwise the server is stopped to end it."""
    from ..serving.server import ServingError

    for wait, noticed in ((timeout, True), (0.0, False)):
        try:
            return server.traces.get(wait), noticed
        except ServingError:
            server.stop()
    return None, False


def _output(
    arguments: argparse.Namespace, page: Page | None, report: Any, kept: Trace, url: str, server: str | None = None
) -> int:
    if arguments.save:
        _files.save(kept, arguments.save)
    status: int = report.status
    if page is None:
        about = {"target": arguments.target, "url": url, "server": server}
        print(json.dumps({**about, **report.to_dict()}, indent=2))
    else:
        page.report(report)
    return status


def _words(server: str) -> list[str]:
    try:
        return shlex.split(server)
    except ValueError as error:
        raise ConfigurationError(
            f"--server {server!r} cannot be parsed: {error}. Expected a name, with options quoted as in a shell."
        ) from None


def _port(text: str) -> int:
    try:
        return Whole(low=1, high=65535).parse(text)
    except Fault:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a port (1 to 65535).") from None
