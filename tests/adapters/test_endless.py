"""Ten million chunks through the recorder leave memory as it was."""

from __future__ import annotations

import subprocess
import sys

ENDLESS = """
import itertools, os, sys
from streamproof.wsgi import StreamMiddleware

CHUNKS = 10_000_000

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return itertools.repeat(b"x" * 64)

traces = []
body = StreamMiddleware(app, on_trace=traces.append)({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *a: None)
blocks = iter(body)
for _ in itertools.islice(blocks, 100_000):
    pass
before = resident()
for _ in itertools.islice(blocks, CHUNKS - 100_000):
    pass
grown = resident() - before
body.close()
assert traces[0].stats.chunks in (CHUNKS, CHUNKS + 1), traces[0].stats
assert traces[0].outcome == "client_gone", traces[0].outcome
print(grown)
"""


def test_memory_is_flat_over_ten_million_chunks() -> None:
    done = subprocess.run([sys.executable, "-c", ENDLESS], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 256 * 1024
