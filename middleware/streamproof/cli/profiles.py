"""``streamproof profiles``: lists the hops that can be emulated, explains one, or compares several."""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..profiles import Option, Profile

WIDTH = 80
_NOT_SETTINGS = ("use", "why", "fix", "cures")  # keys of a stage that are not settings
EPILOG = """\
grades, strongest first: measured (the real product was run and timed), source (its code was read), documented (its
vendor says so), reported (its users say so)

examples:
  streamproof profiles
  streamproof profiles nginx                       what it is, what it does to common streams, and the sources
  streamproof profiles nginx --options             the same, and what each option changes
  streamproof profiles nginx heroku gae-flex       compare vias side by side
  streamproof check app:app /stream --via 'nginx:gzip=on,gzip_types=text/plain text/csv+cloudflare'
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "profiles",
        help="list the hops that can be emulated, explain one, compare several",
        description="List the hops that can be emulated, explain one with its sources, or compare several.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="a profile to explain, or several vias to compare")
    parser.add_argument("--options", action="store_true", help="print what each option changes (takes a few seconds)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    from ..profiles import catalogue

    known = catalogue()
    if not arguments.names:
        if arguments.json:
            print(json.dumps([_summary(profile) for profile in known.values()], indent=2))
        else:
            indent = max(map(len, known)) + 2
            print("\n".join(_listed(profile, indent) for profile in known.values()))
        return 0
    if len(arguments.names) > 1 or arguments.names[0] not in known:
        return _compare(arguments)
    profile = known[arguments.names[0]]
    if arguments.json:
        print(json.dumps(_data(profile, options=arguments.options), indent=2, default=str))
    else:
        print(_explained(profile, options=arguments.options))
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    """Compare vias side by side."""
    from ._behavior import behavior

    found = {via: behavior(via) for via in arguments.names}
    print(json.dumps(found, indent=2) if arguments.json else _table(found))
    return 0


def _table(found: dict[str, dict[str, str]]) -> str:
    """A table with a row for each sample and a column for each via."""
    samples = list(next(iter(found.values())))
    first = max(map(len, samples)) + 2
    widths = [max(len(via), *map(len, cells.values())) + 2 for via, cells in found.items()]
    rows = [" " * first + "".join(f"{via:{width}}" for via, width in zip(found, widths, strict=True))]
    for sample in samples:
        cells = (f"{cell[sample]:{width}}" for cell, width in zip(found.values(), widths, strict=True))
        rows.append(f"{sample:{first}}" + "".join(cells))
    return "\n".join(row.rstrip() for row in rows)


def _summary(profile: Profile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "title": profile.title,
        "summary": profile.summary,
        "grade": profile.grade,
        "date": str(profile.date),
    }


def _data(profile: Profile, *, options: bool) -> dict[str, Any]:
    from ._behavior import behavior, changes

    changed = (
        {text: {name: [old, new] for name, old, new in rows} for text, rows in changes(profile)} if options else {}
    )
    return {
        **_summary(profile),
        "behavior": behavior(profile),
        **({"changes": changed} if options else {}),
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


def _listed(profile: Profile, indent: int) -> str:
    head = f"{profile.name:{indent}}{profile.grade:12}{profile.date}  {profile.title}"
    return f"{head}\n{_wrapped(profile.summary, indent)}"


def _explained(profile: Profile, *, options: bool) -> str:
    from ._behavior import behavior

    parts = [f"{profile.name}: {profile.title}", _wrapped(profile.summary, 2)]
    parts.append(f"  {profile.grade}, {profile.date}; requests to its upstream use {_upstream_version(profile)}")
    parts += ["", "what it does to common streams"]
    parts += [f"  {name:42}{words}" for name, words in behavior(profile).items()]
    if options:
        parts += ["", "what each option changes", *_changes(profile)]
    if profile.options:
        parts += ["", "options"]
        parts += [_option(option) for option in profile.options.values()]
    if profile.stages:
        parts += ["", "stages, app side first"]
        parts += [_stage(stage) for stage in profile.stages]
    parts += ["", "facts"]
    for fact in profile.facts:
        parts += [_wrapped(fact.text, 2), f"    {fact.grade}, {fact.date}: {fact.source}"]
    return "\n".join(parts)


def _upstream_version(profile: Profile) -> str:
    version = profile.plan().ask
    if version == "same":
        return "the reader's HTTP version"
    return f"HTTP/{version} by default" if "{" in profile.asks else f"HTTP/{version}"


def _changes(profile: Profile) -> list[str]:
    from ._behavior import changes

    lines = []
    for text, rows in changes(profile):
        lines.append(f"  {text}" if rows else f"  {text}: changes none of these streams")
        lines += [f"      {name}: {before} -> {after}" for name, before, after in rows]
    return lines


def _option(option: Option) -> str:
    default = f"default {option.default}" if option.default else "empty by default"
    others = "".join(
        f"; {text} when " + " and ".join(f"{name} {value}" for name, value in when.items())
        for when, text in option.defaults_when
    )
    return f"  {option.name}\n{_wrapped(f'{option.expected}; {default}{others}', 6)}\n{_wrapped(option.summary, 6)}"


def _stage(stage: Any) -> str:
    settings = ", ".join(f"{key}={_shown(value)}" for key, value in stage.items() if key not in _NOT_SETTINGS)
    lines = [_wrapped(f"{stage['use']}: {settings}" if settings else stage["use"], 2)]
    lines += [_wrapped(f"{key}: {stage[key]}", 6) for key in ("why", "fix") if key in stage]
    lines += [_wrapped(f"fixed by the header {name}: {value}", 6) for name, value in stage.get("cures", ())]
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
