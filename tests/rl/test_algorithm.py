"""An algorithm's loss, with what the recipe may change of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from minireason.rl.algorithm import Algorithm
from minireason.rl.algorithms import ALGORITHMS
from minireason.train.objectives.policy_gradient import PolicyGradient


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("grpo", PolicyGradient(average="responses", max_tokens=50)),
        ("dr_grpo", PolicyGradient(average="constant", max_tokens=50)),
        ("dapo", PolicyGradient(clip_high=0.28, max_tokens=50)),
        ("rloo", PolicyGradient(average="responses", ratio_of="response", max_tokens=50)),
        ("reinforce_pp", PolicyGradient(average="responses", kl_estimator="k2", max_tokens=50)),
        ("ppo", PolicyGradient(max_tokens=50)),
        ("srpo", PolicyGradient(max_tokens=50)),
    ],
)
def test_each_algorithm_has_its_paper_s_loss(name: str, loss: PolicyGradient) -> None:
    assert ALGORITHMS[name].objective(50) == loss


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
def test_the_recipe_may_set_clips_and_a_penalty_and_nothing_else(algorithm: Algorithm) -> None:
    own = algorithm.objective(50)
    assert algorithm.objective(50, 0.1, 0.3, 0.4, 3.0) == replace(
        own, kl_weight=0.1, clip_low=0.3, clip_high=0.4, dual_clip=3.0
    )


def test_what_only_some_do() -> None:
    assert [name for name, a in ALGORITHMS.items() if a.refills] == ["dapo"]
    assert [name for name, a in ALGORITHMS.items() if a.overlong_weight] == ["dapo"]
    assert [name for name, a in ALGORITHMS.items() if a.keeps_history] == ["srpo"]
    assert [name for name, a in ALGORITHMS.items() if a.needs_critic] == ["ppo"]
