"""What both sides are given, and how their steps are timed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from minireason.train.optimizer import OptimizerSettings

BATCH = 8  # rows of a step: of packed examples, of one example, or of one pair
BETA = 0.1
SETTINGS = OptimizerSettings(
    learning_rate=3e-4,
    weight_decay=0.0,
    beta1=0.9,
    beta2=0.95,
    max_grad_norm=1.0,
    warmup_ratio=0.0,
    schedule="constant",
    checkpoint_every=10**9,
)


@dataclass
class Clock:
    """When each step ended, and after how many useful tokens or pairs."""

    ends_s: list[float] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def tick(self, num: float, loss: float = 0.0) -> None:
        self.ends_s.append(time.perf_counter())
        self.done.append(int(num) + (self.done[-1] if self.done else 0))
        self.losses.append(loss)

    def rate(self, num_warmup: int) -> float:
        """Useful tokens or pairs a second, after the first steps."""
        first = num_warmup - 1
        return (self.done[-1] - self.done[first]) / (self.ends_s[-1] - self.ends_s[first])
