"""Decide what a stream did, what a hop does to it, and what that means. No clock, thread, socket, log or randomness.

``tests/test_house.py`` holds the rules of this folder:

1. It imports only itself and pure parts of the standard library. So time is an argument, and nothing waits.
2. It opens and prints nothing.
3. No code in it names a server or a product. Those are facts, and facts are data in ``profiles/``.
4. The settings of a stage are a frozen dataclass with ``start()``. No file outside of ``stages/`` names a stage.
"""
