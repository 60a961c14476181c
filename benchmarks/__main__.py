"""Measure the costs of streamproof and of other layers, in instructions, time and memory."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from streamproof.adapters import compiled

from . import costs, crowd, drive, policies, pumped, wire

#: Layers with a thread or a timer, whose instructions callgrind would add to those of a chunk.
THREADED = ("streamproof, entrypoint", "streamproof, via", "streamproof, timed via")
#: The largest cost of recording per chunk over bare, in instructions, on CPython 3.11.
TARGETS = {"wsgi": 250, "asgi": 1200}


def table(protocol: str, rounds: int, *, counted: bool) -> str:
    """Measure all layers of one protocol and return the table."""
    names = costs.available(protocol)
    single = [name for name in names if name not in THREADED]
    steps = costs.instructions(protocol, single) if counted else {}
    nanoseconds, microseconds = costs.per_chunk(protocol, names, rounds), costs.per_response(protocol, names, rounds)
    held = costs.live_bytes(protocol, [name for name in names if not name.endswith("via")])
    idle = nanoseconds["no-op ClosingIterator" if protocol == "wsgi" else "no-op send"]
    lines = [
        f"{protocol.upper()}, over bare",
        f"{'layer':24}{'instructions/chunk':>20}{'ns/chunk':>12}{'x no-op':>9}{'us/response':>13}{'bytes/stream':>14}",
    ]
    for name in names:
        lines.append(
            f"{name:24}{_whole(steps, name):>20}{nanoseconds[name]:12.0f}{nanoseconds[name] / idle:9.2f}"
            f"{microseconds[name]:13.1f}{_whole(held, name):>14}"
        )
    if counted and steps:
        lines.append(f"target for streamproof: {TARGETS[protocol]:,} instructions, 1.5 x no-op, 15 us, 1,024 bytes")
    return "\n".join(lines)


def _whole(values: Mapping[str, float], name: str) -> str:
    return f"{values[name]:,.0f}" if name in values else "-"


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the benchmarks that the arguments select."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--no-instructions", action="store_true", help="skip callgrind, which takes minutes")
    parser.add_argument("--rounds", type=int, default=30, help="rounds of the paired times (default: %(default)s)")
    parser.add_argument("--throughput", action="store_true", help="run wrk on gunicorn and uvicorn, 100 x 512 B")
    parser.add_argument("--soak", action="store_true", help="run 1000 readers on uvicorn, 200 on gthread")
    parser.add_argument("--pumped", action="store_true", help="CPU time per chunk of a pumped WSGI app, at four gaps")
    parser.add_argument("--policies", action="store_true", help="CPU time per chunk of policies, beside peers")
    parser.add_argument("--crowd", type=int, metavar="STREAMS", help="run so many open streams on one uvicorn process")
    parser.add_argument("--pure", action="store_true", help="count in Python, without the compiled part")
    parser.add_argument("--seconds", type=float, default=60, help="duration of a soak (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.pure:
        drive.uncompiled()
    _print(f"counting: {'in Python' if compiled.counting is None else 'compiled'}\n")
    if arguments.throughput:
        for name in wire.SERVERS:
            bare, shares = wire.throughput(name)
            kept = "  ".join(f"{layer} {share:.3f}" for layer, share in shares.items())
            _print(f"{name:18} bare {bare:7.1f}/s  {kept}")
    elif arguments.pumped:
        _print(pumped.table())
    elif arguments.soak:
        _print(wire.soak("uvicorn", 1000, arguments.seconds))
        _print(wire.soak("gunicorn gthread", 200, arguments.seconds))
    elif arguments.policies:
        _print(policies.table(arguments.rounds))
    elif arguments.crowd:
        _print(crowd.table(arguments.crowd, min(arguments.seconds, 20)))
    else:
        for protocol in ("wsgi", "asgi"):
            _print(table(protocol, arguments.rounds, counted=not arguments.no_instructions) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
