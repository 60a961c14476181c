"""What the demo apps stream: targets, chunks, and how many of them precede each pause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from demo_apps import query
from demo_apps.chunks import CHUNKS, MODEL, sse_event
from demo_apps.text_model import TextGenerationModel
from demo_apps.zoo import ZOO

from .demo_support import Reader, load, need

DATA = [f"Data chunk {number}\n".encode() for number in range(CHUNKS)]
EXHIBITS = {exhibit.name: exhibit for exhibit in ZOO}


def token_chunks(prompt: str, **parameters: Any) -> list[bytes]:
    """The events that an app sends for `prompt`."""
    values = query.parameters({name: str(value) for name, value in parameters.items()})
    tokens = list(TextGenerationModel.from_pretrained(MODEL).generate(prompt, **values))
    events = [sse_event(token) for token in tokens]
    return [event.encode() for event in [*events, sse_event(str(len(tokens)), name="end")]]


@dataclass(frozen=True)
class Stream:
    """A stream that several apps serve: how to ask for it, its chunks, and how many precede each pause."""

    method: str
    target: str
    content_type: str
    chunks: list[bytes]
    chunks_at_pause: range

    def assert_streamed(self, reader: Reader) -> None:
        """At every pause of the app the reader held exactly the chunks produced so far."""
        assert reader.status == 200
        assert reader.headers["content-type"].split(";")[0] == self.content_type
        assert reader.held_at_pause == [b"".join(self.chunks[:count]) for count in self.chunks_at_pause]
        assert reader.body == b"".join(self.chunks)


STREAM = Stream("GET", "/stream", "text/plain", DATA, range(1, CHUNKS + 1))
SEARCH_CHUNKS = token_chunks("Tell me something funny", max_output_tokens=8)
SEARCH = Stream(
    "POST",
    "/search?ai_prompt=Tell+me+something+funny&max_output_tokens=8",
    "text/event-stream",
    SEARCH_CHUNKS,
    range(len(SEARCH_CHUNKS) - 1),
)
WSGI_STREAMS = [
    pytest.param("demo_apps.raw_wsgi:app", None, STREAM, id="raw_wsgi-stream"),
    pytest.param("demo_apps.raw_wsgi:app", None, SEARCH, id="raw_wsgi-search"),
    pytest.param("demo_apps.flask_stream:app", "flask", STREAM, id="flask-stream"),
    pytest.param("demo_apps.django_stream:wsgi_app", "django", STREAM, id="django_wsgi-stream"),
    pytest.param("demo_apps.django_stream:wsgi_app", "django", SEARCH, id="django_wsgi-search"),
]
ASGI_STREAMS = [
    pytest.param("demo_apps.raw_asgi:app", None, STREAM, id="raw_asgi-stream"),
    pytest.param("demo_apps.raw_asgi:app", None, SEARCH, id="raw_asgi-search"),
    pytest.param("demo_apps.fastapi_llm:app", "fastapi", SEARCH, id="fastapi-search"),
    pytest.param("demo_apps.django_stream:asgi_app", "django", STREAM, id="django_asgi-stream"),
    pytest.param("demo_apps.django_stream:asgi_app", "django", SEARCH, id="django_asgi-search"),
]


def load_needing(target: str, package: str | None) -> Any:
    if package:
        need(package)
    return load(target)
