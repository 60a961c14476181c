"""The two streams of every demo app, ten chunks and a text model's tokens, as blocking and as async generators."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator

from demo_apps.query import Parameters
from demo_apps.text_model import TextGenerationModel

CHUNKS = 10
MODEL = "river_letters"


def data_chunks(delay: float) -> Iterator[str]:
    """Yield ten lines, with a pause of `delay` seconds after each."""
    for number in range(CHUNKS):
        yield f"Data chunk {number}\n"
        time.sleep(delay)


async def data_chunks_async(delay: float) -> AsyncGenerator[str]:
    """Yield the same ten lines on an event loop."""
    for number in range(CHUNKS):
        yield f"Data chunk {number}\n"
        await asyncio.sleep(delay)


def sse_event(data: str, name: str | None = None) -> str:
    """One server-sent event; each line of `data` becomes a field of its own."""
    head = "" if name is None else f"event: {name}\n"
    return head + "".join(f"data: {line}\n" for line in data.split("\n")) + "\n"


def token_events(prompt: str, parameters: Parameters) -> Iterator[str]:
    """Yield one event per token of the model's answer to `prompt`, then an `end` event."""
    model = TextGenerationModel.from_pretrained(MODEL)
    tokens = 0
    for token in model.predict_streaming(prompt, **parameters):
        tokens += 1
        yield sse_event(str(token))
    yield sse_event(str(tokens), name="end")


async def token_events_async(prompt: str, parameters: Parameters) -> AsyncGenerator[str]:
    """Yield the same events on an event loop."""
    model = TextGenerationModel.from_pretrained(MODEL)
    tokens = 0
    async for token in model.predict_streaming_async(prompt, **parameters):
        tokens += 1
        yield sse_event(str(token))
    yield sse_event(str(tokens), name="end")
