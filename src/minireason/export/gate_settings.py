"""What the gate asks, and what it lets through."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from minireason.problems.benchmarks import BENCHMARKS

EMBEDDED = tuple(BENCHMARKS)


@dataclass(frozen=True, slots=True)
class GateSettings:
    """The first `num_questions` (0: all) of each benchmark, shuffled by `seed`, answered greedily.

    With `num_samples` each is also sampled that often, at `temperature` and `top_p` and with the
    same seeds for both models: accuracy and loops are then those of the samples.
    `most_loss` and `most_loops` are in points (hundredths): of accuracy over all questions, and of
    responses that end in a loop, beyond the original's. `least_agreement` is the share of positions
    whose likeliest token is the original's. `num_rounds` rounds of `num_timed` tokens behind a
    prompt of `num_prompt` are timed on `threads` threads (0: one for each CPU). `data` and
    `allow_hub` are for published benchmarks.
    """

    benchmarks: tuple[str, ...] = EMBEDDED
    num_questions: int = 100
    num_samples: int = 0
    temperature: float = 0.6
    top_p: float = 0.95
    max_tokens: int = 1024
    seed: int = 0
    most_loss: float = 2.0
    most_loops: float = 5.0
    least_agreement: float = 0.5
    max_batch: int = 16
    threads: int = 0
    device: str = "auto"
    num_prompt: int = 128
    num_timed: int = 64
    num_rounds: int = 5
    data: Path | None = None
    allow_hub: bool = False
