"""What a server may offer: files that it sends itself, trailers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamproof.testing.buffering import buffered
from streamproof.testing.lockstep import Held, assert_streams
from streamproof.testing.transports import Transport

from ..support.testing_apps import need
from ..support.transport_streams import URL


@pytest.mark.parametrize("control", [False, True], ids=["as_is", "buffered"])
def test_a_file_that_the_server_is_to_send_arrives_as_body(library: Any, tmp_path: Path, control: bool) -> None:
    data = bytes(range(256)) * 1000
    (tmp_path / "export").write_bytes(data)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        assert "http.response.pathsend" in scope["extensions"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": str(tmp_path / "export")})

    transport = Transport(buffered(app) if control else app, server="granian")
    with library.Client(transport=transport) as client, client.stream("GET", URL) as response:
        if control:
            with pytest.raises(Held, match="1 chunk of 256000 B came"):
                assert_streams(response)
        else:
            assert_streams(response)
            assert response.trace.stats.bytes == len(data)
    with library.Client(transport=transport) as client:
        assert client.get(URL).content == data


def test_starlettes_files_go_where_they_may(tmp_path: Path) -> None:
    need("starlette", "httpx")
    import httpx
    from starlette.responses import FileResponse

    (tmp_path / "export").write_text("rows")
    for server in ("granian", "uvicorn"):
        with httpx.Client(
            transport=Transport(FileResponse(tmp_path / "export"), server=server, lifespan=False)
        ) as client:
            assert client.get(URL).text == "rows"


@pytest.mark.parametrize("kind", ["pathsend", "trailers"])
def test_what_the_server_does_not_offer_is_the_apps_fault(library: Any, kind: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": f"http.response.{kind}", "path": __file__})

    with (
        library.Client(transport=Transport(app, lifespan=False)) as client,
        pytest.raises(Exception, match=f"The app sent http.response.{kind}, which uvicorn does not offer"),
    ):
        client.get(URL)


class WithTrailers:
    def __init__(self, *order: str) -> None:
        self.order = order

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        offered = "http.response.trailers" in scope.get("extensions", {})
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": offered})
        for number, step in enumerate(self.order, 1):
            more = step in self.order[number:]
            if step == "body":
                await send({"type": "http.response.body", "body": b"chunk", "more_body": more})
            elif offered:
                fields = [(b"x-sum", b"%d" % number)]
                await send({"type": "http.response.trailers", "headers": fields, "more_trailers": more})


def test_trailers_come_when_they_were_asked_for(library: Any, run: Any) -> None:
    app = WithTrailers("body", "body", "trailers", "trailers")

    async def main() -> None:
        for options, expected in (
            ({}, []),
            ({"trailers": True}, [(b"x-sum", b"3"), (b"x-sum", b"4")]),
            ({"trailers": True, "via": "passthrough"}, []),
        ):
            for one in (app, buffered(app)):
                async with library.AsyncClient(transport=Transport(one, **options)) as client:
                    response = await client.get(URL)
                assert response.content == b"chunkchunk"
                assert response.extensions["trailers"] == expected
                assert response.trace.outcome == "complete"

    run(main)


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        (("trailers", "body"), "sent trailers in the middle"),
        (("body",), "returned before its response was complete"),
        (("body", "trailers", "late"), "sent trailers in the middle"),
    ],
)
def test_trailers_have_their_place(library: Any, order: tuple[str, ...], fault: str) -> None:
    app = WithTrailers(*order)
    with (
        library.Client(transport=Transport(app, trailers=True)) as client,
        pytest.raises(Exception, match=fault),
        client.stream("GET", URL) as response,
    ):
        list(response.iter_raw())
