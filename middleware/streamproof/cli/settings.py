"""``streamproof settings``: what is set, and where from."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "settings",
        help="print each setting, its value and where it came from",
        description="Print each setting, its value and where it came from: [tool.streamproof] in pyproject.toml, "
        "streamproof.toml, STREAMPROOF_*, later wins.",
    )
    parser.add_argument("--json", action="store_true", help="the same as data")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do it; return the exit status."""
    from ..settings.loading import load

    settings = load()
    if arguments.json:
        told = {setting.name: {"value": value, "origin": origin} for setting, value, origin in settings}
        print(json.dumps(told, indent=2))
        return 0
    names = max(len(setting.name) for setting, _, _ in settings)
    values = max(len(_shown(value)) for _, value, _ in settings)
    for setting, value, origin in settings:
        print(f"{setting.name:{names}}  {_shown(value):{min(values, 40)}}  {origin}")
    return 0


def _shown(value: object) -> str:
    return "-" if value is None or value == () else json.dumps(value)
