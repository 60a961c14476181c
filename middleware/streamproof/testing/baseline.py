"""The statistics of a test's responses that a run reports and compares with a baseline, all in seconds.

Here they are computed from recordings, written as JSON and compared. What pytest does with them is in
``pytest_plugin/__init__.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..sansio.delivery import comparable, compare
from ..sansio.errors import ConfigurationError
from .recorded import RecordedTrace

#: The statistics that are reported and compared: each the worst of a test's responses, seconds.
NAMES = ("first_byte", "max_silence", "max_hold", "end")
#: A statistic has got worse if it exceeds its baseline by this factor and this many seconds: twice the spread of
#: repeated runs on a shared machine.
FACTOR, SLACK = 1.5, 0.05
FORMAT = 1


def stats_of(trace: RecordedTrace) -> dict[str, float]:
    """Return the statistics of one response, as its reader saw it."""
    seen = trace if trace.delivery is None else trace.delivery
    stats = seen.stats
    hold = compare(trace, seen).worst_lag if seen is not trace and comparable(trace, seen) else 0.0
    first = seen.end.at if stats.first_byte is None else stats.first_byte
    numbers = {"first_byte": first, "max_silence": stats.longest_silence, "max_hold": hold, "end": trace.end.at}
    return {name: round(value, 6) for name, value in numbers.items()}


def worst(traces: Iterable[RecordedTrace]) -> dict[str, float]:
    """Return the worst statistics of several responses."""
    found: dict[str, float] = {}
    for trace in traces:
        for name, value in stats_of(trace).items():
            found[name] = max(value, found.get(name, value))
    return found


def properties(traces: Sequence[RecordedTrace]) -> list[tuple[str, object]]:
    """Return the same as pairs of name and value for a test report."""
    if not traces:
        return []
    outcomes = " ".join(dict.fromkeys(str(trace.outcome) for trace in traces))
    pairs: list[tuple[str, object]] = [("streamproof.responses", len(traces)), ("streamproof.outcomes", outcomes)]
    return pairs + [(f"streamproof.{name}", value) for name, value in worst(traces).items()]


def worse(
    measured: Mapping[str, float], baseline: Mapping[str, float], *, factor: float = FACTOR, slack: float = SLACK
) -> list[str]:
    """Return a sentence for each statistic that exceeds its baseline by more than ``factor`` and ``slack`` allow."""
    found = []
    for name in NAMES:
        if name not in baseline or name not in measured:
            continue
        limit = baseline[name] * factor + slack
        if measured[name] > limit:
            found.append(
                f"{name} is {measured[name]:.3f} s, its baseline {baseline[name]:.3f} s (at most {limit:.3f} s)"
            )
    return found


def read_baseline(path: Path) -> dict[str, dict[str, float]]:
    """Return the statistics in the file, by test; empty without a file. Raises ConfigurationError for another file."""
    if not path.exists():
        return {}
    try:
        data: Any = json.loads(path.read_text("utf-8"))
        if data["format"] != FORMAT:
            raise ValueError(f"its format is {data['format']!r}")
        return {str(test): {str(n): float(v) for n, v in entry.items()} for test, entry in data["tests"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"The baseline {path} cannot be read: {error}. Expected what --streamproof-update-baseline writes. "
            "Was it merged by hand?"
        ) from None


def write_baseline(path: Path, entries: Mapping[str, Mapping[str, float]]) -> None:
    """Write the statistics of ``entries`` to the file. Those of other tests stay."""
    tests = {**read_baseline(path), **{test: dict(stats) for test, stats in entries.items()}}
    data = {"format": FORMAT, "tests": {test: tests[test] for test in sorted(tests)}}
    path.write_text(json.dumps(data, indent=2) + "\n", "utf-8")


def write_report(path: Path, tests: Sequence[Mapping[str, Any]]) -> None:
    """Write the run's statistics, a list of tests, as JSON."""
    data = {"format": FORMAT, "tests": sorted(tests, key=lambda entry: str(entry["test"]))}
    path.write_text(json.dumps(data, indent=2) + "\n", "utf-8")


def summary(tests: Sequence[Mapping[str, Any]], rows: int = 3) -> list[str]:
    """Return a line for each of the slowest first bytes, longest holds and longest silences of a run."""
    lines = []
    for name, words in (("first_byte", "first byte"), ("max_hold", "held"), ("max_silence", "silence")):
        found = sorted((entry for entry in tests if entry.get(name)), key=lambda entry: -float(entry[name]))
        lines += [f"{words:<11}{float(entry[name]):9.3f} s  {entry['test']}" for entry in found[:rows]]
    return lines
