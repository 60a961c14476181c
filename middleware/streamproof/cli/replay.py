"""``streamproof replay``: prints the table of ``check`` from a recording, without the app."""

from __future__ import annotations

import argparse
import json
from typing import Any

from . import _files
from ._arguments import add_output

EPILOG = """\
exit status: 0 healthy, 1 findings at the app or at a --via, 2 the recording or a via is invalid

examples:
  streamproof replay stream.json
  streamproof replay stream.json --via nginx:gzip=on --via nginx:gzip=on+cloudflare
  streamproof probe http://127.0.0.1:8000/stream --json | streamproof replay - --via heroku --json
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "replay",
        help="replay a recording through emulated hops",
        description="Replay a recording through emulated hops, in virtual time and without the app.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", help="a recording that --save wrote, or - for standard input")
    parser.add_argument("--via", action="append", default=[], help="a hop, or several with +; repeat to compare")
    add_output(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    from ..analysis.diagnosis import diagnose
    from ..profiles import resolve
    from ._report import Report

    vias = [resolve(text) for text in arguments.via]
    trace = _files.load(arguments.file)
    report = Report([diagnose(trace, None)])
    report.add_vias(trace, vias)
    if arguments.json:
        print(json.dumps(report.to_dict(), indent=2))
        return report.status
    from ._render import Page

    Page(no_color=arguments.no_color).report(report)
    return report.status
