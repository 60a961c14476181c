"""Add the header fields that ask hops not to hold a stream.

The app's own values stay: a directive is merged into them. Annotating twice changes nothing. Fields that end at the
next hop are the server's (RFC 9110 section 7.6.1).
"""

from __future__ import annotations

from ..http import Headers, header, media_type, tokens


def annotate(headers: Headers, *, accel_buffering: bool, no_transform: bool, incremental: bool) -> Headers:
    """Return ``headers`` with the fields of a stream; each of them can be left out.

    ``X-Accel-Buffering: no``: the hop does not buffer this response (nginx, ngx_http_proxy_module, proxy_buffering).
    ``Cache-Control: no-transform``: an intermediary must not compress it (RFC 9111 section 5.2.2.6).
    ``Incremental: ?1``: forward it piece by piece (draft-ietf-httpbis-incremental). Which product obeys which field is
    in the profiles (``cures``).
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
