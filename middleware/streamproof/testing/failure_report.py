"""Draw the report of a failed proof as text: who produced what, who held what, in which order, and the cure.

Times are shown only where time was virtual, because real ones differ from run to run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..sansio.trace import Trace
from . import clocks
from .event_log import APP, READER, Entry, EventLog

if TYPE_CHECKING:
    from ..analysis.diagnosis import Diagnosis

#: Rows that are drawn before the middle is left out.
ROWS = 16


def draw(exchange: Any) -> str:
    """Return the event log of ``exchange`` as a table, one column for each place, with a line that names the holder."""
    line = exchange.line
    event_log: EventLog = line.event_log
    places = [place for place in event_log.places if event_log.of(place)] or [APP]
    columns = [*places, READER]
    virtual = clocks.is_virtual()
    counts = dict.fromkeys(columns, 0)
    rows = []
    for entry in event_log.entries:
        if entry.place not in counts:
            continue
        counts[entry.place] += 1
        rows.append(_row(entry, counts[entry.place], columns, virtual))
    head = ("    at  " if virtual else "") + "".join(f"{name:<20}" for name in columns)
    lines = [f"  {head.rstrip()}", *(f"  {row.rstrip()}" for row in _shortened(rows))]
    if not rows:
        lines.append("  nothing was produced")
    return "\n".join([*lines, "", f"  {_summary(event_log, places, line)}"])


def _row(entry: Entry, number: int, columns: list[str], virtual: bool) -> str:
    cell = f"#{number} {entry.size} B"
    at = f"{entry.at:6.2f}  " if virtual else ""
    return at + "".join(f"{cell if name == entry.place else '.':<20}" for name in columns)


def _shortened(rows: list[str]) -> list[str]:
    if len(rows) <= ROWS:
        return rows
    half = ROWS // 2
    return [*rows[:half], f"... {len(rows) - 2 * half} more ...", *rows[-half:]]


def _summary(event_log: EventLog, places: list[str], line: Any) -> str:
    produced, held = event_log.of(places[0]), event_log.of(READER)
    total, arrived = sum(entry.size for entry in produced), sum(entry.size for entry in held)
    first = next(
        (index for index, entry in enumerate(event_log.entries) if entry.place == READER), len(event_log.entries)
    )
    ahead = sum(1 for entry in event_log.entries[:first] if entry.place == places[0])
    summary = (
        f"{places[0]} produced {_count(len(produced), 'chunk')}, {total} B ({ahead} before the reader held a byte); "
        f"the reader holds {_count(len(held), 'chunk')}, {arrived} B."
    )
    hops = {entry.held_by for entry in event_log.entries if entry.held_by}
    if hops:
        return f"{summary} Held by: {', '.join(sorted(hops))}."
    if len(places) > 1:
        return f"{summary} Held between {_leg(event_log, places)}."
    return summary


def _leg(event_log: EventLog, places: list[str]) -> str:
    """Return the first pair of neighbors whose outer one produced fewer chunks, or produced them later."""
    for inner, outer in zip(places, places[1:], strict=False):
        entries = [entry.place for entry in event_log.entries if entry.place in (inner, outer)]
        if len(entries) > 1 and entries[1] == inner:
            return f"{inner} and {outer}"
    return f"{places[-1]} and the {READER}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def not_survived(trace: Trace, seen: Diagnosis) -> str:
    """Return the report of a stream that died behind a hop: the verdict, both timelines, the rule, the cure."""
    verdict, delivery = seen.verdict, seen.delivery
    lines = [
        f"The stream does not survive {seen.vantage}: {verdict.word}. {verdict.sentence}.",
        "",
        *timelines(trace, delivery),
        "",
    ]
    if verdict.rule:
        lines.append(f"  rule: {verdict.rule}")
    if verdict.fix:
        lines.append(f"  cure: {verdict.fix}")
    if seen.grade:
        lines.append(f"  known from: {seen.grade}")
    return "\n".join(lines).rstrip()


#: Columns of a timeline.
WIDTH = 56


def timelines(produced: Trace, delivered: Trace) -> list[str]:
    """Return two lines of dots over the same time, with marks where bytes were produced or arrived."""
    span = max(produced.end.at, delivered.end.at, 1e-9)
    return [
        f"  produced  |{_dots(produced, span)}| {_stats(produced)}",
        f"  arrived   |{_dots(delivered, span)}| {_stats(delivered)}",
        f"             0{'s, ' + f'{span:.2f} s':>{WIDTH - 1}}".replace("s, ", "   "),
    ]


def _dots(trace: Trace, span: float) -> str:
    cells = [0] * WIDTH
    for chunk in trace.chunks:
        cells[min(int(chunk.at / span * WIDTH), WIDTH - 1)] += 1
    return "".join("." if not count else "o" if count == 1 else "O" for count in cells)


def _stats(trace: Trace) -> str:
    stats = trace.stats
    first = "nothing" if stats.first_byte is None else f"first byte {stats.first_byte:.2f} s"
    return f"{_count(stats.chunks, 'chunk')}, {stats.bytes} B, {first}"
