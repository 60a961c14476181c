"""Benchmarks of streamproof against the bare app, layers that do nothing, and layers of other libraries.

``python -m benchmarks`` prints the table. The tests do not run it, because measured times are not asserted.
"""
