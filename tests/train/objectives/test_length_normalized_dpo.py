"""Length-normalised DPO by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from minireason.train.objectives.length_normalized_dpo import length_normalized_dpo
from minireason.train.objectives.preference import Preference


def test_one_pair_by_hand(pair: Callable[..., Any], evaluate: Callable[..., Any]) -> None:
    objective = Preference(length_normalized_dpo, beta=5.0)
    pairs = pair([-1.0, -1.0], [-2.0])
    loss, gradient, metrics = evaluate(objective, pairs, [-0.9, -0.5, -2.2])
    # mean log-ratios 0.6 / 2 and -0.2: rewards 1.5 and -1, margin 2.5
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-2.5)), rel=1e-5)
    assert (metrics["chosen_reward"], metrics["rejected_reward"]) == pytest.approx((1.5, -1))
    slope = 5 / (1 + math.exp(2.5))  # of the margin, which a chosen token moves by a half
    assert gradient.tolist() == pytest.approx([-slope / 2, -slope / 2, slope], rel=1e-4)


def test_a_response_repeated_is_worth_what_it_was(
    pair: Callable[..., Any], evaluate: Callable[..., Any]
) -> None:
    objective = Preference(length_normalized_dpo, beta=2.0)
    once = evaluate(objective, pair([-1.0, -3.0], [-2.0]), [-0.5, -2.0, -2.5])
    twice = evaluate(objective, pair([-1.0, -3.0] * 2, [-2.0]), [-0.5, -2.0] * 2 + [-2.5])
    assert twice[0] == pytest.approx(once[0].item(), rel=1e-6)
    assert twice[2] == pytest.approx(once[2])
