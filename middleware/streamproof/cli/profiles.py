"""``streamproof profiles``: the hops that can be emulated, and what is known about each."""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import TYPE_CHECKING, Any

from ..sansio.errors import ConfigurationError

if TYPE_CHECKING:
    from ..profiles import Option, Profile

WIDTH = 80
EPILOG = """\
grades, the weakest last: measured (seen on the real thing), source (read in its code), documented (its vendor says
so), reported (its users say so)

examples:
  streamproof profiles
  streamproof profiles nginx
  streamproof check app:app /stream --via 'nginx:gzip=on,gzip_types=text/plain text/csv+cloudflare'
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "profiles",
        help="list the hops that can be emulated, or explain one",
        description="List the hops that can be emulated, or explain one: its options and where its figures are from.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="explain this one")
    parser.add_argument("--json", action="store_true", help="the same as data")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do it; return the exit status."""
    from ..profiles import catalogue

    known = catalogue()
    if arguments.name is None:
        if arguments.json:
            print(json.dumps([_summary(profile) for profile in known.values()], indent=2))
        else:
            print("\n".join(_listed(profile) for profile in known.values()))
        return 0
    if arguments.name not in known:
        raise ConfigurationError(
            f"There is no profile {arguments.name!r}. Expected one of: {', '.join(known)}. Is it a via with options?"
        )
    profile = known[arguments.name]
    print(json.dumps(_whole(profile), indent=2, default=str) if arguments.json else _explained(profile))
    return 0


def _summary(profile: Profile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "title": profile.title,
        "summary": profile.summary,
        "grade": profile.grade,
        "date": str(profile.date),
    }


def _whole(profile: Profile) -> dict[str, Any]:
    return {
        **_summary(profile),
        "asks": profile.asks,
        "options": {
            option.name: {"default": option.default, "expected": option.expected, "summary": option.summary}
            for option in profile.options.values()
        },
        "stages": [dict(stage) for stage in profile.stages],
        "facts": [
            {"text": fact.text, "source": fact.source, "date": str(fact.date), "grade": fact.grade}
            for fact in profile.facts
        ],
    }


def _listed(profile: Profile) -> str:
    head = f"{profile.name:14}{profile.grade:12}{profile.date}  {profile.title}"
    return f"{head}\n{_wrapped(profile.summary, 14)}"


def _explained(profile: Profile) -> str:
    parts = [f"{profile.name}: {profile.title}", _wrapped(profile.summary, 2)]
    parts.append(f"  {profile.grade}, {profile.date}; asks the hop before it with HTTP/{profile.asks}")
    if profile.options:
        parts += ["", "options"]
        parts += [_option(option) for option in profile.options.values()]
    if profile.stages:
        parts += ["", "stages, app side first"]
        parts += [_stage(stage) for stage in profile.stages]
    parts += ["", "figures"]
    for fact in profile.facts:
        parts += [_wrapped(fact.text, 2), f"    {fact.grade}, {fact.date}: {fact.source}"]
    return "\n".join(parts)


def _option(option: Option) -> str:
    default = f"default {option.default}" if option.default else "empty by default"
    others = "".join(
        f"; {text} when " + " and ".join(f"{name} {value}" for name, value in when.items())
        for when, text in option.defaults_when
    )
    return f"  {option.name}\n{_wrapped(f'{option.expected}; {default}{others}', 6)}\n{_wrapped(option.summary, 6)}"


def _stage(stage: Any) -> str:
    settings = ", ".join(f"{key}={_shown(value)}" for key, value in stage.items() if key not in ("use", "why", "fix"))
    lines = [_wrapped(f"{stage['use']}: {settings}" if settings else stage["use"], 2)]
    lines += [_wrapped(f"{key}: {stage[key]}", 6) for key in ("why", "fix") if key in stage]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return str(value)


def _wrapped(text: str, indent: int) -> str:
    space = " " * indent
    return textwrap.fill(text, WIDTH, initial_indent=space, subsequent_indent=space, break_on_hyphens=False)
