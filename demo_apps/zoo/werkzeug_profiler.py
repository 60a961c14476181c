"""Werkzeug's ProfilerMiddleware holds every chunk to the end: it collects the body to time it.

gunicorn --bind 127.0.0.1:8000 demo_apps.zoo.werkzeug_profiler:app
curl -N http://127.0.0.1:8000/stream
"""

from demo_apps.raw_wsgi import app as streaming_app
from demo_apps.requirement import requires

with requires("werkzeug"):
    from werkzeug.middleware.profiler import ProfilerMiddleware

app = ProfilerMiddleware(streaming_app, stream=None)  # stream=None turns its report off
