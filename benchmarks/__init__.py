"""What streamproof costs, measured beside the bare app, layers that do nothing, and layers that others ship.

``python -m benchmarks`` prints the table. Not a part of the tests: figures of time are not asserted anywhere.
"""
