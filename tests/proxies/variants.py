"""Configurations that only the sweep plays: other values of the same options, other neighbours, longer chains.

Knows what must follow from the mechanism that the short suite's configurations show: a profile that only fits those
fails here.
"""

from __future__ import annotations

from . import edge_proxies, web_servers
from .configurations import GZIP, HTTP11, TYPES, VIA_GZIP, Configuration, RealHop, one
from .envoy_proxy import compressor, envoy

_NGINX = RealHop(web_servers.nginx(HTTP11), "nginx:proxy_http_version=1.1")
_NGINX_OLD = RealHop(web_servers.nginx(), "nginx")
_NGINX_GZIP = RealHop(web_servers.nginx(HTTP11, GZIP), f"nginx:proxy_http_version=1.1,{VIA_GZIP}")
_NGINX_UNBUFFERED = RealHop(
    web_servers.nginx(HTTP11, "proxy_buffering off;"), "nginx:proxy_http_version=1.1,proxy_buffering=off"
)
_HAPROXY = RealHop(edge_proxies.haproxy("option http-no-delay"), "haproxy:http-no-delay=on")

_QUOTED = "(" + ", ".join(f'"{kind}"' for kind in TYPES) + ")"

_EACH = (
    one("nginx-gzip-http10", web_servers.nginx(GZIP), f"nginx:{VIA_GZIP}"),
    one("nginx-unbuffered-http10", web_servers.nginx("proxy_buffering off;"), "nginx:proxy_buffering=off"),
    one("nginx-tls-http10", web_servers.nginx(listen="ssl"), "nginx:tls=on", "http/1.1"),
    one("nginx-tls-http2-http10", web_servers.nginx(listen="ssl http2"), "nginx:tls=on", "h2"),
    one(
        "nginx-tls-unbuffered",
        web_servers.nginx(HTTP11, "proxy_buffering off;", listen="ssl"),
        "nginx:proxy_http_version=1.1,proxy_buffering=off,tls=on",
        "http/1.1",
    ),
    one(
        "nginx-tls-gzip",
        web_servers.nginx(HTTP11, GZIP, listen="ssl"),
        f"nginx:proxy_http_version=1.1,tls=on,{VIA_GZIP}",
        "http/1.1",
    ),
    one(
        "nginx-tls-small-records",
        web_servers.nginx(HTTP11, server="ssl_buffer_size 4k;", listen="ssl"),
        "nginx:proxy_http_version=1.1,tls=on,ssl_buffer_size=4k",
        "http/1.1",
    ),
    one(
        "nginx-8k-buffers",
        web_servers.nginx(HTTP11, "proxy_buffer_size 8k; proxy_buffers 8 8k;"),
        "nginx:proxy_http_version=1.1,proxy_buffer_size=8k,proxy_buffers=8k",
    ),
    one(
        "nginx-8k-first-buffer",
        web_servers.nginx("proxy_buffer_size 8k;"),
        "nginx:proxy_buffer_size=8k",
    ),
    one(
        "nginx-ignores-x-accel",
        web_servers.nginx(HTTP11, "proxy_ignore_headers X-Accel-Buffering;"),
        "nginx:proxy_http_version=1.1,proxy_ignore_headers=X-Accel-Buffering",
    ),
    one(
        "nginx-gzip-level-6",
        web_servers.nginx(HTTP11, GZIP, "gzip_comp_level 6; gzip_vary on; gzip_min_length 1000;"),
        f"nginx:proxy_http_version=1.1,gzip_comp_level=6,gzip_vary=on,gzip_min_length=1000,{VIA_GZIP}",
    ),
    Configuration("nginx-http10-nginx", (_NGINX_OLD, _NGINX)),
    Configuration("nginx-nginx-http10", (_NGINX, _NGINX_OLD)),
    Configuration("nginx-unbuffered-nginx", (_NGINX_UNBUFFERED, _NGINX)),
    Configuration("nginx-gzip-nginx", (_NGINX_GZIP, _NGINX)),
    Configuration("nginx-nginx-gzip", (_NGINX, _NGINX_GZIP)),
    Configuration("nginx-nginx-nginx", (_NGINX, _NGINX, _NGINX)),
    Configuration("nginx-haproxy", (_NGINX, _HAPROXY)),
    Configuration("haproxy-nginx", (_HAPROXY, _NGINX)),
    Configuration("apache-nginx", (RealHop(web_servers.apache(), "apache"), _NGINX)),
    Configuration("caddy-nginx", (RealHop(web_servers.caddy(), "caddy:version=2.6.2"), _NGINX)),
    one("apache-flushpackets", web_servers.apache(flags="flushpackets=on"), "apache:flushpackets=on"),
    one(
        "haproxy-compression-no-delay",
        edge_proxies.haproxy("option http-no-delay", "compression algo gzip", f"compression type {' '.join(TYPES)}"),
        f"haproxy:http-no-delay=on,compression-algo=gzip,compression-type={' '.join(TYPES)}",
    ),
    one("caddy-flush", web_servers.caddy(flush="-1"), "caddy:version=2.6.2,flush_interval=-1"),
    one(
        "caddy-encode-flush",
        web_servers.caddy("encode gzip", flush="-1"),
        "caddy:version=2.6.2,encode=gzip,flush_interval=-1",
    ),
    one(
        "envoy-compressor-1000",
        envoy(compressor((*TYPES, "application/json"), 1000)),
        f"envoy:timeout=60s,compressor={' '.join(TYPES)} application/json,min_content_length=1000",
    ),
    one("varnish-pass", edge_proxies.varnish("sub vcl_recv { return (pass); }"), "varnish:pass=on"),
    one(
        "lighttpd-stream-2", web_servers.lighttpd("server.stream-response-body = 2"), "lighttpd:stream-response-body=2"
    ),
    one(
        "lighttpd-deflate",
        web_servers.lighttpd(
            'server.modules += ("mod_deflate")',
            f"deflate.mimetypes = {_QUOTED}",
            'deflate.allowed-encodings = ("gzip")',
        ),
        f"lighttpd:deflate={' '.join(TYPES)}",
    ),
)

VARIANTS: dict[str, Configuration] = {configuration.name: configuration for configuration in _EACH}
