"""How to sample: the settings every sampler understands, embedded or served."""

from __future__ import annotations

from dataclasses import dataclass

from minireason.errors import SamplingError


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """Sampling settings of one request.

    They act in this order, that of transformers' generate: `repetition_penalty` divides the
    positive logits of all tokens of the prompt and the response by it and multiplies the negative
    ones (arXiv 1909.05858, section 4.1; 1 is off); before `min_tokens` tokens no stop token is
    drawn; `temperature` (0 is greedy: nothing below acts); `top_k` keeps the k likeliest (0 keeps
    all); `top_p` the smallest set of those whose probability reaches it; `min_p` those at least
    that share as likely as the likeliest. `seed` alone decides the random numbers of the request,
    whatever else is in the batch.

    A response ends with `max_tokens` tokens, with a stop token (the sampler's, or one of
    `stop_ids`), or as soon as its text contains one of the strings `stop`. After `thinking_budget`
    tokens without an end of thinking, that is forced (0: never).
    """

    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 0
    max_tokens: int = 1024
    seed: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    thinking_budget: int = 0

    def __post_init__(self) -> None:
        self._check("temperature", 0.0 <= self.temperature <= 5.0, "in [0, 5]")
        self._check("top_p", 0.0 < self.top_p <= 1.0, "in (0, 1]")
        self._check("top_k", self.top_k >= 0, "0 (all) or more")
        self._check("max_tokens", self.max_tokens >= 1, "1 or more")
        self._check("min_p", 0.0 <= self.min_p <= 1.0, "in [0, 1]")
        self._check("repetition_penalty", 0.0 < self.repetition_penalty <= 10.0, "in (0, 10]")
        self._check("min_tokens", 0 <= self.min_tokens <= self.max_tokens, "in [0, max_tokens]")
        is_texts = isinstance(self.stop, tuple) and all(self.stop)
        self._check("stop", is_texts, "a tuple of texts that are not empty")
        is_ids = isinstance(self.stop_ids, tuple) and all(token >= 0 for token in self.stop_ids)
        self._check("stop_ids", is_ids, "a tuple of token ids")
        self._check("thinking_budget", self.thinking_budget >= 0, "0 (no limit) or more")

    def _check(self, name: str, is_right: bool, allowed: str) -> None:
        if not is_right:
            raise SamplingError(f"{name} is {getattr(self, name)!r}; it must be {allowed}")
