"""A page that reads a stream and writes down what came in how many reads, for a real browser.

The page has not loaded before its image has, and the image is only there once the page has reported that it read to
the end: so a browser that prints the document after loading prints the count.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CHUNKS = 6
_read = threading.Event()
PAGE = b"""<!doctype html><title>reading</title><p id="reads"></p><img src="/when-read"><script>
(async () => {
  const reader = (await fetch("/stream")).body.getReader();
  let reads = 0, bytes = 0;
  for (;;) {
    const {done, value} = await reader.read();
    if (done) break;
    reads += 1; bytes += value.length;
    document.getElementById("reads").textContent = `${reads} reads, ${bytes} bytes`;
  }
  await fetch("/read");
})();
</script>
"""


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The page at ``/``, its stream at ``/stream``, and the two ends of the page's own loading."""
    if environ["PATH_INFO"] == "/stream":
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return _events()
    if environ["PATH_INFO"] == "/read":
        _read.set()
    elif environ["PATH_INFO"] == "/when-read":
        _read.wait(20)
    page = PAGE if environ["PATH_INFO"] == "/" else b""
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(page)))])
    return [page]


def _events() -> Iterator[bytes]:
    for number in range(CHUNKS):
        yield b"data: %d\n\n" % number
        time.sleep(0.15)
