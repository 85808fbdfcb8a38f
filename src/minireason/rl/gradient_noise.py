"""How much a step's gradient differs from step to step at the same weights.

With the mean gradient G and the trace S of the covariance over steps, S / |G|^2 is the gradient's
noise over its signal, and times the tokens that a step generates it is the number of tokens at
which the two are equal: the gradient noise scale (McCandlish et al. 2018, An Empirical Model of
Large-Batch Training, arXiv 1812.06162, section 2.2), counted in generated tokens. Batches of
variants that spend their tokens differently compare by it; less is better.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch

from minireason.errors import MinireasonError
from minireason.progress import Advance
from minireason.train.data import Step, StepSource
from minireason.train.learner import Learner
from minireason.train.loop import backward
from minireason.train.objectives import Objective


@dataclass(frozen=True, slots=True)
class GradientNoise:
    """Unbiased estimates from independent steps, and the tokens that a step generated.

    `squared_mean`, of |G|^2, falls below 0 where too few steps were taken to tell G from noise.
    """

    num_steps: int
    variance: float
    squared_mean: float
    tokens_per_step: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


class GradientSums:
    """The sum of the gradients seen and of their squared norms: one copy of the gradient's size."""

    def __init__(self, parameters: list[torch.nn.Parameter]) -> None:
        self.parameters = parameters
        self.sums = [torch.zeros_like(p, dtype=torch.float32) for p in parameters]
        self.squares = 0.0
        self.count = 0

    def add(self) -> None:
        """Take note of the gradients as they are; a parameter without one has a gradient of 0."""
        for parameter, total in zip(self.parameters, self.sums, strict=True):
            if parameter.grad is not None:
                total += parameter.grad
                self.squares += float(parameter.grad.double().square().sum())
        self.count += 1

    def noise(self, tokens_per_step: float) -> GradientNoise:
        """From K gradients g: variance is (sum |g|^2 - K |mean|^2) / (K - 1), and |mean|^2 is too
        large by variance / K."""
        squared_mean = sum(float((s.double() / self.count).square().sum()) for s in self.sums)
        variance = (self.squares - self.count * squared_mean) / (self.count - 1)
        signal = squared_mean - variance / self.count
        return GradientNoise(self.count, variance, signal, tokens_per_step)


def measure_noise(
    learner: Learner, source: StepSource, objective: Objective, advance: Advance
) -> GradientNoise:
    """The noise over the source's steps, at least 2, without an update of any weights.

    Raises MinireasonError for a model that is spread over processes.
    """
    if learner.is_sharded:
        raise MinireasonError(
            "the gradient noise is measured in one process and without offloading; run it with "
            "--processes 1 and parallel.cpu_offload = false"
        )
    for companion in source.companions.values():
        companion.set_learning_rate(0.0)
    learner.model.train()
    sums = GradientSums([p for p in learner.model.parameters() if p.requires_grad])
    num_tokens = 0.0
    for number in range(source.num_steps):
        step = source.step(number)
        learner.forget_gradients()
        _accumulate(learner, objective, step)
        sums.add()
        num_tokens += step.metrics["generated_tokens"]
        advance(number + 1, source.num_steps, "")
    learner.forget_gradients()
    return sums.noise(num_tokens / source.num_steps)


def _accumulate(learner: Learner, objective: Objective, step: Step) -> None:
    """The gradient of a whole step; one that taught nothing leaves none."""
    for work in step.updates:
        for batch in work.micro_batches:
            backward(learner, objective, batch, work, step.temperature)
