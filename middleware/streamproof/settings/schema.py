"""Every setting as data: its name, default, field and one line of help.

The fields of the policy and the budget are in ``members.py``. Where values come from is in ``loading.py``.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from ..sansio.decode.containers import Either, Items, Optional
from ..sansio.decode.fields import Choice, Field, Flag, Number, Seconds, Text, Whole
from ..sansio.decode.limits import SECONDS, VIA_LENGTH
from .members import BUDGET, POLICY

#: The longest interval that a thread can wait for, seconds; 49 days on Windows.
_WAIT = min(SECONDS, threading.TIMEOUT_MAX)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. ``field`` says which values it takes, and reads them."""

    name: str
    default: Any
    field: Field
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"STREAMPROOF_{self.name.upper()}"

    @property
    def expected(self) -> str:
        """The expected form, in words."""
        return self.field.expected

    def read(self, raw: object) -> Any:
        """Return the value that ``raw`` means, text or a value of TOML. Raises Fault."""
        return self.field.parse(raw) if isinstance(raw, str) else self.field.read(raw)


def _text(hint: str) -> Field:
    return Optional(field=Text(hint=hint, longest=VIA_LENGTH))


def _names(hint: str) -> Field:
    return Items(item=Text(longest=VIA_LENGTH), hint=hint)


SCHEMA: tuple[Setting, ...] = (
    Setting(
        "env",
        "development",
        Choice(values=("development", "test", "production")),
        "Where the app runs. In production, via is refused.",
    ),
    Setting("enabled", True, Flag(), "Whether the app is wrapped."),
    Setting("app", None, _text("module:app"), "The app that streamproof.app:app wraps."),
    Setting("via", None, _text("a via, as nginx:gzip=on+cloudflare"), "Hops that are emulated in the process."),
    Setting("force_via", False, Flag(), "Allow via in production."),
    Setting("policy", None, POLICY, "The flush policy."),
    Setting("budget", {}, BUDGET, "The limits of a stream. Exceeding one is a finding."),
    Setting(
        "on_violation",
        "log",
        Choice(values=("log", "metric", "raise")),
        "What happens when a stream exceeds its budget.",
    ),
    Setting(
        "keep_chunks",
        False,
        Either(fields=(Flag(), Whole()), hint="true, false or a number of chunks"),
        "The chunks that are kept of each stream. Their bytes are kept for bodies, on_trace and exporters.",
    ),
    Setting(
        "export",
        "streams",
        Choice(values=("streams", "all")),
        "Which responses are exported: streams (more than one chunk, or an unclean end), or all.",
    ),
    Setting("log", "text", Choice(values=("off", "text", "json")), "The form of a stream's log line."),
    Setting(
        "log_open",
        0.0,
        Seconds(high=_WAIT, hint="a number of seconds, 0 for never"),
        "The interval at which a stream that is still open gets a log line.",
    ),
    Setting("access_log", False, Flag(), "Put the stats into the environ, for %({streamproof}e)s."),
    Setting("prometheus", False, Flag(), "Count streams with prometheus_client."),
    Setting(
        "prometheus_dir",
        None,
        _text("a folder"),
        "The folder in which worker processes share their counts.",
    ),
    Setting(
        "metrics_path", None, _text("a path, as /metrics"), "The path that is answered with the Prometheus metrics."
    ),
    Setting("opentelemetry", False, Flag(), "Export one span a stream, and metrics."),
    Setting("jsonl", None, _text("a file"), "The file to which each trace is appended, one line each."),
    Setting(
        "jsonl_max_bytes",
        100_000_000,
        Whole(low=1000, what="a number of bytes"),
        "The size to rotate at.",
    ),
    Setting("jsonl_backups", 3, Whole(low=0, what="a number of files"), "The number of rotated files to keep."),
    Setting("bodies", False, Flag(), "Keep the bytes of kept chunks, for the trace file."),
    Setting(
        "sample",
        1.0,
        Number(high=1),
        "The share of clean traces in the file; others are all kept.",
    ),
    Setting(
        "exporters",
        (),
        _names("names of entry points in the group streamproof.exporters, several in a list"),
        "Exporters of other distributions to enable.",
    ),
    Setting("on_trace", (), _names("module:callable, several in a list"), "Callables that are called with each trace."),
    Setting("route_limit", 200, Whole(low=1, what="a number"), "The most route labels; further routes are (other)."),
    Setting("queue", 1000, Whole(low=1, what="a number of traces"), "The most traces that wait for slow exporters."),
    Setting("gunicorn_conf", None, _text("a file"), "Your gunicorn configuration. Default: ./gunicorn.conf.py."),
)
