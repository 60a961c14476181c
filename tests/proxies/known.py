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
    "What fills half the reader's window makes the reader's kernel announce a new window, which releases what HAProxy "
    "had sent with MSG_MORE by then: what it reads next waits or not, as the two processes happen to run."
)
_TIMER = (
    "The kernel's timer ends 200 to 210 ms after a write, and the next write of this schedule comes just then: either "
    "may be first, and the two may be one burst or two."
)
_WRAPS = (
    "Where what HAProxy has read lies round the end of its ring buffer it hands on 8 B less for the header of one more "
    "block; libslz then begins its next piece there, and one symbol more or less waits."
)
_SHORT_READS = (
    "Go reads what has come: where a read is shorter than 32 KiB, because the origin was still writing, the last one "
    "is so long that it passes Go's buffer."
)
_GO_DEFLATE = "Caddy compresses with klauspost/compress, zlib stands in for it: the sizes differ by some percent."
_LIBDEFLATE = (
    "lighttpd compresses a body in one piece of memory with libdeflate, zlib stands in for it: the sizes differ by up "
    "to a tenth."
)
_READ_TO_THE_END = (
    "lighttpd writes the head before or after it has read the end, as the two processes happen to run; in the second "
    "case it knows the size and names it."
)
_FINISHED = (
    "Varnish writes the head when the fetch begins or when it has already finished, as its two threads happen to run; "
    "in the second case it knows the size and names it."
)

#: By configuration and schedule.
KNOWN: dict[tuple[str, str], Known] = {
    ("haproxy", "16k-chunked"): Known(_WINDOW, always=False),
    ("haproxy", "16k-chunked-gzip"): Known(_WINDOW, always=False),
    ("haproxy", "16k-length"): Known(_WINDOW, always=False),
    ("haproxy", "16k-length-gzip"): Known(_WINDOW, always=False),
    ("haproxy", "random-55"): Known(_TIMER, always=False),
    ("haproxy", "random-59"): Known(_TIMER, always=False),
    ("haproxy-mss", "random-55"): Known(_TIMER, always=False),
    ("haproxy-compression", "16k-chunked"): Known(_WINDOW, always=False),
    ("haproxy-compression", "16k-chunked-gzip"): Known(_WINDOW, always=False),
    ("haproxy-compression", "16k-length"): Known(_WINDOW, always=False),
    ("haproxy-compression", "16k-length-gzip"): Known(_WINDOW, always=False),
    ("haproxy-compression", "random-55"): Known(_TIMER, always=False),
    ("haproxy-compression", "random-59"): Known(_TIMER, always=False),
    ("haproxy-compression-no-delay", "noise-text-length-gzip"): Known(_WRAPS),
    ("caddy", "huge-length"): Known(_SHORT_READS, always=False),
    ("caddy-encode", "huge-length"): Known(_SHORT_READS, always=False),
    ("caddy-encode", "16k-chunked-gzip"): Known(_GO_DEFLATE),
    ("caddy-encode", "16k-close-gzip"): Known(_GO_DEFLATE),
    ("caddy-encode", "16k-length-gzip"): Known(_GO_DEFLATE),
    ("caddy-encode", "dies-fin-length-gzip"): Known(_GO_DEFLATE),
    ("caddy-encode", "dies-rst-length-gzip"): Known(_GO_DEFLATE),
    ("caddy-encode", "http10-length-gzip"): Known(_GO_DEFLATE),
    ("caddy-encode", "fields-length-gzip"): Known(_GO_DEFLATE),
    ("caddy-encode", "random-21"): Known(_GO_DEFLATE),
    ("caddy-encode", "random-39"): Known(_GO_DEFLATE),
    ("caddy-encode", "random-41"): Known(_GO_DEFLATE),
    ("caddy-encode-flush", "16k-chunked-gzip"): Known(_GO_DEFLATE),
    ("caddy-encode-flush", "16k-close-gzip"): Known(_GO_DEFLATE),
    ("caddy-encode-flush", "16k-length-gzip"): Known(_GO_DEFLATE),
    ("lighttpd-stream", "joined-all-chunked"): Known(_READ_TO_THE_END, always=False),
    ("lighttpd-stream", "joined-all-close"): Known(_READ_TO_THE_END, always=False),
    ("lighttpd-stream-2", "joined-all-chunked"): Known(_READ_TO_THE_END, always=False),
    ("lighttpd-stream-2", "joined-all-close"): Known(_READ_TO_THE_END, always=False),
    ("lighttpd-deflate", "dies-fin-chunked-gzip"): Known(_LIBDEFLATE),
    ("lighttpd-deflate", "dies-rst-chunked-gzip"): Known(_LIBDEFLATE),
    ("lighttpd-deflate", "http10-chunked-gzip"): Known(_LIBDEFLATE),
    ("lighttpd-deflate", "no-transform-chunked-gzip"): Known(_LIBDEFLATE),
    ("lighttpd-deflate", "status-404-gzip"): Known(_LIBDEFLATE),
    ("lighttpd-deflate", "status-500-gzip"): Known(_LIBDEFLATE),
    ("lighttpd-deflate", "unbuffered-1k-chunked"): Known(_LIBDEFLATE),
    ("lighttpd-deflate", "random-21"): Known(_LIBDEFLATE),
    ("lighttpd-deflate", "random-23"): Known(_LIBDEFLATE),
    ("lighttpd-deflate", "random-49"): Known(_LIBDEFLATE),
    ("lighttpd-deflate", "random-50"): Known(_LIBDEFLATE),
    ("varnish", "joined-all-chunked"): Known(_FINISHED, always=False),
    ("varnish", "joined-all-close"): Known(_FINISHED, always=False),
    ("varnish-gzip", "joined-all-chunked"): Known(_FINISHED, always=False),
    ("varnish-gzip", "joined-all-close"): Known(_FINISHED, always=False),
    ("varnish-gzip", "joined-all-length"): Known(_FINISHED, always=False),
}
