"""``streamproof settings``: prints each setting with its value and its origin."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "settings",
        help="print each setting, its value and its origin",
        description="Print each setting, its value and its origin. Later origins win: [tool.streamproof] in "
        "pyproject.toml, streamproof.toml, STREAMPROOF_*.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    from ..settings.loading import load

    settings = load()
    if arguments.json:
        rows = {setting.name: {"value": value, "origin": origin} for setting, value, origin in settings}
        print(json.dumps(rows, indent=2))
        return 0
    name_width = max(len(setting.name) for setting, _, _ in settings)
    value_width = min(40, max(len(_text(value)) for _, value, _ in settings))
    for setting, value, origin in settings:
        print(f"{setting.name:{name_width}}  {_text(value):{value_width}}  {origin}")
    return 0


def _text(value: object) -> str:
    return "-" if value is None or value == () else json.dumps(value)
