"""How to sample: the settings every sampler understands, embedded or served."""

from __future__ import annotations

from dataclasses import dataclass

from minireason.errors import SamplingError


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """Sampling settings of one request.

    `temperature` 0 is greedy. `top_p` keeps the smallest set of tokens whose probability reaches
    it, `top_k` the k likeliest (0 keeps all). `seed` alone decides the random numbers of the
    request, whatever else is in the batch. `max_tokens` counts response tokens.
    """

    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 0
    max_tokens: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature <= 5.0:
            raise SamplingError(f"temperature is {self.temperature}; it must be in [0, 5]")
        if not 0.0 < self.top_p <= 1.0:
            raise SamplingError(f"top_p is {self.top_p}; it must be in (0, 1]")
        if self.top_k < 0:
            raise SamplingError(f"top_k is {self.top_k}; it must be 0 (all) or more")
        if self.max_tokens < 1:
            raise SamplingError(f"max_tokens is {self.max_tokens}; it must be 1 or more")
