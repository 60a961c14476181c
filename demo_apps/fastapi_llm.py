"""A text model's answer, streamed from FastAPI as server-sent events.

    uvicorn --host 127.0.0.1 --port 8000 demo_apps.fastapi_llm:app
    python -m demo_apps.llm_client --prompt 'Tell me something funny'

The page at `/` shows each token when it arrives. The model takes DEMO_TOKEN_DELAY seconds per token.
"""

from pathlib import Path
from typing import Annotated

from demo_apps.chunks import token_events
from demo_apps.query import LONGEST_PROMPT, Parameters
from demo_apps.requirement import requires

with requires("fastapi"):
    from fastapi import FastAPI, Query
    from fastapi.responses import HTMLResponse, StreamingResponse

app = FastAPI(title="A text model, streamed")


@app.post("/search")
async def search(
    ai_prompt: Annotated[str, Query(min_length=1, max_length=LONGEST_PROMPT)],
    max_output_tokens: Annotated[int, Query(ge=1, le=2048)] = 1024,
    temperature: Annotated[float, Query(ge=0, le=2)] = 0.2,
    top_p: Annotated[float, Query(ge=0, le=1)] = 0.8,
    top_k: Annotated[int, Query(ge=1, le=100)] = 40,
) -> StreamingResponse:
    """Stream the model's answer to `ai_prompt`."""
    parameters: Parameters = {
        "max_output_tokens": max_output_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
    }
    return StreamingResponse(token_events(ai_prompt, parameters), media_type="text/event-stream")


@app.get("/", response_class=HTMLResponse)
def page() -> str:
    """A page that reads the stream and shows when each token arrived."""
    return Path(__file__).with_name("llm_page.html").read_text(encoding="utf-8")
