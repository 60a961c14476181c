"""``streamproof probe``: reads one URL and prints every arrival."""

from __future__ import annotations

import argparse
from typing import Any

from . import _files
from ._arguments import add_limits, add_output, add_request, address

EPILOG = """\
exit status:
  0  the response is complete, or the reader left after --for or --chunks
  1  the response was cut, or the server was silent for --timeout
  2  the command cannot run

examples:
  streamproof probe http://127.0.0.1:8000/stream
  streamproof probe https://example.com/events -H 'Accept: text/event-stream' --for 10s
  streamproof probe http://127.0.0.1:8000/stream --json | streamproof replay - --via nginx
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "probe",
        help="read one URL and print the time of every arrival",
        description="Read one URL from a raw socket and print the time of every arrival.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", metavar="URL", help="http://host:port/path or https://host/path")
    add_request(parser)
    add_limits(parser)
    parser.add_argument("--save", metavar="FILE", help="write the trace to FILE, for streamproof replay")
    add_output(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    from ..sansio.trace import Outcome
    from ._live import Live
    from ._reading import read
    from ._report import Note, Report, arrived

    place = address(arguments.url)
    page = None
    if not arguments.json:
        from ._render import Page

        page = Page(no_color=arguments.no_color)
    trace, silence = read(place, arguments, None if page is None else Live(page.out))
    if arguments.save:
        _files.save(trace, arguments.save)
    report = Report()
    if silence is not None:
        report.notes.append(Note(silence))
    elif trace.outcome is Outcome.CUT:
        report.notes.append(Note(f"The server cut the response after {trace.stats.bytes} B: {trace.end.reason}."))
    elif trace.outcome is Outcome.CLIENT_GONE:
        report.notes.append(Note(f"The reader left {trace.end.reason}.", finding=False))
    if page is None:
        print(trace.to_json())
        return report.status
    report.diagnoses.append(arrived(trace))
    page.report(report)
    return report.status
