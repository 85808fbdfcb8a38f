"""Outcomes of made-up runs; the numbers are not results."""

import numpy as np
import pytest

from minireason.ablation.outcome import Outcome
from minireason.evaluate.metrics import Grid


@pytest.fixture
def grid():
    """Answers to questions q0, q1 ...: a row of 0 and 1 for the samples of each."""

    def make(*rows):
        return Grid(tuple(f"q{i}" for i in range(len(rows))), np.array(rows, dtype=bool))

    return make


@pytest.fixture
def outcome(grid):
    def make(rows=((1, 0), (0, 0)), zero_signal=0.5, reward=0.0, noise=(8.0, 2.0, 100.0), **more):
        variance, squared_mean, tokens = noise
        measured = {"variance": variance, "squared_mean": squared_mean, "tokens_per_step": tokens}
        known = {"response_tokens": 50.0, "generated_tokens": 1000.0, "num_steps": 10} | more
        grids = {"b": grid(*rows)}
        return Outcome(grids, zero_signal, reward, noise=measured, **known)

    return make
