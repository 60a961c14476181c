"""starlette-compress holds text/plain to the end: it flushes only the types that it knows as streams.

uvicorn --host 127.0.0.1 --port 8000 demo_apps.zoo.starlette_compress_text:app
curl -N --compressed http://127.0.0.1:8000/stream
"""

from demo_apps.raw_asgi import app as streaming_app
from demo_apps.requirement import requires

with requires("starlette-compress"):
    from starlette_compress import CompressMiddleware

app = CompressMiddleware(streaming_app)
