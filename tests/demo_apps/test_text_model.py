"""The model that writes: its sampling, its parameters, its limits."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo_apps import query
from demo_apps.chunks import MODEL
from demo_apps.text_model import TextGenerationModel, sample

MODEL_UNDER_TEST = TextGenerationModel.from_pretrained(MODEL)
WEIGHTS = {"river": 8.0, "letter": 4.0, "gate": 2.0, "barrel": 1.0}


def drawn(**parameters: Any) -> Counter[str]:
    """A thousand draws from WEIGHTS."""
    rng = random.Random(1)
    values = {"temperature": 1.0, "top_p": 1.0, "top_k": 40} | parameters
    return Counter(sample(WEIGHTS, rng, **values) for _ in range(1000))


def test_sample_follows_the_weights_at_temperature_one() -> None:
    counts = drawn()
    assert [token for token, _ in counts.most_common()] == list(WEIGHTS)
    assert abs(counts["river"] / 1000 - 8 / 15) < 0.05


def test_sample_grows_bolder_with_temperature() -> None:
    assert drawn(temperature=0)["river"] == 1000
    shares = [drawn(temperature=temperature)["river"] for temperature in (0.2, 0.5, 1, 2)]
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) == 4


def test_sample_keeps_the_top_k_and_the_top_p() -> None:
    assert set(drawn(top_k=1)) == {"river"}
    assert set(drawn(top_k=3)) == {"river", "letter", "gate"}
    assert set(drawn(top_p=0)) == {"river"}
    assert set(drawn(top_p=0.5)) == {"river"}
    assert set(drawn(top_p=0.79)) == {"river", "letter"}


def text_for(prompt: str, **parameters: Any) -> str:
    values = query.parameters({name: str(value) for name, value in parameters.items()})
    return "".join(MODEL_UNDER_TEST.generate(prompt, **values))


def test_model_repeats_itself_for_the_same_prompt_and_parameters() -> None:
    assert text_for("rivers") == text_for("rivers")
    assert text_for("rivers") != text_for("gardens")


def test_model_writes_about_the_prompt() -> None:
    assert text_for("the barrel").startswith("Barrel")


@pytest.mark.parametrize("changed", [{"temperature": 1.5}, {"top_p": 0.1}, {"top_k": 1}])
def test_each_parameter_changes_the_text(changed: dict[str, float]) -> None:
    usual = {"temperature": 1.0, "top_p": 1.0, "top_k": 100}
    assert text_for("rivers", **usual) != text_for("rivers", **usual | changed)


@pytest.mark.parametrize("limit", [1, 2, 30])
def test_model_stops_at_its_limit(limit: int) -> None:
    assert len(list(MODEL_UNDER_TEST.generate("rivers", limit, 1.0, 1.0, 40))) == limit


@settings(max_examples=30)
@given(prompt=st.text(max_size=40), temperature=st.floats(0, 2))
def test_model_answers_any_prompt(prompt: str, temperature: float) -> None:
    tokens = list(MODEL_UNDER_TEST.generate(prompt, 200, temperature, 0.9, 40))
    assert 1 <= len(tokens) <= 200
    assert all(tokens)
    assert "".join(tokens).strip() == "".join(tokens)
