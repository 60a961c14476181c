"""Pairs that are known to disagree, each with its reason. What is not here must agree; what is here must not.

Knows exact pairs, no patterns: a new schedule is never excused by an old reason. The share of them that the pass line
allows, and that nginx has none, is held by a test.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """Why the pair disagrees. ``always``: False where it depends on what the kernel did, and it may agree as well."""

    reason: str
    always: bool = True


_WINDOW = (
    "A write of more than half the reader's window makes the reader's kernel announce a new window, which releases "
    "what HAProxy had sent with MSG_MORE by then: what it reads next waits or not, as the two processes happen to run."
)
_SHORT_READS = (
    "Go reads what has come: where a read is shorter than 32 KiB, because the origin was still writing, the last one "
    "is so long that it passes Go's buffer."
)
_GO_DEFLATE = "Caddy compresses with klauspost/compress, zlib stands in for it: the sizes differ by some percent."
_FINISHED = (
    "Varnish writes the head when the fetch begins or when it has already finished, as its two threads happen to run; "
    "in the second case it knows the size and names it."
)

#: By configuration and schedule.
KNOWN: dict[tuple[str, str], Known] = {
    ("haproxy", "16k-chunked-gzip"): Known(_WINDOW, always=False),
    ("haproxy-compression", "16k-chunked-gzip"): Known(_WINDOW, always=False),
    ("caddy", "huge-length"): Known(_SHORT_READS, always=False),
    ("caddy-encode", "huge-length"): Known(_SHORT_READS, always=False),
    ("caddy-encode", "16k-chunked-gzip"): Known(_GO_DEFLATE),
    ("caddy-encode", "16k-close-gzip"): Known(_GO_DEFLATE),
    ("caddy-encode", "16k-length-gzip"): Known(_GO_DEFLATE),
    ("caddy-encode", "dies-fin-length-gzip"): Known(_GO_DEFLATE),
    ("caddy-encode", "dies-rst-length-gzip"): Known(_GO_DEFLATE),
    ("caddy-encode", "http10-length-gzip"): Known(_GO_DEFLATE),
    ("caddy-encode", "fields-length-gzip"): Known(_GO_DEFLATE),
    ("varnish", "joined-all-chunked"): Known(_FINISHED, always=False),
    ("varnish", "joined-all-close"): Known(_FINISHED, always=False),
    ("varnish-gzip", "joined-all-chunked"): Known(_FINISHED, always=False),
    ("varnish-gzip", "joined-all-close"): Known(_FINISHED, always=False),
    ("varnish-gzip", "joined-all-length"): Known(_FINISHED, always=False),
}
