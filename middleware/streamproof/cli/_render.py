"""Prints a report: a table, a waterfall, and the verdicts in words, in 80 columns.

rich only colors the verdicts. The layout is computed here, so a file gets the text that a terminal gets, without color.
"""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING, TextIO

from ..analysis.diagnosis import Diagnosis
from ..extras import need
from ..sansio.delivery import bursts
from ..sansio.trace import Outcome
from ..sansio.verdict import Verdict
from . import _waterfall
from ._report import Report

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDTH = 80
LABEL = 28  # the length of the longest usual via
_STYLES = {"streams": "green", "late": "yellow", "in blocks": "yellow", "not a stream": "yellow"}


class Page:
    """Prints reports to ``out``. Raises StreamProofError when rich is not installed."""

    def __init__(self, *, no_color: bool = False, out: TextIO | None = None) -> None:
        need("rich", "Drawing")
        from rich.console import Console

        self.out = sys.stdout if out is None else out
        color = self.out.isatty() and not no_color and not os.environ.get("NO_COLOR")
        self._console: Console = Console(
            file=self.out,
            color_system="auto" if color else None,
            force_terminal=color,
            width=WIDTH,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._pens = _waterfall.pens(self.out.encoding)

    def line(self, text: str | Text = "") -> None:
        """Print one line unchanged."""
        self._console.print(text, soft_wrap=True)

    def words(self, text: str, indent: str = "") -> None:
        """Print sentences, wrapped; line breaks in ``text`` are kept."""
        for part in text.split("\n"):
            self.line(textwrap.fill(part.strip(), WIDTH, initial_indent=indent, subsequent_indent=indent))
            indent = indent or "  "

    def report(self, report: Report) -> None:
        """Print the table, the waterfall, the verdicts and the notes."""
        if report.diagnoses:
            self.line()
            self._table(report.diagnoses)
            self.line()
            self._waterfall(report.diagnoses)
        by_verdict: dict[Verdict, list[Diagnosis]] = {}
        for item in report.diagnoses:
            if item.verdict.word != "streams":
                by_verdict.setdefault(item.verdict, []).append(item)
        if by_verdict:
            self.line()
        for items in by_verdict.values():
            self._verdict(items)
        if report.notes:
            self.line()
        for note in report.notes:
            self.words(note.text)

    def _table(self, items: list[Diagnosis]) -> None:
        outcome = max(len("outcome"), *(len(item.delivery.outcome) for item in items))
        word = max(len("verdict"), *(len(item.verdict.word) for item in items))
        width = min(_label_width(items), WIDTH - 25 - 2 - outcome - word)
        self.line(f"{'':{width}} first  last bursts   lag {'outcome':{outcome}} verdict")
        for item in items:
            stats = item.delivery.stats
            lag = "-" if item.vantage == "app" else _time(item.worst_lag)
            times = f"{_time(stats.first_byte):>6}{_time(stats.last_byte):>6}{len(item.bursts):>7}{lag:>6}"
            left = f"{_label(item, width)}{times} {item.delivery.outcome:{outcome}} "
            self.line(self._colored(left, item))

    def _waterfall(self, items: list[Diagnosis]) -> None:
        width = _label_width(items)
        last = max(max(item.delivery.end.at, *(burst.at for burst in item.bursts), 0.0) for item in items)
        axis = _waterfall.Axis(last, WIDTH - width - 3)
        produced = bursts(items[0].delivery.chunks)
        self.line(f"{'':{width}}  {axis.ruler()}")
        for item in items:
            broken = item.delivery.outcome in (Outcome.CUT, Outcome.APP_ERROR)
            drawn = _waterfall.row(produced, item.bursts, item.delivery.end.at, broken, axis, self._pens)
            self.line(f"{_label(item, width)} |{drawn.rstrip()}")

    def _verdict(self, items: list[Diagnosis]) -> None:
        for item in items[:-1]:
            self.line(item.vantage)
        self.line(self._colored(f"{items[-1].vantage}: ", items[-1]))
        verdict = items[0].verdict
        self.words(verdict.sentence, "    ")
        if verdict.fix:
            self.words(f"fix: {verdict.fix}", "    ")

    def _colored(self, left: str, item: Diagnosis) -> Text:
        from rich.text import Text

        return Text.assemble(left, (item.verdict.word, _STYLES.get(item.verdict.word, "red")))


def _label(item: Diagnosis, width: int) -> str:
    """The vantage point in ``width`` characters; a long one keeps both ends, because vias differ there."""
    name = item.vantage
    if len(name) <= width:
        return f"{name:{width}}"
    tail = (width - 2) // 2
    return f"{name[: width - 2 - tail]}..{name[-tail:]}"


def _label_width(items: list[Diagnosis]) -> int:
    return min(LABEL, max(len(item.vantage) for item in items))


def _time(seconds: float | None) -> str:
    """A time in at most five characters: 7ms, 503ms, 4.50s, 12.3s, 1234s."""
    if seconds is None:
        return "-"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    return f"{seconds:.2f}s" if seconds < 9.995 else f"{seconds:.1f}s" if seconds < 99.95 else f"{seconds:.0f}s"
