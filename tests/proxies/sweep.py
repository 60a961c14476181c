"""The full sweep: every schedule through every configuration. ``python -m tests.proxies.sweep --help``.

Knows how to choose, to show progress and to report: a table on the terminal, everything about each disagreement in
JSON (its two traces included, so that it can be replayed without the proxy). Exit status: 0 when the pass line holds,
1 when it doesn't or a configuration could not run, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from streamproof.profiles import resolve
from streamproof.sansio.errors import ConfigurationError

from . import floor, suite
from .configurations import CONFIGURATIONS, Configuration
from .judge import AT_ONCE, Verdict, judge
from .known import KNOWN
from .products import Failed, Missing
from .schedules import Schedule
from .stage import staged
from .variants import VARIANTS

#: Of all pairs, and of those of nginx that no race decides, the share that must agree.
PASS_LINE, PASS_LINE_OF_NGINX = 0.99, 1.0


@dataclass(slots=True)
class Row:
    """One configuration: its verdicts, or why there are none."""

    configuration: Configuration
    verdicts: list[Verdict] = field(default_factory=list)
    floor: floor.Floor | None = None
    seconds: float = 0.0
    fault: str = ""

    @property
    def disagreeing(self) -> list[Verdict]:
        """The pairs that do not agree, known or not."""
        return [verdict for verdict in self.verdicts if not verdict.agrees]

    @property
    def agree(self) -> int:
        """How many pairs agree."""
        return len(self.verdicts) - len(self.disagreeing)

    @property
    def races(self) -> int:
        """How many pairs disagree where it is known that the real proxy does now this, now that."""
        known = (KNOWN.get((verdict.configuration, verdict.schedule)) for verdict in self.disagreeing)
        return sum(each is not None and not each.always for each in known)

    @property
    def retried(self) -> int:
        """How many pairs were played more than once."""
        return sum(len(verdict.takes) > 1 for verdict in self.verdicts)

    def to_dict(self) -> dict[str, Any]:
        """This row as plain data."""
        return {
            "configuration": self.configuration.name,
            "via": self.configuration.via,
            "fault": self.fault or None,
            "pairs": len(self.verdicts),
            "agree": self.agree,
            "retried": self.retried,
            "seconds": round(self.seconds, 1),
            "floor": None if self.floor is None else asdict(self.floor),
            "disagreements": [_disagreement(verdict) for verdict in self.disagreeing],
        }


def _disagreement(verdict: Verdict) -> dict[str, Any]:
    known = KNOWN.get((verdict.configuration, verdict.schedule))
    last = verdict.takes[-1]
    return {
        "schedule": verdict.schedule,
        "known": None if known is None else known.reason,
        "plays": len(verdict.takes),
        "void": verdict.void,
        "late": asdict(last.late),
        "differences": [asdict(difference) for difference in verdict.differences],
        "origin": last.origin.to_dict(),
        "real": last.real.to_dict(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sweep; the exit status."""
    options = _options(arguments)
    known = CONFIGURATIONS | VARIANTS if options.configurations or not options.short else CONFIGURATIONS
    chosen = [each for each in known.values() if _matches(each.name, options.configurations)]
    every = suite.short() if options.short else suite.full(options.seeds)
    schedules = [schedule for schedule in every if _matches(schedule.name, options.schedules)]
    console = Console()
    if not chosen or not schedules:
        console.print(f"Nothing to play. Configurations: {', '.join(known)}")
        return 2
    signal.signal(signal.SIGTERM, _stop)  # as Ctrl-C: the proxies are stopped
    rows = _sweep(chosen, schedules, options, console)
    console.print(_table(rows))
    for verdict in (verdict for row in rows for verdict in row.disagreeing):
        if (verdict.configuration, verdict.schedule) not in KNOWN:
            console.print(str(verdict), highlight=False, markup=False, soft_wrap=True)
    if options.json:
        options.json.write_text(json.dumps([row.to_dict() for row in rows], indent=1) + "\n")
    return 0 if _passes(rows) else 1


def _sweep(
    chosen: list[Configuration], schedules: list[Schedule], options: argparse.Namespace, console: Console
) -> list[Row]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    rows = []
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=sum(each.plays(one) for each in chosen for one in schedules))
        for configuration in chosen:
            progress.update(task, description=configuration.name)
            row, began = Row(configuration), time.monotonic()
            rows.append(row)
            try:
                resolve(configuration.via)
                if options.floor:
                    sample = [one for one in schedules if configuration.plays(one)][
                        :: len(schedules) // options.floor or 1
                    ]
                    with staged(configuration) as stage:
                        row.floor = floor.measure(stage, sample)
                row.verdicts = judge(
                    configuration, schedules, at_once=options.at_once, played=lambda _: progress.advance(task)
                )
            except ConfigurationError as error:
                row.fault = f"pending: {error}"
            except (Missing, Failed) as error:
                row.fault = str(error)
            row.seconds = time.monotonic() - began
    return rows


def _table(rows: list[Row]) -> Table:
    table = Table("configuration", "agree", "at once", "known", "floor: worst byte, same bursts", "s", box=None)
    for row in rows:
        if row.fault:
            table.add_row(row.configuration.name, row.fault.partition(". ")[0])
            continue
        known = sum((verdict.configuration, verdict.schedule) in KNOWN for verdict in row.disagreeing)
        table.add_row(
            row.configuration.name,
            f"{row.agree}/{len(row.verdicts)}",
            str(len(row.verdicts) - row.retried),
            str(known or ""),
            "" if row.floor is None else str(row.floor),
            f"{row.seconds:.0f}",
        )
    pairs, agree = sum(len(row.verdicts) for row in rows), sum(row.agree for row in rows)
    table.add_section()
    table.add_row("all", f"{agree}/{pairs}", f"{agree / pairs:.2%}" if pairs else "")
    return table


def _passes(rows: list[Row]) -> bool:
    """Does the pass line hold, with every chosen configuration played?"""
    nginx = [row for row in rows if all(hop.profile == "nginx" for hop in row.configuration.hops)]
    return (
        not any(row.fault for row in rows)
        and sum(row.agree for row in rows) >= PASS_LINE * sum(len(row.verdicts) for row in rows)
        and sum(row.agree + row.races for row in nginx) >= PASS_LINE_OF_NGINX * sum(len(row.verdicts) for row in nginx)
    )


def _matches(name: str, globs: Sequence[str]) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs)


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.proxies.sweep", description="Hold replay against real proxies."
    )
    parser.add_argument("configurations", nargs="*", metavar="CONFIGURATION", help="names or globs; default: all")
    parser.add_argument("-s", "--schedules", action="append", metavar="GLOB", help="only these; may be repeated")
    parser.add_argument("--short", action="store_true", help="the short suite, as in CI")
    parser.add_argument("--seeds", type=int, default=60, help="how many random schedules (default: %(default)s)")
    parser.add_argument(
        "--floor", type=int, default=12, help="pairs played twice for the noise floor (default: %(default)s)"
    )
    parser.add_argument(
        "--at-once", type=int, default=AT_ONCE, help="pairs played at the same time (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
