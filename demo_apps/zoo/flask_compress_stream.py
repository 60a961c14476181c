"""Flask-Compress holds small chunks to the end: it compresses a streamed body and never flushes.

gunicorn --bind 127.0.0.1:8000 demo_apps.zoo.flask_compress_stream:app
curl -N --compressed -H 'Accept-Encoding: br' http://127.0.0.1:8000/stream
"""

from demo_apps.flask_stream import create_app
from demo_apps.requirement import requires

with requires("flask-compress"):
    from flask_compress import Compress

app = create_app()
Compress(app)
