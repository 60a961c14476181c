"""Django under ASGI holds a blocking iterator to the end: it turns the iterator into a list first, with a warning.

uvicorn --host 127.0.0.1 --port 8000 --lifespan off demo_apps.zoo.django_blocking_iterator:app
curl -N http://127.0.0.1:8000/stream
"""

from demo_apps.django_stream import asgi_site, blocking_urls

app = asgi_site(blocking_urls)
