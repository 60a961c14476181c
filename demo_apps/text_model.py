"""An offline text model for the demos: a small Markov chain over the text in `river_letters.txt`.

The same prompt and parameters always give the same text, so tests can check what a reader received.
"""

import asyncio
import functools
import hashlib
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from demo_apps.query import token_delay

_TOKEN = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)?|[.,;:?!]")
_END = ""  # the token before the first and after the last of a paragraph
_ANSWER = 60  # tokens after which the end of a paragraph ends the answer
# A pair of words predicts the next word better than the last word alone. Pairs alone would recite a text this short.
_PAIR_WEIGHT = 6.0


def letters(name: str) -> str:
    """The text `name`, from which the chain learns."""
    return Path(__file__).with_name(f"{name}.txt").read_text(encoding="ascii")


@dataclass(frozen=True, slots=True)
class TextGenerationModel:
    """A text model with the streaming interface of hosted models."""

    after_word: Mapping[str, Counter[str]]
    after_pair: Mapping[tuple[str, str], Counter[str]]

    @classmethod
    @functools.cache
    def from_pretrained(cls, name: str) -> Self:
        """Learn a chain from the text `name`."""
        after_word: defaultdict[str, Counter[str]] = defaultdict(Counter)
        after_pair: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for paragraph in letters(name).split("\n\n"):
            before, last = _END, _END
            for token in [*_TOKEN.findall(paragraph), _END]:
                after_word[last][token] += 1
                after_pair[before, last][token] += 1
                before, last = last, token
        return cls(dict(after_word), dict(after_pair))

    def predict_streaming(
        self,
        prompt: str,
        *,
        max_output_tokens: int = 1024,
        temperature: float = 0.2,
        top_p: float = 0.8,
        top_k: int = 40,
    ) -> Iterator[str]:
        """Yield the tokens of the answer to `prompt`, each after the delay of one token."""
        delay = token_delay()
        for token in self.generate(prompt, max_output_tokens, temperature, top_p, top_k):
            time.sleep(delay)
            yield token

    async def predict_streaming_async(
        self,
        prompt: str,
        *,
        max_output_tokens: int = 1024,
        temperature: float = 0.2,
        top_p: float = 0.8,
        top_k: int = 40,
    ) -> AsyncIterator[str]:
        """Yield the same tokens on an event loop."""
        delay = token_delay()
        for token in self.generate(prompt, max_output_tokens, temperature, top_p, top_k):
            await asyncio.sleep(delay)
            yield token

    def generate(
        self, prompt: str, max_output_tokens: int, temperature: float, top_p: float, top_k: int
    ) -> Iterator[str]:
        """Yield the tokens of the answer to `prompt` without delay. Concatenated, they are the text."""
        rng = random.Random(hashlib.sha256(prompt.encode()).digest())
        written: Counter[tuple[str, str]] = Counter()
        before, last = _END, self._subject(prompt)
        tokens = 0
        if last != _END and max_output_tokens:
            yield last.capitalize()
            tokens = 1
        while tokens < max_output_tokens:
            weights = self._weights(before, last, written)
            token = sample(weights, rng, temperature=temperature, top_p=top_p, top_k=top_k)
            written[last, token] += 1
            before, last = last, token
            if token == _END:
                if tokens >= _ANSWER:
                    return
                continue
            yield f" {token}" if token[0].isalpha() and tokens else token
            tokens += 1

    def _subject(self, prompt: str) -> str:
        """The prompt's rarest word in the text, which becomes the subject of the answer."""
        known = [word for word in map(str.lower, _TOKEN.findall(prompt)) if word in self.after_word]
        words = [word for word in known if word.isalpha() and len(word) > 3]
        return min(words, key=lambda word: (self.after_word[word].total(), word), default=_END)

    def _weights(self, before: str, last: str, written: Counter[tuple[str, str]]) -> dict[str, float]:
        weights: dict[str, float] = {token: float(count) for token, count in self.after_word[last].items()}
        for token, count in self.after_pair.get((before, last), Counter[str]()).items():
            weights[token] += _PAIR_WEIGHT * count
        # A pair that was written becomes less likely. Otherwise a low temperature would repeat itself forever.
        return {token: weight / (1 + 4 * written[last, token]) for token, weight in weights.items()}


def sample(weights: Mapping[str, float], rng: random.Random, *, temperature: float, top_p: float, top_k: int) -> str:
    """Draw one of the `top_k` likeliest tokens, sharpened by `temperature` and limited to a share of `top_p`."""
    ranked = sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:top_k]
    if temperature == 0:
        return ranked[0][0]
    heaviest = ranked[0][1]
    # This is the softmax of the log-weights over the temperature, without logarithms.
    shares = [(weight / heaviest) ** (1 / temperature) for _, weight in ranked]
    wanted = top_p * sum(shares)
    kept, total = 0, 0.0
    while kept == 0 or (kept < len(shares) and total < wanted):
        total += shares[kept]
        kept += 1
    return rng.choices([token for token, _ in ranked[:kept]], shares[:kept])[0]
