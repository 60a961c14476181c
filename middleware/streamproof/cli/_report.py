"""The result of a command: diagnoses, notes, and the exit status. Printing is in ``_render.py``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..analysis.diagnosis import Diagnosis, diagnose
from ..profiles import Via, resolve
from ..sansio.errors import NeedsData
from ..sansio.trace import Trace

#: The most common hops; together they show each way to hold a stream once.
USUAL_VIAS = (
    "passthrough",
    "nginx:proxy_http_version=1.0",
    "nginx:proxy_http_version=1.1",
    "nginx:tls=on",
    "nginx:gzip=on",
    "gae-standard",
    "gae-flex",
    "apigw-rest",
    "heroku",
    "cloudflare",
    "haproxy",
    "apache",
    "cloud-run",
)


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence below the table; a ``finding`` makes the exit status 1."""

    text: str
    finding: bool = True


@dataclass(slots=True)
class Report:
    """The result of one command. The verdicts on ``app``, ``server`` and ``counted`` decide the exit status."""

    diagnoses: list[Diagnosis] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    counted: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """The exit status: 0 when healthy, else 1."""
        counted = {"app", "server", *self.counted}
        unhealthy = any(not item.verdict.healthy for item in self.diagnoses if item.vantage in counted)
        return int(unhealthy or any(note.finding for note in self.notes))

    def add_vias(self, trace: Trace, requested: Sequence[Via]) -> None:
        """Diagnose ``trace`` behind each requested via, or behind the usual ones, which do not count.

        Raises NeedsData when a requested via needs data that the trace does not have.
        """
        self.counted = tuple(via.text for via in requested)
        for via in requested or map(resolve, USUAL_VIAS):
            try:
                self.diagnoses.append(diagnose(trace, via))
            except NeedsData as error:
                if requested:
                    raise
                self.notes.append(Note(f"{via.text} is left out: {error}", finding=False))

    def to_dict(self) -> dict[str, Any]:
        """The report as data."""
        return {
            "format": 1,
            "status": self.status,
            "vantages": [_vantage(item) for item in self.diagnoses],
            "notes": [{"text": note.text, "finding": note.finding} for note in self.notes],
        }


def _vantage(item: Diagnosis) -> dict[str, Any]:
    stats, verdict = item.delivery.stats, item.verdict
    response = item.delivery.response
    return {
        "vantage": item.vantage,
        "grade": item.grade,
        "status": None if response is None else response.status,
        "outcome": str(item.delivery.outcome),
        "first_byte": stats.first_byte,
        "last_byte": stats.last_byte,
        "end": item.delivery.end.at,
        "bytes": stats.bytes,
        "bursts": [[burst.at, burst.size] for burst in item.bursts],
        "worst_lag": item.worst_lag,
        "held": item.held,
        "verdict": {
            "word": verdict.word,
            "healthy": verdict.healthy,
            "sentence": verdict.sentence,
            "rule": verdict.rule,
            "fix": verdict.fix,
        },
    }


def arrived(trace: Trace) -> Diagnosis:
    """The diagnosis of a response whose production is unknown, from its arrivals alone."""
    return replace(diagnose(trace, None), vantage="reader")
