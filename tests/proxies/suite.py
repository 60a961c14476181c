"""Which schedules are played: the short suite that CI plays, and the full one of the sweep.

Knows which sizes, framings, types, silences and deaths make some hop behave differently; each family says which.
Times are seconds, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from streamproof.sansio.http import Framing, Headers
from streamproof.sansio.trace import How

from .bodies import Kind
from .schedules import Schedule, Write, at_random, evenly, sizes

FRAMINGS: tuple[Framing, ...] = ("chunked", "close", "length")
#: Where buffers, segments and records end: Go's and Apache's small ones, Ethernet, a page, Go's, TLS, pipes, zlib.
BOUNDARIES = (1024, 1460, 4096, 8192, 16384, 32768, 65536)
UNBUFFERED: Headers = (("X-Accel-Buffering", "no"),)
_TOKEN = 0.027  # seconds; no multiple of it comes near a hop's round timers


def tokens(name: str, framing: Framing = "chunked", kind: Kind = "sse") -> Schedule:
    """Small events, evenly: what a language model or a progress page sends."""
    return Schedule(name, evenly(8, 20, _TOKEN), framing, kind)


def _kinds() -> Iterator[Schedule]:
    """Each type of content in small writes, to readers that accept gzip and that do not."""
    for kind, framing in product(("sse", "text", "csv", "json", "binary"), FRAMINGS):
        plain = tokens(f"tokens-{kind}-{framing}", framing, kind)  # type: ignore[arg-type]
        yield plain
        yield plain.named("gzip", gzip=True)


def _blocks() -> Iterator[Schedule]:
    """Middle-sized and large writes, compressible and not: what fills buffers, compressors' too."""
    for framing in FRAMINGS:
        kilobytes = Schedule(f"1k-{framing}", evenly(10, 1024, _TOKEN), framing)
        large = Schedule(f"16k-{framing}", evenly(8, 16384, _TOKEN), framing, "csv")
        noise = Schedule(f"noise-{framing}", sizes(6000, 50000, 20, 3000, every=0.03), framing, "binary")
        yield from (kilobytes, kilobytes.named("gzip", gzip=True))
        yield from (large, large.named("gzip", gzip=True))
        yield from (noise, Schedule(f"huge-{framing}", sizes(200_000, 20, 20, every=0.04), framing, "json"))
        yield Schedule(
            f"noise-text-{framing}-gzip", sizes(6000, 50000, 20, 3000, every=0.03), framing, "sse", gzip=True
        )


def _edges() -> Iterator[Schedule]:
    """One write that just fills a boundary, misses it by one or passes it by one; then small ones."""
    for size, by, framing in product(BOUNDARIES, (-1, 0, 1), FRAMINGS):
        yield Schedule(f"edge-{size}{by:+d}-{framing}", sizes(size + by, 20, 300, every=0.03), framing)


def _climbs() -> Iterator[Schedule]:
    """Small writes that climb over a boundary."""
    for size, framing in product(BOUNDARIES, FRAMINGS):
        writes = (*sizes(size - 500), *evenly(12, 64, 0.016))
        yield Schedule(f"climb-{size}-{framing}", writes, framing, "csv")


def _full_buffers() -> Iterator[Schedule]:
    """Writes that with the head, and with the framing, end just where a buffer of a page ends."""
    for framing, pages, by in product(FRAMINGS, (1, 2), (-1, 0, 1)):
        bare = Schedule("bare", sizes(4096 * pages), framing)
        head = len(f"HTTP/1.1 200 OK\r\n{''.join(f'{n}: {v}' for n, v in bare.fields(framing))}\r\n")
        head += 2 * len(bare.fields(framing)) + (len("Connection: close\r\n") if framing == "close" else 0)
        round_it = 7 if framing == "chunked" else 0  # 'fff CRLF' before and CRLF after
        first = 4096 * pages - head - round_it + by
        yield Schedule(f"page-{pages}{by:+d}-{framing}", sizes(first, 20, 4096, 20, every=0.03), framing)


def _silences() -> Iterator[Schedule]:
    """The origin is quiet: before the head, after it, between writes, before the end."""
    for framing in FRAMINGS:
        yield Schedule(f"late-head-{framing}", sizes(512), framing, head_after=0.33)
        yield Schedule(f"late-body-{framing}", (Write(512, 0.33),), framing, "sse")
        yield Schedule(f"silence-{framing}", (Write(700), Write(20, 0.53), Write(20)), framing, "sse")
        yield Schedule(f"late-end-{framing}", sizes(300, 300), framing, end_after=0.33)


def _together() -> Iterator[Schedule]:
    """Head and first write, last write and end, in one system call."""
    for framing in FRAMINGS:
        yield Schedule(f"together-head-{framing}", sizes(1000, 1000, 1000, every=0.03), framing, head_with_first=True)
        yield Schedule(f"together-end-{framing}", sizes(1000, 1000, 1000, every=0.03), framing, end_with_last=True)
        yield Schedule(f"together-all-{framing}", sizes(9000), framing, head_with_first=True, end_with_last=True)


def _deaths() -> Iterator[Schedule]:
    """The origin dies: by FIN or RST, before the head, after it, in the body, with much or little on the way."""
    ways: tuple[How, ...] = ("fin", "rst")
    for how, framing in product(ways, FRAMINGS):
        died = Schedule(f"dies-{how}-{framing}", evenly(5, 1500), framing, dies=how)
        yield from (died, died.named("gzip", gzip=True))
        yield Schedule(f"dies-{how}-after-head-{framing}", (), framing, dies=how)
        yield Schedule(f"dies-{how}-tokens-{framing}", evenly(4, 20), framing, "sse", dies=how)
    for how in ways:
        yield Schedule(f"dies-{how}-before-head", (), dies=how, headless=True)


