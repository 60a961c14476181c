"""The tests. TESTS_UNCOMPILED in the environment: with the Python that the extension module stands in for."""

import os

from streamproof.adapters import compiled

if os.environ.get("TESTS_UNCOMPILED"):
    compiled.counting = None
