"""Pairs that are known to disagree, each with its reason. What is not here must agree; what is here must not.

Knows exact pairs, no patterns: a new schedule is never excused by an old reason. The share of them that the pass line
allows, and that nginx has none but races, is held by a test.
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

_READS = (
    "One write is larger than the window, or several follow each other at once: in how many reads they come is the "
    "kernel's and the two processes' doing, and nginx writes its buffers where a read ends."
)
_TOGETHER = (
    "One nginx writes twice in a row; the next one reads both together, and passes them on as one chunk, or one by "
    "one, as the two processes happen to run. The end of a chunk that is longer than a buffer waits in the next one."
)
_ACKS = (
    "Which write of nginx's the reader acknowledges late depends on how far its kernel has opened the window, and that "
    "on when it read."
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
    ("lighttpd-stream", "together-all-chunked"): Known(_READ_TO_THE_END, always=False),
    ("lighttpd-stream", "together-all-close"): Known(_READ_TO_THE_END, always=False),
    ("lighttpd-stream-2", "together-all-chunked"): Known(_READ_TO_THE_END, always=False),
    ("lighttpd-stream-2", "together-all-close"): Known(_READ_TO_THE_END, always=False),
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
    ("varnish", "together-all-chunked"): Known(_FINISHED, always=False),
    ("varnish", "together-all-close"): Known(_FINISHED, always=False),
    ("varnish-gzip", "together-all-chunked"): Known(_FINISHED, always=False),
    ("varnish-gzip", "together-all-close"): Known(_FINISHED, always=False),
    ("varnish-gzip", "together-all-length"): Known(_FINISHED, always=False),
    **dict.fromkeys(
        (
            ("nginx-8k-first-buffer", "huge-chunked"),
            ("nginx-8k-first-buffer", "huge-close"),
            ("nginx-8k-first-buffer", "huge-length"),
            ("nginx-nginx", "huge-chunked"),
            ("nginx-nginx-gzip", "huge-chunked"),
            ("apache-nginx", "huge-chunked"),
            ("caddy-nginx", "huge-close"),
        ),
        Known(_READS, always=False),
    ),
    **dict.fromkeys(
        (
            ("nginx-nginx-nginx", "huge-chunked"),
            ("nginx-nginx-nginx", "huge-close"),
            ("nginx-nginx-nginx", "edge-65536-1-chunked"),
            ("nginx-nginx-nginx", "edge-65536-1-close"),
            ("nginx-nginx-nginx", "edge-65536+0-chunked"),
            ("nginx-nginx-nginx", "edge-65536+0-close"),
            ("nginx-nginx-nginx", "edge-65536+1-chunked"),
            ("nginx-nginx-nginx", "edge-65536+1-close"),
            ("nginx-nginx-nginx", "random-12"),
            ("nginx-nginx-nginx", "random-32"),
            ("nginx-nginx-nginx", "random-45"),
            ("nginx-nginx-nginx", "random-51"),
            ("nginx-unbuffered-nginx", "16k-chunked"),
            ("nginx-unbuffered-nginx", "16k-chunked-gzip"),
            ("nginx-unbuffered-nginx", "16k-close"),
            ("nginx-unbuffered-nginx", "16k-close-gzip"),
            ("nginx-unbuffered-nginx", "16k-length"),
            ("nginx-unbuffered-nginx", "16k-length-gzip"),
        ),
        Known(_TOGETHER, always=False),
    ),
    **dict.fromkeys(
        (
            ("nginx-nginx-http10", "16k-chunked"),
            ("nginx-nginx-http10", "16k-chunked-gzip"),
            ("haproxy-nginx", "16k-chunked"),
            ("haproxy-nginx", "16k-chunked-gzip"),
        ),
        Known(_ACKS, always=False),
    ),
}
