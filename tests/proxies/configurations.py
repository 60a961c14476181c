"""Which real proxies are played through, how each is set up, and what its via is called.

Knows which directive of a recipe is which option of a via: the two columns of this table are what the proof is about.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import recipes
from .products import Recipe, Site, running
from .recipes import TYPES
from .recipes_envoy import compressor, envoy
from .schedules import Schedule

_HTTP11 = 'proxy_http_version 1.1; proxy_set_header Connection "";'
_GZIP = f"gzip on; gzip_types {' '.join(TYPES)}; gzip_proxied any;"
_VIA_GZIP = f"gzip=on,gzip_types={' '.join(TYPES)},gzip_proxied=any"


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
    """Real proxies in a row, app side first. ``reads``: None in cleartext, else what the reader says in ALPN."""

    name: str
    hops: tuple[RealHop, ...]
    reads: str | None = None

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


def _one(name: str, recipe: Recipe, via: str, reads: str | None = None) -> Configuration:
    return Configuration(name, (RealHop(recipe, via),), reads)


_EACH = (
    _one("nginx", recipes.nginx(), "nginx"),
    _one("nginx-http11", recipes.nginx(_HTTP11), "nginx:proxy_http_version=1.1"),
    _one(
        "nginx-unbuffered",
        recipes.nginx(_HTTP11, "proxy_buffering off;"),
        "nginx:proxy_http_version=1.1,proxy_buffering=off",
    ),
    _one("nginx-gzip", recipes.nginx(_HTTP11, _GZIP), f"nginx:proxy_http_version=1.1,{_VIA_GZIP}"),
    _one(
        "nginx-gzip-unbuffered",
        recipes.nginx(_HTTP11, _GZIP, "proxy_buffering off;"),
        f"nginx:proxy_http_version=1.1,proxy_buffering=off,{_VIA_GZIP}",
    ),
    _one("nginx-tls", recipes.nginx(_HTTP11, listen="ssl"), "nginx:proxy_http_version=1.1,tls=on", "http/1.1"),
    _one("nginx-tls-http2", recipes.nginx(_HTTP11, listen="ssl http2"), "nginx:proxy_http_version=1.1,tls=on", "h2"),
    Configuration(
        "nginx-nginx",
        (
            RealHop(recipes.nginx(_HTTP11), "nginx:proxy_http_version=1.1"),
            RealHop(recipes.nginx(_HTTP11), "nginx:proxy_http_version=1.1"),
        ),
    ),
    _one("apache", recipes.apache(), "apache"),
    _one(
        "apache-deflate",
        recipes.apache(f"AddOutputFilterByType DEFLATE {' '.join(TYPES)}", modules=("filter", "deflate")),
        f"apache:deflate={' '.join(TYPES)}",
    ),
    _one("haproxy", recipes.haproxy(), "haproxy"),
    _one("haproxy-no-delay", recipes.haproxy("option http-no-delay"), "haproxy:http-no-delay=on"),
    _one("haproxy-mss", recipes.haproxy(bind="mss 1460"), "haproxy:mss=1460"),
    _one(
        "haproxy-compression",
        recipes.haproxy("compression algo gzip", f"compression type {' '.join(TYPES)}"),
        f"haproxy:compression-algo=gzip,compression-type={' '.join(TYPES)}",
    ),
    _one("caddy", recipes.caddy(), "caddy:version=2.6.2"),
    _one("caddy-encode", recipes.caddy("encode gzip"), "caddy:version=2.6.2,encode=gzip"),
    _one("envoy", envoy(), "envoy"),
    _one(
        "envoy-compressor",
        envoy(compressor(TYPES, 100)),
        f"envoy:compressor={' '.join(TYPES)},min_content_length=100",
    ),
    _one("varnish", recipes.varnish(), "varnish"),
    _one(
        "varnish-gzip",
        recipes.varnish("sub vcl_backend_response { set beresp.do_gzip = true; }"),
        "varnish:do_gzip=true",
    ),
    _one(
        "varnish-no-stream",
        recipes.varnish("sub vcl_backend_response { set beresp.do_stream = false; }"),
        "varnish:do_stream=false",
    ),
    _one("lighttpd", recipes.lighttpd(), "lighttpd"),
    _one(
        "lighttpd-stream",
        recipes.lighttpd("server.stream-response-body = 1"),
        "lighttpd:stream-response-body=1",
    ),
    _one("squid", recipes.squid(), "squid"),
    _one("h2o", recipes.h2o(), "h2o"),
    _one("h2o-compress", recipes.h2o("compress: [gzip]"), "h2o:compress=on"),
    _one("trafficserver", recipes.trafficserver(), "trafficserver"),
    _one("nghttpx", recipes.nghttpx(), "nghttpx"),
)

CONFIGURATIONS: dict[str, Configuration] = {configuration.name: configuration for configuration in _EACH}
