"""What the head of a stream says to the hops that can be talked to.

Knows three fields and who obeys them. Adds, merges into what the app said, never overrides it; doing it twice changes
nothing. Never adds a field that ends at the next hop: that is the server's business (RFC 9110 section 7.6.1).
"""

from __future__ import annotations

from ..http import Headers, header, media_type, tokens


def annotate(headers: Headers, *, accel_buffering: bool, no_transform: bool, incremental: bool) -> Headers:
    """``headers`` with what a stream should say; each word can be left out.

    ``X-Accel-Buffering: no``: nginx does not buffer this response (ngx_http_proxy_module, proxy_buffering).
    ``Cache-Control: no-transform``: an intermediary must not compress it (RFC 9111 section 5.2.2.6; HAProxy and
    Envoy obey).
    ``Incremental: ?1``: forward it piece by piece (draft-ietf-httpbis-incremental).
    """
    if no_transform and "no-transform" not in tokens(headers, "cache-control"):
        headers = _with_directive(headers)
    if accel_buffering and header(headers, "x-accel-buffering") is None:
        headers = (*headers, ("X-Accel-Buffering", "no"))
    if incremental and header(headers, "incremental") is None:
        headers = (*headers, ("Incremental", "?1"))
    return headers


def _with_directive(headers: Headers) -> Headers:
    fields = list(headers)
    for index, (name, value) in enumerate(fields):
        if name.lower() == "cache-control":
            fields[index] = (name, f"{value}, no-transform" if value.strip() else "no-transform")
            return tuple(fields)
    # WHATWG HTML section 9.2: an event stream must not be kept by a cache, and this app said nothing.
    fresh = "no-cache, " if media_type(headers) == "text/event-stream" else ""
    return (*headers, ("Cache-Control", f"{fresh}no-transform"))
