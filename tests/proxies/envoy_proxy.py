"""How Envoy is set up: its configuration is a document, built here as data and written as JSON.

Knows Envoy's v3 configuration as far as a reverse proxy needs it.
"""

from __future__ import annotations

import json
from typing import Any

from .products import Launch, Recipe, Site

_EXTENSION = "type.googleapis.com/envoy.extensions."


def compressor(types: tuple[str, ...], min_content_length: int) -> dict[str, Any]:
    """The filter that compresses these types with gzip, from so many bytes on when the length is known."""
    return {
        "name": "envoy.filters.http.compressor",
        "typed_config": {
            "@type": f"{_EXTENSION}filters.http.compressor.v3.Compressor",
            "response_direction_config": {
                "common_config": {"min_content_length": min_content_length, "content_type": list(types)}
            },
            "compressor_library": {
                "name": "gzip",
                "typed_config": {"@type": f"{_EXTENSION}compression.gzip.compressor.v3.Gzip"},
            },
        },
    }


def envoy(*filters: dict[str, Any]) -> Recipe:
    """``filters``: HTTP filters before the router."""

    def recipe(site: Site) -> Launch:
        router = {
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": f"{_EXTENSION}filters.http.router.v3.Router"},
        }
        route = {"match": {"prefix": "/"}, "route": {"cluster": "origin", "timeout": "60s"}}
        manager = {
            "@type": f"{_EXTENSION}filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "reader",
            "http_protocol_options": {"accept_http_10": True},
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
            "http_filters": [*filters, router],
        }
        listener = {
            "address": _address(site.port),
            "filter_chains": [
                {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
            ],
        }
        cluster = {
            "name": "origin",
            "type": "STATIC",
            "load_assignment": {
                "cluster_name": "origin",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(site.upstream)}}]}],
            },
        }
        document = {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
        path = site.write("envoy.json", json.dumps(document))
        return Launch(("-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "warning"))

    return recipe


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
