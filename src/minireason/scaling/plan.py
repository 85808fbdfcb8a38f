"""What is measured, and what may not change where it is gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from minireason.errors import SamplingError
from minireason.rollout.sampling import SamplingParams
from minireason.scaling.methods import SHARE_SAMPLES, check_methods

BY_DEFAULT = ("majority", "best_of_n", "beam", "budget", "refine")
"""What is measured where nothing is named."""


@dataclass(frozen=True)
class Plan:
    """Methods and sizes on a benchmark, and how is sampled.

    `max_tokens` bounds a response, also the answer behind a forced budget. `unit` is the tokens of
    thinking that a size of `budget` stands for (0: the mean of a plain response).
    """

    benchmark: str
    limit: int = 0
    methods: tuple[str, ...] = BY_DEFAULT
    sizes: tuple[int, ...] = (1, 2, 4, 8)
    seed: int = 0
    temperature: float = 0.6
    top_p: float = 0.95
    max_tokens: int = 1024
    score: str = "mean"
    unit: int = 0
    wait: str = "Wait"
    final: str = "Final answer: \\boxed{"

    def __post_init__(self) -> None:
        check_methods(self.methods)
        if not self.sizes or min(self.sizes) < 1:
            raise SamplingError(f"sizes are {self.sizes}; give whole numbers from 1, as 1,2,4,8")
        if self.unit < 0:
            raise SamplingError(f"unit is {self.unit}; it must be 0 (by itself) or more")

    @property
    def params(self) -> SamplingParams:
        return SamplingParams(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            seed=self.seed,
        )

    @property
    def num_samples(self) -> int:
        """Plain samples of a question, shared by the methods that take samples."""
        return max(self.sizes) if SHARE_SAMPLES.intersection(self.methods) else 1

    def settings(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """What the journal is begun with: all but methods and sizes, which may be added to."""
        fixed = asdict(self)
        del fixed["methods"], fixed["sizes"]
        return {**about, **fixed}
