"""DPO's loss by hand and by equation 7 in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from minireason.train.objectives.dpo import dpo
from minireason.train.objectives.preference import Preference


@pytest.mark.parametrize("beta", [0.1, 2.0])
def test_losses_and_slopes_equal_the_equation_in_float64(beta: float) -> None:
    torch.manual_seed(0)
    ratios_S = torch.randn(6, requires_grad=True)
    exact_S = ratios_S.detach().double().requires_grad_()
    _, losses_P = dpo(ratios_S, torch.ones(6), beta)
    margins_P = beta * exact_S[0::2] - beta * exact_S[1::2]
    expected_P = -torch.log(torch.sigmoid(margins_P))
    losses_P.sum().backward()
    expected_P.sum().backward()
    torch.testing.assert_close(losses_P.double(), expected_P, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(ratios_S.grad.double(), exact_S.grad, rtol=1e-5, atol=1e-6)


def test_one_pair_by_hand(pair: Callable[..., Any], evaluate: Callable[..., Any]) -> None:
    objective = Preference(dpo, beta=0.5, nll_weight=0.1)
    loss, _, metrics = evaluate(objective, pair([-1.0, -1.0], [-2.0]), [-0.5, -0.5, -5.0])
    # log-ratios +1 and -3: rewards 0.5 and -1.5, margin 2; a chosen token costs 0.5
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-2)) + 0.1 * 0.5, rel=1e-6)
    assert metrics == pytest.approx(
        {
            "accuracy": 1,
            "margin": 2,
            "chosen_reward": 0.5,
            "rejected_reward": -1.5,
            "chosen_nll": 0.5,
        }
    )


def test_every_token_of_the_reference_itself_has_the_slope_of_half_beta(
    pair: Callable[..., Any], evaluate: Callable[..., Any]
) -> None:
    chosen, rejected = [-0.5, -2.0, -1.0], [-3.0, -0.1]
    objective = Preference(dpo, beta=0.1)
    loss, gradient, _ = evaluate(objective, pair(chosen, rejected), chosen + rejected)
    assert loss.item() == pytest.approx(math.log(2), rel=1e-6)
    assert gradient.tolist() == pytest.approx([-0.05] * 3 + [0.05] * 2)


def test_a_margin_far_off_neither_overflows_nor_loses_its_gradient(
    pair: Callable[..., Any], evaluate: Callable[..., Any]
) -> None:
    loss, gradient, _ = evaluate(Preference(dpo, beta=1.0), pair([0, 0], [0]), [-1e4, 0, 0])
    assert loss.item() == pytest.approx(1e4, rel=1e-3) and gradient[0] == -1
