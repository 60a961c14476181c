"""Builds the optional extension module, one for every CPython that has a GIL. All else is in pyproject.toml."""

from sysconfig import get_config_var

from setuptools import Extension, setup

if get_config_var("Py_GIL_DISABLED"):  # there is no stable ABI for it before 3.15: the Python does the same work
    setup()
else:
    counting = Extension(
        "streamproof.adapters._counting",
        ["middleware/streamproof/adapters/_counting.c"],
        py_limited_api=True,
        optional=True,  # without a compiler the Python does the same work
    )
    setup(ext_modules=[counting], options={"bdist_wheel": {"py_limited_api": "cp311"}})
