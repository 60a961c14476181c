"""The limits of what is read from outside, each with its reason. docs/limits.md lists them."""

from __future__ import annotations

#: Bytes of one trace. A recording is parsed as a whole, and takes several times its size in memory.
TRACE_SIZE = 256 * 1024**2
#: Bytes of one TOML file (settings, a profile). Python's TOML parser needs up to five seconds for so many.
TOML_SIZE = 1024**2
#: Levels of objects and lists. Traces, profiles and settings have six; Python's parsers recurse at each level.
NESTING = 32
#: Parts of one dotted key in TOML. Python's TOML parser takes cubic time in them.
KEY_PARTS = 32
#: Digits of a whole number. A 128-bit number has 39; reading a number takes quadratic time in its digits.
DIGITS = 40
#: The largest whole number, 2**53 - 1: above it, JSON readers that use floats lose digits (RFC 8259 section 6).
WHOLE = 2**53 - 1
#: Seconds, 31 years. Clocks and timers of every platform can add two of them.
SECONDS = 1e9
#: Chunks of one trace. At a hundred tokens a second that is three hours.
CHUNKS = 1_000_000
#: Fields of one message. Servers refuse more than 100 to 1,000 of them.
FIELDS = 10_000
#: Bytes of one response head. Servers and proxies refuse more than 8 KiB to 1 MiB.
HEAD_SIZE = 16 * 1024**2
#: Characters of one via, and of one word from a configuration. Both are written by hand.
VIA_LENGTH = 10_000
#: Characters of a name in a map: an option, a header field of a condition.
NAME_LENGTH = 200
#: Bytes of one chunk that is replayed without its data: the replay fills it with zeros.
EMPTY_CHUNK_SIZE = 256 * 1024**2
#: Body bytes that hops may hold at once in a replay: they are in memory.
HELD_SIZE = 1024**3
#: Bytes that a compressed body of a recording may have after decompression, as much as a trace may have. gzip shrinks
#: zeros by 1,000, so without a limit a trace of 3 MB fills 3 GB of memory.
INFLATED_SIZE = TRACE_SIZE
