"""What a command found out, before it is told: diagnoses, notes, and the exit status that follows.

Knows which vantage points count for the status. Does not print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..analysis.diagnosis import Diagnosis, diagnose
from ..profiles import Via, resolve
from ..sansio.errors import NeedsData
from ..sansio.trace import Trace

#: What stands between most apps and their readers, and shows each way of holding once.
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
    """A sentence beside the table; a ``finding`` makes the status 1."""

    text: str
    finding: bool = True


@dataclass(slots=True)
class Report:
    """``counted`` are the vantage points whose verdict decides the status, besides ``app`` and ``server``."""

    diagnoses: list[Diagnosis] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    counted: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """0 when healthy, else 1."""
        counted = {"app", "server", *self.counted}
        sick = any(not item.verdict.healthy for item in self.diagnoses if item.vantage in counted)
        return int(sick or any(note.finding for note in self.notes))

    def add_vias(self, trace: Trace, asked: Sequence[Via]) -> None:
        """Diagnose ``trace`` behind each via that was ``asked`` for, or the usual ones, which don't count.

        Raises NeedsData, with what to do, only for a via that was asked for.
        """
        self.counted = tuple(via.text for via in asked)
        for via in asked or map(resolve, USUAL_VIAS):
            try:
                self.diagnoses.append(diagnose(trace, via))
            except NeedsData as error:
                if asked:
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
    """What a reader got, when nothing is known of the app behind it: its arrivals, judged by themselves."""
    return replace(diagnose(trace, None), vantage="reader")
