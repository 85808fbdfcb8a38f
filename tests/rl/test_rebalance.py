"""Reward rebalancing: positives and negatives in even numbers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.rl.rebalance import balance

VERDICTS = st.lists(st.booleans(), max_size=16)
SEEDS = st.integers(0, 2**62)


@given(VERDICTS, st.floats(0, 1), SEEDS)
def test_all_positives_and_as_many_negatives_are_kept_or_nothing(
    is_positive: list[bool], easy: float, seed: int
) -> None:
    kept = balance(is_positive, easy, seed)
    positives = [i for i, is_so in enumerate(is_positive) if is_so]
    negatives = len(is_positive) - len(positives)
    is_used = bool(positives and negatives) and len(positives) <= easy * len(is_positive)
    assert [i for i in kept if is_positive[i]] == (positives if is_used else [])
    assert len([i for i in kept if not is_positive[i]]) == is_used * min(len(positives), negatives)
    assert all(one < other for one, other in pairwise(kept))


@pytest.mark.parametrize(
    ("is_positive", "why"),
    [
        ([False] * 4, "no positive"),
        ([True] * 4, "no negative"),
        ([True, True, True, False], "too easy"),
        ([], ""),
    ],
)
def test_groups_that_teach_nothing_are_left_out(is_positive: list[bool], why: str) -> None:
    assert balance(is_positive, 0.5, 0) == []


def test_a_group_solved_just_as_often_as_allowed_is_used() -> None:
    assert balance([True, False, True, False], 0.5, 0) == [0, 1, 2, 3]


def test_where_positives_are_many_all_negatives_are_kept() -> None:
    assert balance([True, True, False, True], 1.0, 0) == [0, 1, 2, 3]


def test_every_negative_is_as_likely_to_be_kept() -> None:
    is_positive = [True, False, False, False, False]
    counts = Counter(i for seed in range(2000) for i in balance(is_positive, 0.5, seed))
    assert counts[0] == 2000
    # 500 expected, deviation sqrt(2000 * 1/4 * 3/4) = 19.4
    assert all(abs(counts[i] - 500) < 4 * 19.4 for i in range(1, 5))
