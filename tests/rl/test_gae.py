"""Advantages beside the definition, closed forms and TRL's loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minireason.rl.gae import generalized_advantages, whiten

VALUES = st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=20).map(np.array)
SHARE = st.floats(0, 1)


def defined(rewards: np.ndarray, values: np.ndarray, lam: float, gamma: float) -> np.ndarray:
    """Equation 16 as it stands: the sum of later surprises, each over its distance."""
    count = len(values)
    following = [*values[1:], 0.0]
    surprises = [rewards[t] + gamma * following[t] - values[t] for t in range(count)]
    return np.array(
        [
            sum((gamma * lam) ** (u - t) * surprises[u] for u in range(t, count))
            for t in range(count)
        ]
    )


@given(VALUES, st.sampled_from([-1.0, 0.0, 0.1, 1.0]), SHARE, SHARE)
def test_advantages_are_those_of_the_definition(
    values: np.ndarray, reward: float, lam: float, gamma: float
) -> None:
    rewards = np.zeros(len(values))
    rewards[-1] = reward
    advantages, returns = generalized_advantages(reward, values, lam, gamma)
    np.testing.assert_allclose(advantages, defined(rewards, values, lam, gamma), atol=1e-12)
    np.testing.assert_allclose(returns, advantages + values, atol=1e-12)


def test_with_lambda_1_the_return_is_the_reward_and_the_advantage_what_exceeds_the_value() -> None:
    values = np.array([0.5, -0.25, 0.125])
    advantages, returns = generalized_advantages(1.0, values, lam=1.0)
    assert returns.tolist() == [1.0, 1.0, 1.0]
    assert advantages.tolist() == [0.5, 1.25, 0.875]


def test_with_lambda_0_an_advantage_is_the_change_of_the_value() -> None:
    values = np.array([0.5, -0.25, 0.125])
    advantages, returns = generalized_advantages(1.0, values, lam=0.0)
    assert advantages.tolist() == [-0.75, 0.375, 0.875]
    assert returns.tolist() == [-0.25, 0.125, 1.0]


def test_of_values_that_are_all_zero_the_reward_fades_with_the_distance() -> None:
    advantages, _ = generalized_advantages(-1.0, np.zeros(3), lam=0.5, gamma=0.8)
    assert advantages.tolist() == pytest.approx([-0.16, -0.4, -1.0])


def test_advantages_equal_those_of_a_loop_over_padded_rows() -> None:
    """As the PPOTrainer that TRL once had takes them."""
    torch.manual_seed(0)
    lengths, rewards, lam, gamma = [5, 3, 1], [1.0, -1.0, 0.5], 0.9, 0.98
    is_token = torch.arange(5) < torch.tensor(lengths)[:, None]
    values = torch.randn(3, 5, dtype=torch.float64) * is_token
    rewards_at = torch.zeros(3, 5, dtype=torch.float64)
    rewards_at[range(3), [length - 1 for length in lengths]] = torch.tensor(rewards).double()
    last, reversed_advantages = torch.zeros(3, dtype=torch.float64), []
    for t in reversed(range(5)):
        following = values[:, t + 1] if t < 4 else 0.0
        last = rewards_at[:, t] + gamma * following - values[:, t] + gamma * lam * last
        reversed_advantages.append(last)
    expected = torch.stack(reversed_advantages[::-1], dim=1)
    ours = [
        generalized_advantages(reward, row[:length].numpy(), lam, gamma)[0]
        for reward, row, length in zip(rewards, values, lengths, strict=True)
    ]
    np.testing.assert_allclose(np.concatenate(ours), expected[is_token].numpy(), atol=1e-12)


def test_whitened_advantages_have_mean_0_and_variance_1_over_all_tokens_of_the_step() -> None:
    found = whiten([np.array([1.0, 2.0, 3.0]), np.array([10.0])])
    assert [len(each) for each in found] == [3, 1]
    every = np.concatenate(found)
    assert every.mean() == pytest.approx(0, abs=1e-12) and every.std() == pytest.approx(1)
    # mean 4, deviations -3, -2, -1, 6, variance 12.5
    assert every.tolist() == pytest.approx([d / 12.5**0.5 for d in (-3, -2, -1, 6)])


@pytest.mark.parametrize("advantages", [[], [[0.5]], [[1.0, 1.0], [1.0]]])
def test_where_advantages_are_all_equal_nothing_is_left(advantages: list[list[float]]) -> None:
    found = whiten([np.array(each) for each in advantages])
    assert [each.tolist() for each in found] == [[0.0] * len(each) for each in advantages]