def _statuses() -> Iterator[Schedule]:
    """Other statuses, and responses without a body."""
    for status, framing in product((201, 404, 500, 503), FRAMINGS):
        yield Schedule(f"status-{status}-{framing}", evenly(6, 512), framing, status=status)
    yield Schedule("status-404-gzip", evenly(6, 512), status=404, gzip=True)
    yield Schedule("status-500-gzip", evenly(6, 512), status=500, gzip=True)
    for framing in FRAMINGS[::2]:
        yield Schedule(f"head-{framing}", evenly(2, 512), framing, method="HEAD")
        yield Schedule(f"head-{framing}-gzip", evenly(2, 512), framing, method="HEAD", gzip=True)
        yield Schedule(f"empty-{framing}", (), framing)
    yield Schedule("no-content", framing="length", status=204)


def _wishes() -> Iterator[Schedule]:
    """Fields that ask hops for something, and readers of HTTP/1.0."""
    for framing in FRAMINGS:
        streamed = tokens(f"unbuffered-{framing}", framing).named("sse", headers=UNBUFFERED)
        yield from (streamed, streamed.named("gzip", gzip=True))
        yield Schedule(
            f"unbuffered-1k-{framing}", evenly(8, 1024, _TOKEN), framing, "csv", headers=UNBUFFERED, gzip=True
        )
        yield tokens(f"buffered-{framing}", framing).named("sse", headers=(("X-Accel-Buffering", "yes"),))
        old = Schedule(f"http10-{framing}", evenly(8, 1024, _TOKEN), framing, http_version="1.0")
        yield from (old, old.named("gzip", gzip=True))
        whole = Schedule(f"no-transform-{framing}", evenly(8, 1024, _TOKEN), framing, "csv", gzip=True)
        yield whole.named("gzip", headers=(("Cache-Control", "no-cache, no-transform"),))
    encoded = Schedule("encoded", evenly(4, 700), kind="binary", headers=(("Content-Encoding", "br"),), gzip=True)
    yield encoded.named("gzip")


def _fields() -> Iterator[Schedule]:
    """Many fields at once: which are kept?"""
    many: Headers = (
        ("ETag", '"strong"'),
        ("Last-Modified", "Fri, 20 Nov 2026 00:00:00 GMT"),
        ("Cache-Control", "private, max-age=0"),
        ("Vary", "Cookie"),
        ("Set-Cookie", "a=1; Path=/"),
        ("Set-Cookie", "b=2; Path=/"),
        ("X-Request-Id", "abc"),
        ("X-Accel-Buffering", "no"),
        ("X-Accel-Expires", "0"),
        ("X-Powered-By", "tests"),
        ("Keep-Alive", "timeout=5"),
        ("Content-Language", "en"),
        ("Accept-Ranges", "none"),
        ("Via", "1.1 before"),
        ("Age", "0"),
    )
    for framing in FRAMINGS:
        schedule = Schedule(f"fields-{framing}", evenly(4, 600), framing, headers=many)
        yield from (schedule, schedule.named("gzip", gzip=True))


_FAMILIES = (
    _kinds, _blocks, _edges, _climbs, _full_buffers, _silences, _together, _deaths, _statuses, _wishes, _fields
)  # fmt: skip


def full(seeds: int = 60) -> tuple[Schedule, ...]:
    """Every schedule, and so many at random."""
    named = [schedule for family in _FAMILIES for schedule in family()]
    return (*named, *(at_random(seed) for seed in range(seeds)))


def short() -> tuple[Schedule, ...]:
    """What CI plays: each edge in one framing, of the other families those in which hops are known to differ."""
    edges = (f"edge-{size}{by:+d}-{FRAMINGS[(i + by) % 3]}" for i, size in enumerate(BOUNDARIES) for by in (-1, 0, 1))
    wanted = {*edges, *_SHORT.split()}
    out = tuple(schedule for schedule in full(_SHORT_SEEDS) if schedule.name in wanted or "random" in schedule.name)
    missing = wanted - {schedule.name for schedule in out}
    assert not missing, f"no schedule is called {sorted(missing)}"
    return out


_SHORT_SEEDS = 8
_SHORT = """
tokens-sse-chunked tokens-sse-close tokens-text-length tokens-json-chunked-gzip tokens-sse-chunked-gzip tokens-csv-close
1k-chunked 1k-close-gzip 1k-length-gzip 16k-chunked-gzip noise-chunked huge-chunked noise-text-chunked-gzip huge-length
climb-4096-chunked climb-4096-close climb-16384-length page-1+0-chunked page-1+1-close page-2-1-length
late-head-chunked late-body-close silence-chunked late-end-chunked
together-head-chunked together-head-close together-end-chunked together-all-length
dies-fin-chunked dies-rst-chunked dies-rst-close dies-rst-length dies-fin-chunked-gzip dies-rst-after-head-chunked
dies-rst-before-head dies-fin-before-head dies-fin-tokens-chunked
status-404-close status-500-chunked status-503-length head-chunked head-length no-content empty-chunked empty-length
unbuffered-chunked-sse unbuffered-close-sse-gzip unbuffered-1k-chunked buffered-close-sse
http10-chunked http10-length-gzip no-transform-chunked-gzip encoded-gzip fields-chunked fields-length-gzip
"""
