"""Identity preference optimisation by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from minireason.train.objectives.ipo import ipo
from minireason.train.objectives.preference import Preference


def test_one_pair_by_hand(pair: Callable[..., Any], evaluate: Callable[..., Any]) -> None:
    objective = Preference(ipo, beta=0.25)
    pairs = pair([-1.0, -1.0], [-2.0])
    loss, gradient, metrics = evaluate(objective, pairs, [-0.5, -0.5, -3.0])
    # mean log-ratios 0.5 and -1: 1.5 of the 2 that are wanted, and rewards a quarter of them
    assert loss.item() == pytest.approx(0.25)
    assert gradient.tolist() == pytest.approx([-0.5, -0.5, 1.0])
    assert metrics["margin"] == pytest.approx(0.375)


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_of_one_token_each_it_is_equation_17_and_stops_at_its_target(beta: float) -> None:
    target = 1 / (2 * beta)
    ratios_S = torch.tensor([target, 0.0, target + 1, 0.5, 0.0, 0.0], requires_grad=True)
    _, losses_P = ipo(ratios_S, torch.ones(6), beta)
    losses_P.sum().backward()
    assert losses_P.tolist() == pytest.approx([0, 0.25, target**2], abs=1e-6)
    assert ratios_S.grad.tolist() == pytest.approx([0, 0, 1, -1, -2 * target, 2 * target], abs=1e-5)
