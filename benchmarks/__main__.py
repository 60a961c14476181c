"""``python -m benchmarks``: prints what streamproof costs beside others. ``--help`` lists what else can be measured."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from streamproof.adapters import compiled

from . import costs, drive, pumped, wire

#: Layers with a thread or a clock of their own, whose instructions callgrind would count with those of a chunk.
THREADED = ("streamproof, door", "streamproof, via", "streamproof, timed via")
#: What full recording may cost over bare, per chunk, on CPython 3.11.
TARGETS = {"wsgi": 1250, "asgi": 2400}


def table(kind: str, rounds: int, *, counted: bool) -> str:
    """All layers of one kind."""
    names = costs.available(kind)
    single = [name for name in names if name not in THREADED]
    steps = costs.instructions(kind, single) if counted else {}
    nanoseconds, microseconds = costs.per_chunk(kind, names, rounds), costs.per_response(kind, names, rounds)
    held = costs.live_bytes(kind, [name for name in names if not name.endswith("via")])
    idle = nanoseconds["no-op ClosingIterator" if kind == "wsgi" else "no-op send"]
    lines = [
        f"{kind.upper()}, over bare",
        f"{'layer':24}{'instructions/chunk':>20}{'ns/chunk':>12}{'x no-op':>9}{'us/response':>13}{'bytes/stream':>14}",
    ]
    for name in names:
        lines.append(
            f"{name:24}{_whole(steps, name):>20}{nanoseconds[name]:12.0f}{nanoseconds[name] / idle:9.2f}"
            f"{microseconds[name]:13.1f}{_whole(held, name):>14}"
        )
    if counted and steps:
        lines.append(f"target for streamproof: {TARGETS[kind]:,} instructions, 1.5 x no-op, 10 us, 1,024 bytes")
    return "\n".join(lines)


def _whole(values: Mapping[str, float], name: str) -> str:
    return f"{values[name]:,.0f}" if name in values else "-"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--no-instructions", action="store_true", help="skip callgrind, which takes minutes")
    parser.add_argument("--rounds", type=int, default=30, help="rounds of the paired times")
    parser.add_argument("--throughput", action="store_true", help="gunicorn and uvicorn under wrk, 100 x 512 B")
    parser.add_argument("--soak", action="store_true", help="1000 readers on uvicorn, 200 on gthread, that come and go")
    parser.add_argument(
        "--pumped", action="store_true", help="CPU a chunk through a WSGI policy's thread, at four gaps"
    )
    parser.add_argument("--pure", action="store_true", help="count in Python, as where there is no compiler")
    parser.add_argument("--seconds", type=float, default=60, help="how long a soak lasts")
    arguments = parser.parse_args()
    if arguments.pure:
        drive.uncompiled()
    _say(f"counting: {'Python' if compiled.counting is None else 'compiled'}\n")
    if arguments.throughput:
        for name in wire.SERVERS:
            bare, shares = wire.throughput(name)
            kept = "  ".join(f"{layer} {share:.3f}" for layer, share in shares.items())
            _say(f"{name:18} bare {bare:7.1f}/s  {kept}")
    elif arguments.pumped:
        _say(pumped.table())
    elif arguments.soak:
        _say(wire.soak("uvicorn", 1000, arguments.seconds))
        _say(wire.soak("gunicorn gthread", 200, arguments.seconds))
    else:
        for kind in ("wsgi", "asgi"):
            _say(table(kind, arguments.rounds, counted=not arguments.no_instructions) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
