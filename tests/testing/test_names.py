"""What `streamproof.testing` offers, and that it costs nothing until it is used."""

import subprocess
import sys

import pytest

import streamproof.testing as testing


@pytest.mark.parametrize("name", testing.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(testing, name) is not None
    assert name in dir(testing)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'assert_steams'"):
        _ = testing.assert_steams


def test_the_core_of_it_needs_neither_pytest_nor_a_client_library() -> None:
    code = (
        "import sys\n"
        "from streamproof.testing import *\n"
        "print([name for name in ('pytest', 'httpx', 'httpx2', 'anyio', 'trio', 'flask') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
