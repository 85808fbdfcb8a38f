"""Numbers that change with the step: the learning rate and the sampling temperature."""

from __future__ import annotations

import math

FINAL_FRACTION = 0.1


def learning_rate(
    step: float, num_steps: int, peak: float, warmup_ratio: float, schedule: str
) -> float:
    """Rate of a step: linear rise over the first `warmup_ratio`, then the named decay.

    `step` may lie between two steps, where progress is not counted in steps (`StepSource`).
    """
    warmup = math.ceil(round(num_steps * warmup_ratio, 6))  # 100 * 0.07 is a little over 7
    if step < warmup:
        return peak * min(step + 1, warmup) / warmup
    progress = (step - warmup) / max(1, num_steps - warmup)
    if schedule == "constant":
        return peak
    if schedule == "linear":
        return peak * (1 - (1 - FINAL_FRACTION) * progress)
    if schedule == "cosine":
        half_wave = 0.5 * (1 + math.cos(math.pi * progress))
        return peak * (FINAL_FRACTION + (1 - FINAL_FRACTION) * half_wave)
    raise ValueError(f"schedule is {schedule!r}; it must be constant, linear or cosine")


def annealed_temperature(
    step: float, num_steps: int, start: float, end: float, fraction: float
) -> float:
    """Sampling temperature of a step: linear from `start` to `end` over the first `fraction`.

    Paper, section on RL: from 1.0 to 0.6 over the first half of the steps, then constant. A
    fraction of 0 switches annealing off and keeps the start.
    """
    if fraction == 0:
        return start
    progress = min(1.0, step / (num_steps * fraction))
    return start + (end - start) * progress
