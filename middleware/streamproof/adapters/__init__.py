"""What carries bytes inside a process. Both middlewares share these parts; ``wsgi/`` and ``asgi/`` hold the rest."""
