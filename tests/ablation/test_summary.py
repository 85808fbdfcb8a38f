"""What finished runs say, by numbers made by hand."""

from dataclasses import replace

import pytest

from minireason.ablation.design import TOGGLES, Study, Variant
from minireason.ablation.estimates import mean_of
from minireason.ablation.summary import (
    ALL,
    comparisons_of,
    contrast,
    effects_of,
    rows_of,
    start_of,
)
from minireason.errors import DataError

P, R, T = TOGGLES
PLAIN, WITH = Variant("grpo"), Variant("grpo", (R,))
STUDY = Study((R,))


def test_a_variant_is_the_mean_over_its_seeds(outcome):
    runs = {
        0: outcome(((1, 1), (0, 0)), zero_signal=0.2, reward=0.1, num_steps=9),
        1: outcome(((1, 0), (0, 0)), zero_signal=0.4, reward=0.3, num_steps=11),
    }
    (row,) = rows_of(STUDY, {WITH: runs})
    assert (row.name, row.label, row.num_seeds) == ("grpo+rebalancing", "grpo with rebalancing", 2)
    assert row.accuracy["b"].value == 3 / 8
    assert row.zero_signal.value == pytest.approx(0.3)
    assert row.reward.value == pytest.approx(0.2) and row.num_steps == 10
    assert list(row.accuracy) == ["b"]


def test_the_noise_scale_is_the_noise_times_the_tokens_of_a_step(outcome):
    runs = {0: outcome(noise=(8.0, 2.0, 100.0)), 1: outcome(noise=(4.0, 2.0, 300.0))}
    (row,) = rows_of(STUDY, {PLAIN: runs})
    assert row.noise.value == pytest.approx(12 / 4)
    assert row.noise_scale.value == pytest.approx((800 + 1200) / 4)
    assert row.tokens_per_step == 200


def test_a_gradient_that_is_lost_in_noise_has_no_noise_scale(outcome):
    lost = {0: outcome(noise=(8.0, -1.0, 100.0))}
    (row,) = rows_of(STUDY, {PLAIN: lost})
    assert row.noise is None and row.noise_scale is None
    found = contrast("x", [(WITH, PLAIN)], {WITH: {0: outcome()}, PLAIN: lost})
    assert found.noise_scale is None


def test_a_toggle_is_worth_the_mean_of_its_pairs_seed_by_seed(outcome):
    outcomes = {
        WITH: {0: outcome(((1, 1), (1, 0)), 0.1), 1: outcome(((1, 1), (0, 0)), 0.3)},
        PLAIN: {0: outcome(((1, 0), (1, 0)), 0.4), 1: outcome(((1, 0), (0, 0)), 0.5)},
    }
    (effect,) = effects_of(STUDY, outcomes)
    assert (effect.name, effect.num_pairs, effect.num_seeds) == ("rebalancing", 1, 2)
    assert effect.accuracy["b"].value == pytest.approx(0.25)
    assert effect.zero_signal == mean_of([0.1 - 0.4, 0.3 - 0.5])
    assert effect.noise_scale.value == pytest.approx(1.0)


def test_all_pairs_of_the_grid_count_and_their_noise_as_a_factor(outcome):
    study = Study((R, T))
    zero = {(R, T): 0.1, (R,): 0.2, (T,): 0.4, (): 0.6}
    noise = {(R, T): 1.0, (R,): 2.0, (T,): 4.0, (): 8.0}
    outcomes = {
        Variant("grpo", on): {0: outcome(zero_signal=zero[on], noise=(noise[on], 1.0, 10.0))}
        for on in zero
    }
    rebalancing, annealing = effects_of(study, outcomes)
    assert rebalancing.zero_signal.value == pytest.approx((0.1 - 0.4 + 0.2 - 0.6) / 2)
    assert annealing.zero_signal.value == pytest.approx((0.1 - 0.2 + 0.4 - 0.6) / 2)
    assert rebalancing.noise_scale.value == pytest.approx(1 / 4)
    assert annealing.noise_scale.value == pytest.approx(1 / 2)
    assert rebalancing.num_pairs == 2


def test_a_run_that_failed_takes_its_pair_with_it_and_nothing_else(outcome):
    outcomes = {
        WITH: {0: outcome(zero_signal=0.1)},
        PLAIN: {0: outcome(zero_signal=0.3), 1: outcome(zero_signal=0.9)},
    }
    (effect,) = effects_of(STUDY, outcomes)
    assert effect.zero_signal.value == pytest.approx(-0.2)
    assert effects_of(STUDY, {PLAIN: outcomes[PLAIN]}) == []


def test_all_and_none_are_compared_with_each_other_and_with_other_algorithms(outcome):
    study = Study((R, T), against=("dapo",))
    outcomes = {v: {0: outcome()} for v in study.variants("grpo")}
    assert [c.name for c in comparisons_of(study, outcomes, "grpo")] == [
        "grpo with all against grpo",
        "grpo with all against dapo",
        "grpo against dapo",
    ]
    one = Study((R,))
    outcomes = {v: {0: outcome()} for v in one.variants("grpo")}
    assert comparisons_of(one, outcomes, "grpo") == []  # it is the effect itself


def test_benchmarks_are_also_taken_together_question_by_question(grid):
    found = start_of({"a": grid((1, 1), (1, 0)), "b": grid((0, 0))})
    assert {name: each.value for name, each in found.items()} == {"a": 0.75, "b": 0.0, ALL: 0.5}


def test_different_questions_are_not_compared(outcome, grid):
    other = replace(outcome(), grids={"b": grid((1, 0), (0, 0), (1, 1))})
    with pytest.raises(DataError, match="different questions"):
        contrast("x", [(WITH, PLAIN)], {WITH: {0: outcome()}, PLAIN: {0: other}})
