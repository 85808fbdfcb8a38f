"""Packing: everything once, nothing over the edge, and rows that compute what apart they would."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minireason.train.packing import TokenSequence, collate, pack, packed_mask, unit_length

CAPACITY = 20
LENGTHS = st.lists(st.integers(1, CAPACITY), max_size=60)


def slow_best_fit(lengths: list[int], capacity: int) -> list[list[int]]:
    """Longest first, each into the fullest row it fits."""
    rows: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        fitting = [r for r in rows if sum(lengths[i] for i in r) + lengths[index] <= capacity]
        if not fitting:
            fitting = [[]]
            rows.append(fitting[0])
        max(fitting, key=lambda r: sum(lengths[i] for i in r)).append(index)
    return rows


@given(LENGTHS)
def test_every_unit_is_in_one_row_and_no_row_is_too_long(lengths: list[int]) -> None:
    rows = pack(lengths, CAPACITY)
    assert sorted(i for row in rows for i in row) == list(range(len(lengths)))
    assert all(0 < sum(lengths[i] for i in row) <= CAPACITY for row in rows)


@given(LENGTHS)
def test_rows_are_as_full_as_an_obvious_best_fit_makes_them(lengths: list[int]) -> None:
    def fill(rows: list[list[int]]) -> Counter[tuple[int, ...]]:
        return Counter(tuple(sorted(lengths[i] for i in row)) for row in rows)

    assert fill(pack(lengths, CAPACITY)) == fill(slow_best_fit(lengths, CAPACITY))


@given(LENGTHS)
def test_the_number_of_rows_keeps_best_fit_decreasing_s_bound(lengths: list[int]) -> None:
    fewest = math.ceil(sum(lengths) / CAPACITY)  # no packing needs fewer
    assert fewest <= len(pack(lengths, CAPACITY)) <= max(fewest * 2, 1)


@given(LENGTHS, st.randoms(use_true_random=False))
def test_the_order_of_the_units_does_not_change_the_number_of_rows(lengths, rng) -> None:
    shuffled = rng.sample(lengths, len(lengths))
    assert len(pack(shuffled, CAPACITY)) == len(pack(lengths, CAPACITY))


def test_packing_by_hand() -> None:
    # 6 -> row 0 (4 free); 5 -> row 1 (5 free); 4 -> row 0, the tighter fit; 3, 2 -> row 1
    assert pack([2, 6, 3, 5, 4], 10) == [[1, 4], [3, 2, 0]]


def test_a_unit_longer_than_a_row_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="unit 2 has 11 tokens, a row holds 10"):
        pack([4, 10, 11, 12], 10)


FIRST = TokenSequence([5, 6, 7], 1, {"advantages": 2.0, "old_logprobs": [-0.5]})
SECOND = TokenSequence([8, 9], 1, {"advantages": -1.0, "old_logprobs": [-0.25]})
THIRD = TokenSequence([10, 11, 12, 13], 3, {"advantages": 3, "old_logprobs": [-1, -2, -3]})


def test_the_layout_of_two_rows_by_hand() -> None:
    batch = collate([[[FIRST, SECOND]], [[THIRD]]])
    assert batch.ids_BT.tolist() == [[5, 6, 7, 8, 9], [10, 11, 12, 13, 0]]
    assert batch.positions_BT.tolist() == [[0, 1, 2, 0, 1], [0, 1, 2, 3, 0]]
    assert batch.segments_BT.tolist() == [[1, 1, 1, 2, 2], [3, 3, 3, 3, 0]]
    assert batch.target_rows_N.tolist() == [0, 0, 1, 1, 1]
    assert batch.target_columns_N.tolist() == [2, 4, 1, 2, 3]
    assert batch.sequence_N.tolist() == [0, 1, 2, 2, 2]
    assert (batch.num_sequences, batch.num_targets, batch.num_tokens) == (3, 5, 9)


def test_values_are_laid_out_a_target_token() -> None:
    values = collate([[[FIRST, SECOND]], [[THIRD]]]).values
    assert values["advantages"].tolist() == [2, -1, 3, 3, 3]
    assert values["old_logprobs"].tolist() == [-0.5, -0.25, -1, -2, -3]


def test_the_target_ids_are_the_ends_of_the_sequences() -> None:
    batch = collate([[[FIRST, SECOND]], [[THIRD]]])
    assert batch.ids_BT[batch.target_rows_N, batch.target_columns_N].tolist() == [7, 9, 11, 12, 13]


@pytest.mark.parametrize("num_targets", [0, 3, 4])
def test_a_sequence_without_a_target_or_without_a_prompt_is_an_error(num_targets: int) -> None:
    with pytest.raises(ValueError, match=f"{num_targets} targets in a sequence of 3 tokens"):
        collate([[[TokenSequence([1, 2, 3], num_targets)]]])


@pytest.mark.parametrize(
    "other",
    [
        TokenSequence([1, 2, 3], 2, {"old_logprobs": [-1.0]}),
        TokenSequence([1, 2, 3], 2, {"old_logprobs": [-1.0, -2.0, -3.0]}),
        TokenSequence([1, 2, 3], 2),
    ],
    ids=["too few", "too many", "none"],
)
def test_values_that_do_not_match_the_targets_are_an_error(other: TokenSequence) -> None:
    whole = TokenSequence([1, 2, 3], 2, {"old_logprobs": [-1.0, -2.0]})
    with pytest.raises(ValueError, match="old_logprobs"):
        collate([[[whole], [other]]])


def test_the_mask_by_hand() -> None:
    mask = packed_mask(torch.tensor([[1, 1, 2, 2, 0]]))
    assert mask.shape == (1, 1, 5, 5) and mask.dtype == torch.bool
    assert mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 0, 1],
    ]


@given(st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=1, max_size=3))
def test_every_row_of_the_mask_sees_itself_and_nothing_later(segments: list[list[int]]) -> None:
    mask = packed_mask(torch.tensor(segments))[:, 0]
    assert mask.diagonal(dim1=1, dim2=2).all() and not mask.triu(1).any()


def test_a_unit_is_as_long_as_its_sequences() -> None:
    assert unit_length([FIRST, SECOND]) == 5
