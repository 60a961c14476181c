"""Which real proxies are played through, how each is set up, and what its via is called.

Knows which directive of a recipe is which option of a via: the two columns of this table are what the proof is about.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import edge_proxies, web_servers
from .envoy_proxy import compressor, envoy
from .products import Recipe, Site, running
from .schedules import Schedule

#: What is compressed where compression is configured; JSON is not among it.
TYPES = ("text/plain", "text/csv", "text/event-stream")

HTTP11 = 'proxy_http_version 1.1; proxy_set_header Connection "";'
GZIP = f"gzip on; gzip_types {' '.join(TYPES)}; gzip_proxied any;"
VIA_GZIP = f"gzip=on,gzip_types={' '.join(TYPES)},gzip_proxied=any"


@dataclass(frozen=True, slots=True)
class RealHop:
    """One real proxy: how it is set up, and what it is called in a via."""

    recipe: Recipe
    via: str

    @property
    def profile(self) -> str:
        """The product's name in a via."""
        return self.via.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Configuration:
    """Real proxies in a row, app side first. ``reads``: None in cleartext, else what the reader says in ALPN.

    ``largest``: body bytes of one write whose end is predicted, None for any. Above it the answer is not the product's:
    what the reader's kernel does with its window decides. ``varies``: by which share a timer inside it comes sooner or
    later than it is emulated.
    """

    name: str
    hops: tuple[RealHop, ...]
    reads: str | None = None
    largest: int | None = None
    varies: float = 0.0

    @property
    def via(self) -> str:
        """What ``replay`` is asked to predict."""
        return "+".join(hop.via for hop in self.hops)

    @property
    def http_version(self) -> str | None:
        """The version that the reader's connection imposes, None where the schedule chooses."""
        return "2" if self.reads == "h2" else None

    def plays(self, schedule: Schedule) -> bool:
        """Can this schedule be asked for here? An HTTP/2 reader is no HTTP/1.0 reader."""
        if self.largest is not None and schedule.framing != "close" and schedule.largest > self.largest:
            return False
        return self.http_version is None or schedule.http_version == "1.1"

    @contextlib.contextmanager
    def running(self, origin_port: int) -> Iterator[Site]:
        """All its proxies in front of the origin; the site that the reader asks (the origin's where there is none)."""
        with contextlib.ExitStack() as stack:
            site = Site(Path(), origin_port, origin_port)
            for hop in self.hops:
                secure = self.reads is not None and hop is self.hops[-1]
                site = stack.enter_context(running(hop.profile, hop.recipe, site.port, secure=secure))
            yield site


#: Half of the window that a reader on loopback announces first: a larger write of HAProxy's makes its kernel announce a
#: new one, and that races with what HAProxy reads next (``known.py``).
HALF_A_WINDOW = 32000


#: MSG_MORE waits for 200 to 210 ms, of which 205 are emulated.
MORE = 0.025


def one(
    name: str, recipe: Recipe, via: str, reads: str | None = None, *, largest: int | None = None, varies: float = 0.0
) -> Configuration:
    """A configuration of one hop."""
    return Configuration(name, (RealHop(recipe, via),), reads, largest, varies)


_EACH = (
    one("nginx", web_servers.nginx(), "nginx"),
    one("nginx-http11", web_servers.nginx(HTTP11), "nginx:proxy_http_version=1.1"),
    one(
        "nginx-unbuffered",
        web_servers.nginx(HTTP11, "proxy_buffering off;"),
        "nginx:proxy_http_version=1.1,proxy_buffering=off",
    ),
    one("nginx-gzip", web_servers.nginx(HTTP11, GZIP), f"nginx:proxy_http_version=1.1,{VIA_GZIP}"),
    one(
        "nginx-gzip-unbuffered",
        web_servers.nginx(HTTP11, GZIP, "proxy_buffering off;"),
        f"nginx:proxy_http_version=1.1,proxy_buffering=off,{VIA_GZIP}",
    ),
    one("nginx-tls", web_servers.nginx(HTTP11, listen="ssl"), "nginx:proxy_http_version=1.1,tls=on", "http/1.1"),
    one("nginx-tls-http2", web_servers.nginx(HTTP11, listen="ssl http2"), "nginx:proxy_http_version=1.1,tls=on", "h2"),
    Configuration(
        "nginx-nginx",
        (
            RealHop(web_servers.nginx(HTTP11), "nginx:proxy_http_version=1.1"),
            RealHop(web_servers.nginx(HTTP11), "nginx:proxy_http_version=1.1"),
        ),
    ),
    one("apache", web_servers.apache(), "apache"),
    one(
        "apache-deflate",
        web_servers.apache(f"AddOutputFilterByType DEFLATE {' '.join(TYPES)}", modules=("filter", "deflate")),
        f"apache:AddOutputFilterByType={' '.join(TYPES)}",
    ),
    one("haproxy", edge_proxies.haproxy(), "haproxy", largest=HALF_A_WINDOW, varies=MORE),
    one("haproxy-no-delay", edge_proxies.haproxy("option http-no-delay"), "haproxy:http-no-delay=on"),
    one("haproxy-mss", edge_proxies.haproxy(bind="mss 1460"), "haproxy:mss=1460", largest=HALF_A_WINDOW, varies=MORE),
    one(
        "haproxy-compression",
        edge_proxies.haproxy("compression algo gzip", f"compression type {' '.join(TYPES)}"),
        f"haproxy:compression-algo=gzip,compression-type={' '.join(TYPES)}",
        largest=HALF_A_WINDOW,
        varies=MORE,
    ),
    one("caddy", web_servers.caddy(), "caddy:version=2.6.2"),
    one("caddy-encode", web_servers.caddy("encode gzip"), "caddy:version=2.6.2,encode=gzip"),
    one("envoy", envoy(), "envoy:timeout=60s"),
    one(
        "envoy-compressor",
        envoy(compressor(TYPES, 100)),
        f"envoy:timeout=60s,compressor={' '.join(TYPES)},min_content_length=100",
    ),
    one("varnish", edge_proxies.varnish(), "varnish"),
    one(
        "varnish-gzip",
        edge_proxies.varnish("sub vcl_backend_response { set beresp.do_gzip = true; }"),
        "varnish:do_gzip=true",
    ),
    one(
        "varnish-no-stream",
        edge_proxies.varnish("sub vcl_backend_response { set beresp.do_stream = false; }"),
        "varnish:do_stream=false",
    ),
    one("lighttpd", web_servers.lighttpd(), "lighttpd"),
    one(
        "lighttpd-stream",
        web_servers.lighttpd("server.stream-response-body = 1"),
        "lighttpd:stream-response-body=1",
    ),
    one("squid", edge_proxies.squid(), "squid"),
    one("h2o", web_servers.h2o(), "h2o"),
    one("h2o-compress", web_servers.h2o("compress: [gzip]"), "h2o:compress=on"),
    one("trafficserver", edge_proxies.trafficserver(), "trafficserver"),
    one("nghttpx", edge_proxies.nghttpx(), "nghttpx"),
)

#: Those of the short suite; the sweep also plays :mod:`tests.proxies.variants`.
CONFIGURATIONS: dict[str, Configuration] = {configuration.name: configuration for configuration in _EACH}
