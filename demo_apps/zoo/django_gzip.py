"""Django's GZipMiddleware, up to 5.2, holds a blocking iterator to the end: only gzip's own header leaves at once.

gunicorn --bind 127.0.0.1:8000 demo_apps.zoo.django_gzip:app
curl -N --compressed http://127.0.0.1:8000/stream
"""

from demo_apps.django_stream import blocking_urls, wsgi_site

app = wsgi_site(blocking_urls, "django.middleware.gzip.GZipMiddleware")
