"""Reward rebalancing: hard prompts more often, positives and negatives in even numbers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.errors import DataError
from minireason.rl.rebalance import balance, draw_prompts, informative

REWARDS = st.lists(st.sampled_from([1.0, -1.0]), max_size=16)
SEEDS = st.integers(0, 2**62)


@given(REWARDS, st.floats(0, 1), SEEDS)
def test_all_positives_and_as_many_negatives_are_kept_or_nothing(
    rewards: list[float], easy: float, seed: int
) -> None:
    kept = balance(rewards, easy, seed)
    positives = [i for i, reward in enumerate(rewards) if reward > 0]
    negatives = len(rewards) - len(positives)
    is_used = bool(positives and negatives) and len(positives) <= easy * len(rewards)
    assert [i for i in kept if rewards[i] > 0] == (positives if is_used else [])
    assert len([i for i in kept if rewards[i] < 0]) == is_used * min(len(positives), negatives)
    assert all(one < other for one, other in pairwise(kept))


@pytest.mark.parametrize(
    ("rewards", "why"),
    [
        ([-1.0] * 4, "no positive"),
        ([1.0] * 4, "no negative"),
        ([1, 1, 1, -1], "too easy"),
        ([], ""),
    ],
)
def test_groups_that_teach_nothing_are_left_out(rewards: list[float], why: str) -> None:
    assert balance(rewards, 0.5, 0) == []


def test_a_group_solved_just_as_often_as_allowed_is_used() -> None:
    assert balance([1, -1, 1, -1], 0.5, 0) == [0, 1, 2, 3]


def test_where_positives_are_many_all_negatives_are_kept() -> None:
    assert balance([1, 1, -1, 1], 1.0, 0) == [0, 1, 2, 3]


def test_every_negative_is_as_likely_to_be_kept() -> None:
    rewards = [1.0, -1, -1, -1, -1]
    counts = Counter(i for seed in range(2000) for i in balance(rewards, 0.5, seed))
    assert counts[0] == 2000
    # 500 expected, deviation sqrt(2000 * 1/4 * 3/4) = 19.4
    assert all(abs(counts[i] - 500) < 4 * 19.4 for i in range(1, 5))


def test_without_balancing_groups_with_a_difference_are_used_whole() -> None:
    assert informative([1, -1, 1]) == [0, 1, 2]
    assert informative([1, 1]) == informative([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10), st.integers(0, 30), SEEDS)
def test_prompts_repeat_only_once_all_are_drawn(rates: list[float], count: int, seed: int) -> None:
    drawn = draw_prompts(rates, count, 2.0, seed)
    assert len(drawn) == count and drawn == draw_prompts(rates, count, 2.0, seed)
    for start in range(0, count, len(rates)):
        part = drawn[start : start + len(rates)]
        assert len(set(part)) == len(part)


def test_one_draw_follows_the_weights() -> None:
    # oversample 3 at pass rates 0, 1/2, 1: weights 3, 2, 1
    counts = Counter(draw_prompts([0, 0.5, 1], 1, 3.0, seed)[0] for seed in range(3000))
    for index, odds in enumerate((3 / 6, 2 / 6, 1 / 6)):
        deviation = (3000 * odds * (1 - odds)) ** 0.5
        assert abs(counts[index] - 3000 * odds) < 4 * deviation


def test_two_draws_without_repeats_follow_the_weights() -> None:
    odds = [3 / 6, 2 / 6, 1 / 6]
    counts = Counter(i for seed in range(3000) for i in draw_prompts([0, 0.5, 1], 2, 3.0, seed))
    for i, p in enumerate(odds):
        expected = p + sum(q * p / (1 - q) for j, q in enumerate(odds) if j != i)
        deviation = (3000 * expected * (1 - expected)) ** 0.5
        assert abs(counts[i] - 3000 * expected) < 4 * deviation


def test_over_a_run_hard_prompts_are_drawn_more_often_the_stronger_the_oversampling() -> None:
    rates = [i / 39 for i in range(40)]

    def hard_share(oversample: float) -> float:
        drawn = [i for step in range(300) for i in draw_prompts(rates, 8, oversample, step)]
        return sum(rates[i] < 0.5 for i in drawn) / len(drawn)

    shares = [hard_share(oversample) for oversample in (1.0, 2.0, 8.0)]
    assert shares[0] == pytest.approx(0.5, abs=0.04)
    assert shares[0] + 0.03 < shares[1] < shares[2] - 0.03


def test_nothing_to_draw_from_is_an_error() -> None:
    with pytest.raises(DataError, match="no prompts to draw from"):
        draw_prompts([], 4, 2.0, 0)
