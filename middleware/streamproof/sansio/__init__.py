"""Decides. The pure part of streamproof: what a stream did, what a hop does to it, what that means.

Rules of this folder, held by ``tests/test_house.py``:

1. No clock: time is an argument (``now``, seconds, monotonic), the next deadline an attribute.
2. No thread, socket, file, log or randomness.
3. No import from outside this folder but the standard library's pure parts.
4. No server, framework or product by name: those are facts, and facts are data in ``profiles/``.
5. Settings are frozen data with ``start()``; a machine is the state of one response.
"""
