"""Importance weights by hand, and against sums over a whole small distribution."""

import numpy as np
import pytest

from minireason.errors import DataError, RecipeError
from minireason.rl.importance import importance_weights, mismatch_metrics

TRAINER = np.array([0.5, 0.3, 0.15, 0.05])
SAMPLER = np.array([0.4, 0.4, 0.1, 0.1])


def expected(values, of=SAMPLER):
    """The expectation of a number a token, over tokens drawn from a distribution."""
    return float((of * values).sum())


def test_a_weight_is_the_ratio_of_probabilities_up_to_the_cap():
    trainer, sampler = np.log([0.2, 0.1, 0.9]), np.log([0.1, 0.2, 0.1])
    assert importance_weights(trainer, sampler, 2.5) == pytest.approx([2.0, 0.5, 2.5])


def test_weights_are_ones_to_the_bit_where_the_sampler_is_the_trainer():
    logprobs = np.log(TRAINER).tolist()
    weights = importance_weights(logprobs, logprobs, 2.0)
    assert weights.dtype == np.float64 and weights.tolist() == [1.0] * 4


def test_an_uncapped_weight_makes_the_samplers_expectation_the_trainers():
    values = np.array([3.0, -1.0, 7.0, 0.5])
    weights = importance_weights(np.log(TRAINER), np.log(SAMPLER), 1e9)
    assert expected(weights * values) == pytest.approx(expected(values, TRAINER), abs=1e-12)


def test_a_capped_weight_takes_no_more_than_the_cap_of_any_token():
    weights = importance_weights(np.log(TRAINER), np.log(SAMPLER), 1.2)
    assert expected(weights) < 1.0
    assert weights.max() == pytest.approx(1.2)


def test_a_token_the_sampler_all_but_excluded_overflows_nothing():
    assert importance_weights([-0.1], [-5000.0], 2.0).tolist() == pytest.approx([2.0])
    assert importance_weights([-5000.0], [-0.1], 2.0).tolist() == [0.0]


def test_both_estimates_have_the_divergence_as_their_expectation():
    exact = float((SAMPLER * np.log(SAMPLER / TRAINER)).sum())
    per_token = [
        mismatch_metrics([np.log(p)], [np.log(q)], 2.0)
        for p, q in zip(TRAINER, SAMPLER, strict=True)
    ]
    for name in ("sampler_kl_k1", "sampler_kl_k3"):
        assert expected([m[name] for m in per_token]) == pytest.approx(exact, abs=1e-12)
    assert min(m["sampler_kl_k3"] for m in per_token) >= 0 > per_token[0]["sampler_kl_k1"]


def test_metrics_by_hand():
    found = mismatch_metrics(np.log([0.4, 0.1, 0.3]), np.log([0.1, 0.2, 0.3]), 2.0)
    assert found == pytest.approx(
        {
            "importance_mean": (4 + 0.5 + 1) / 3,
            "importance_max": 4.0,
            "importance_capped": 1 / 3,
            "logprob_distance": (np.log(4) + np.log(2)) / 3,
            "sampler_kl_k1": -(np.log(4) - np.log(2)) / 3,
            "sampler_kl_k3": ((3 - np.log(4)) + (-0.5 + np.log(2))) / 3,
        }
    )


def test_a_step_without_tokens_shows_agreement():
    found = mismatch_metrics([], [], 2.0)
    assert found["importance_mean"] == found["importance_max"] == 1.0
    assert sum(found.values()) == 2.0


def test_a_small_mismatch_is_not_lost_to_rounding():
    sampler = np.full(1000, -1.0)
    trainer = sampler + np.where(np.arange(1000) % 2, 1e-6, -1e-6)
    assert mismatch_metrics(trainer, sampler, 2.0)["sampler_kl_k3"] == pytest.approx(
        5e-13, rel=1e-3
    )


def test_wrong_input_says_what_to_do():
    with pytest.raises(DataError, match=r"2 log-probabilities of the trainer and 0 .* top_p = 1"):
        importance_weights([-1.0, -2.0], [], 2.0)
    with pytest.raises(RecipeError, match=r"cap is 0\.0"):
        importance_weights([-1.0], [-1.0], 0.0)
