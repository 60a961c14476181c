"""What is made through a draft is what the class itself would have made."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, replace
from typing import Any

import pytest

from streamproof.sansio.draft import drafted
from streamproof.sansio.stats import Stats
from streamproof.sansio.trace import Outcome, Request, Response, StreamEnd, Trace

REQUEST = ("GET", "/", "1.1", (("Host", "a"),))
RESPONSE = (200, (), 0.5, None, "chunked")
END = (1.0, Outcome.COMPLETE, None, None, "why")
FIGURES = (0.5, 0.6, 0.9, 2, 1, 100, 0.1, 0.7, 0.2, 0.1, 0.3, (1,) + (0,) * 14)
TRACE = (Request(*REQUEST), Response(*RESPONSE), (), StreamEnd(*END), "gunicorn", Stats(*FIGURES))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cls", "values"), [(Request, REQUEST), (Response, RESPONSE), (StreamEnd, END), (Stats, FIGURES), (Trace, TRACE)]
)
def test_it_is_the_same_in_every_respect(cls: Any, values: tuple[Any, ...]) -> None:
    made, wanted = drafted(cls)(*values), cls(*values)
    assert type(made) is cls
    assert made == wanted
    assert repr(made) == repr(wanted)
    assert pickle.loads(pickle.dumps(made)) == copy.copy(made) == replace(made) == wanted
    with pytest.raises(FrozenInstanceError):
        setattr(made, next(iter(cls.__dataclass_fields__)), None)


def test_a_class_that_does_more_is_refused() -> None:
    @dataclass(frozen=True)
    class Checked:
        value: int

        def __post_init__(self) -> None:
            assert self.value > 0

    with pytest.raises(TypeError, match="Checked has a __post_init__"):
        drafted(Checked)
