"""Every setting as data: its name, default, accepted values and one line of help.

A value is read from text (an environment variable) or from TOML. Where values come from is in ``loading.py``.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..sansio.findings import Budget

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


class Unreadable(ValueError):
    """A raw value does not have the expected form."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. ``read`` converts a raw value or raises Unreadable; ``expected`` describes the form."""

    name: str
    default: Any
    read: Callable[[Any], Any]
    expected: str
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"STREAMPROOF_{self.name.upper()}"


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    text = str(raw).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise Unreadable


def _text(raw: Any) -> str | None:
    if not isinstance(raw, str):
        raise Unreadable
    return raw.strip() or None


def _texts(raw: Any) -> tuple[str, ...]:
    if isinstance(raw, str):
        return tuple(raw.replace(",", " ").split())
    if isinstance(raw, list | tuple) and all(isinstance(item, str) for item in raw):
        return tuple(raw)
    raise Unreadable


def _count(low: int) -> Callable[[Any], int]:
    def read(raw: Any) -> int:
        try:
            value = int(raw) if isinstance(raw, str) else raw
        except ValueError:
            raise Unreadable from None
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise Unreadable
        return value

    return read


def _number(raw: Any) -> float:
    if isinstance(raw, bool):
        raise Unreadable
    try:
        return float(raw)
    except (TypeError, ValueError):
        raise Unreadable from None


def _share(raw: Any) -> float:
    value = _number(raw)
    if not 0 <= value <= 1:
        raise Unreadable
    return value


def _seconds(raw: Any) -> float:
    value = _number(raw)
    if not 0 <= value < threading.TIMEOUT_MAX:
        raise Unreadable
    return value


def _keep(raw: Any) -> bool | int:
    try:
        return _boolean(raw) if not isinstance(raw, int) or isinstance(raw, bool) else _count(0)(raw)
    except Unreadable:
        return _count(0)(raw)


def _choice(*choices: str) -> Callable[[Any], str]:
    def read(raw: Any) -> str:
        if raw not in choices:
            raise Unreadable
        return str(raw)

    return read


def _pairs(raw: Any) -> dict[str, Any]:
    """A TOML table, or ``name=value name=value`` in a variable; numbers become numbers."""
    if isinstance(raw, Mapping):
        return dict(raw)
    if not isinstance(raw, str):
        raise Unreadable
    found: dict[str, Any] = {}
    for word in shlex.split(raw):
        name, equals, value = word.partition("=")
        if not equals:
            raise Unreadable
        try:
            found[name] = int(value) if value.isdigit() else float(value)
        except ValueError:
            found[name] = (
                value.lower() in _TRUE if value.lower() in ("true", "false", "yes", "no", "on", "off") else value
            )
    return found


def _budget(raw: Any) -> dict[str, Any]:
    pairs = _pairs(raw)
    known = {entry.name for entry in fields(Budget)}
    if unknown := sorted(set(pairs) - known):
        from ..suggestion import nearest

        raise Unreadable(nearest(unknown[0], known))
    Budget(**pairs)
    return pairs


def _policy(raw: Any) -> str | dict[str, Any] | None:
    """The name of a preset, or the members of a policy."""
    if isinstance(raw, str) and "=" not in raw:
        return raw.strip() or None
    return _pairs(raw)


_BOOL = "true or false"
_TEXT = "text"

SCHEMA: tuple[Setting, ...] = (
    Setting(
        "env",
        "development",
        _choice("development", "test", "production"),
        "development, test or production",
        "Where the app runs. In production, via is refused.",
    ),
    Setting("enabled", True, _boolean, _BOOL, "Whether the app is wrapped."),
    Setting("app", None, _text, "module:app", "The app that streamproof.app:app wraps."),
    Setting("via", None, _text, "a via, as nginx:gzip=on+cloudflare", "Hops that are emulated in the process."),
    Setting("force_via", False, _boolean, _BOOL, "Allow via in production."),
    Setting("policy", None, _policy, "a preset's name, or members as name=value", "The flush policy."),
    Setting("budget", {}, _budget, "members as max_silence=15", "The limits of a stream. Exceeding one is a finding."),
    Setting(
        "on_violation",
        "log",
        _choice("log", "metric", "raise"),
        "log, metric or raise",
        "What happens when a stream exceeds its budget.",
    ),
    Setting(
        "keep_chunks",
        False,
        _keep,
        "true, false or a number of chunks",
        "The chunks that are kept of each stream. Their bytes are kept for bodies, on_trace and exporters.",
    ),
    Setting(
        "export",
        "streams",
        _choice("streams", "all"),
        "streams or all",
        "Which responses are exported: streams (more than one chunk, or an unclean end), or all.",
    ),
    Setting("log", "text", _choice("off", "text", "json"), "off, text or json", "The form of a stream's log line."),
    Setting(
        "log_open",
        0.0,
        _seconds,
        "a number of seconds, 0 for never",
        "The interval at which a stream that is still open gets a log line.",
    ),
    Setting("access_log", False, _boolean, _BOOL, "Put the stats into the environ, for %({streamproof}e)s."),
    Setting("prometheus", False, _boolean, _BOOL, "Count streams with prometheus_client."),
    Setting(
        "prometheus_dir",
        None,
        _text,
        "a folder",
        "The folder in which worker processes share their counts.",
    ),
    Setting(
        "metrics_path", None, _text, "a path, as /metrics", "The path that is answered with the Prometheus metrics."
    ),
    Setting("opentelemetry", False, _boolean, _BOOL, "Export one span a stream, and metrics."),
    Setting("jsonl", None, _text, "a file", "The file to which each trace is appended, one line each."),
    Setting(
        "jsonl_max_bytes",
        100_000_000,
        _count(1000),
        "a number of bytes, 1000 or more",
        "The size to rotate at.",
    ),
    Setting("jsonl_backups", 3, _count(0), "a number of files, 0 or more", "The number of rotated files to keep."),
    Setting("bodies", False, _boolean, _BOOL, "Keep the bytes of kept chunks, for the trace file."),
    Setting(
        "sample",
        1.0,
        _share,
        "a number from 0 to 1",
        "The share of clean traces in the file; others are all kept.",
    ),
    Setting(
        "exporters",
        (),
        _texts,
        "names of entry points in the group streamproof.exporters, several in a list",
        "Exporters of other distributions to enable.",
    ),
    Setting("on_trace", (), _texts, "module:callable, several in a list", "Callables that are called with each trace."),
    Setting("route_limit", 200, _count(1), "a number, 1 or more", "The most route labels; further routes are (other)."),
    Setting("queue", 1000, _count(1), "a number of traces, 1 or more", "The most traces that wait for slow exporters."),
    Setting("gunicorn_conf", None, _text, "a file", "Your gunicorn configuration. Default: ./gunicorn.conf.py."),
)
