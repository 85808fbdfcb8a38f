"""Packing: everything once, nothing over the edge, and rows that compute what apart they would."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minireason.train.packing import (
    Packing,
    Piece,
    TokenSequence,
    Unit,
    collate,
    concatenate,
    cut,
    lay_out,
    pack,
    unit_length,
)

CAPACITY = 20
LENGTHS = st.lists(st.integers(1, CAPACITY), max_size=60)


def slow_best_fit(lengths: list[int], capacity: int) -> list[list[int]]:
    """Longest first, each into the first of the fullest rows it fits."""
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
def test_rows_are_those_of_an_obvious_best_fit(lengths: list[int]) -> None:
    assert pack(lengths, CAPACITY) == slow_best_fit(lengths, CAPACITY)


@given(st.lists(st.integers(1, 20_480), max_size=80))
def test_rows_are_those_of_an_obvious_best_fit_at_a_real_capacity(lengths: list[int]) -> None:
    assert pack(lengths, 20_480) == slow_best_fit(lengths, 20_480)


@given(LENGTHS)
def test_lengths_may_be_a_numpy_array(lengths: list[int]) -> None:
    assert pack(np.array(lengths, dtype=np.int32), 20_480) == pack(lengths, 20_480)


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


def slow_concatenate(lengths: list[int], capacity: int) -> list[list[tuple[int, int, int]]]:
    """Every token on one tape, the tape in rows, each unit's tokens of a row in one piece."""
    tape = [(unit, place) for unit, length in enumerate(lengths) for place in range(length)]
    rows = []
    for start in range(0, len(tape), capacity):
        pieces = []
        for unit, tokens in itertools.groupby(tape[start : start + capacity], lambda t: t[0]):
            places = [place for _, place in tokens]
            if len(places) > 1:
                pieces.append((unit, places[0], places[-1] + 1))
        rows.append(pieces)
    return [row for row in rows if row]


@given(st.lists(st.integers(0, 3 * CAPACITY), max_size=30), st.integers(1, CAPACITY))
def test_concatenated_rows_are_those_of_a_tape_cut_in_rows(
    lengths: list[int], capacity: int
) -> None:
    assert list(concatenate(lengths, capacity)) == slow_concatenate(lengths, capacity)


def test_concatenating_by_hand() -> None:
    # 0 0 0 0 0 | 0 1 1 1 2 | 2 2: the last token of unit 0 and the first of unit 2 stand alone
    assert list(concatenate([6, 3, 3], 5)) == [[(0, 0, 5)], [(1, 0, 3)], [(2, 1, 3)]]


@given(st.lists(st.integers(2, 3 * CAPACITY), min_size=1, max_size=30))
def test_only_tokens_that_stand_alone_are_left_out(lengths: list[int]) -> None:
    rows = concatenate(lengths, CAPACITY)
    num_cuts = (sum(lengths) - 1) // CAPACITY
    kept = sum(piece.end - piece.start for row in rows for piece in row)
    assert sum(lengths) - 2 * num_cuts <= kept <= sum(lengths)


def test_a_cut_sequence_is_two_that_start_at_position_0_each_in_its_own_segment() -> None:
    units = [[TokenSequence(np.arange(10, 17), 6)], [TokenSequence([20, 21, 22], 2)]]
    rows = concatenate([7, 3], 5)
    batch = collate([rows.of(units, number) for number in range(len(rows))])
    assert batch.ids_BT.tolist() == [[10, 11, 12, 13, 14], [15, 16, 20, 21, 22]]
    assert batch.positions_BT.tolist() == [[0, 1, 2, 3, 4], [0, 1, 0, 1, 2]]
    assert batch.segments_BT.tolist() == [[1, 1, 1, 1, 1], [2, 2, 3, 3, 3]]
    # every token but the first of each of the three pieces
    assert batch.target_columns_N.tolist() == [1, 2, 3, 4, 1, 3, 4]
    assert batch.num_padding == 0


FIRST = TokenSequence([5, 6, 7], 1, {"advantages": 2.0, "old_logprobs": [-0.5]})
SECOND = TokenSequence([8, 9], 1, {"advantages": -1.0, "old_logprobs": [-0.25]})
THIRD = TokenSequence([10, 11, 12, 13], 3, {"advantages": 3, "old_logprobs": [-1, -2, -3]})


@pytest.mark.parametrize(
    "unit",
    [[FIRST], [SECOND, SECOND], [TokenSequence([1, 2, 3], 1)]],
    ids=["values", "a pair", "a prompt without loss"],
)
def test_what_would_change_by_a_cut_is_not_cut(unit: Unit) -> None:
    with pytest.raises(ValueError, match="cannot be cut; pack it whole"):
        cut(unit, Piece(0, 0, 2))


@given(LENGTHS, st.sampled_from(["best-fit", "split", "none"]))
def test_rows_in_another_order_are_the_same_rows(lengths: list[int], packing: Packing) -> None:
    rows = lay_out(np.array(lengths, dtype=np.int64), CAPACITY, packing)
    order = np.random.default_rng(0).permutation(len(rows))
    moved = rows.reordered(order)
    assert list(moved) == [rows[int(i)] for i in order]
    expected = [
        sum(lengths[p.unit] if p.end is None else p.end - p.start for p in row) for row in moved
    ]
    assert moved.num_tokens(np.array(lengths, dtype=np.int64)).tolist() == expected


@given(LENGTHS)
def test_drawn_rows_are_those_of_the_units_shuffled_and_packed(lengths: list[int]) -> None:
    rows = lay_out(np.array(lengths, np.int64), CAPACITY, "best-fit", np.random.default_rng(7))
    rng = np.random.default_rng(7)
    order = rng.permutation(len(lengths)).tolist()
    packed = [[order[i] for i in row] for row in pack([lengths[i] for i in order], CAPACITY)]
    expected = [packed[i] for i in rng.permutation(len(packed))]
    assert [[piece.unit for piece in row] for row in rows] == expected


def test_the_layout_of_two_rows_by_hand() -> None:
    batch = collate([[[FIRST, SECOND]], [[THIRD]]])
    assert batch.ids_BT.tolist() == [[5, 6, 7, 8, 9], [10, 11, 12, 13, 0]]
    assert batch.positions_BT.tolist() == [[0, 1, 2, 0, 1], [0, 1, 2, 3, 0]]
    assert batch.segments_BT.tolist() == [[1, 1, 1, 2, 2], [3, 3, 3, 3, 0]]
    assert batch.target_rows_N.tolist() == [0, 0, 1, 1, 1]
    assert batch.target_columns_N.tolist() == [2, 4, 1, 2, 3]
    assert batch.sequence_N.tolist() == [0, 1, 2, 2, 2]
    assert (batch.num_sequences, batch.num_targets, batch.num_tokens) == (3, 5, 9)
    assert batch.num_padding == 1


def test_values_are_laid_out_a_target_token() -> None:
    values = collate([[[FIRST, SECOND]], [[THIRD]]]).values
    assert values["advantages"].tolist() == [2, -1, 3, 3, 3]
    assert values["old_logprobs"].tolist() == [-0.5, -0.25, -1, -2, -3]


SEQUENCES = st.integers(2, 9).flatmap(
    lambda length: st.builds(
        TokenSequence,
        st.lists(st.integers(1, 99), min_size=length, max_size=length),
        st.integers(1, length - 1),
    )
)


@given(st.lists(st.lists(st.lists(SEQUENCES, max_size=2), max_size=3), min_size=1, max_size=4))
def test_the_layout_is_that_of_an_obvious_loop(rows: list[list[list[TokenSequence]]]) -> None:
    tokens, targets, number = [], [], 0
    for row_index, row in enumerate(rows):
        laid: list[tuple[int, int, int]] = []
        for sequence in (s for unit in row for s in unit):
            number += 1
            laid += [(id_, position, number) for position, id_ in enumerate(sequence.ids)]
            columns = range(len(laid) - sequence.num_targets, len(laid))
            targets += [(row_index, column, number - 1) for column in columns]
        tokens.append(laid)
    width = max(1, *map(len, tokens))
    padded = torch.tensor([laid + [(0, 0, 0)] * (width - len(laid)) for laid in tokens])
    batch = collate(rows)
    found = torch.stack([batch.ids_BT, batch.positions_BT, batch.segments_BT], dim=-1)
    assert torch.equal(found, padded) and batch.num_sequences == number
    places = (batch.target_rows_N, batch.target_columns_N, batch.sequence_N)
    assert torch.stack(places, dim=1).tolist() == [list(target) for target in targets]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64])
def test_ids_and_values_may_be_numpy_arrays(dtype: type) -> None:
    listed = TokenSequence([5, 6, 7], 2, {"old_logprobs": [-0.5, -0.1], "advantages": 0.3})
    values = {"old_logprobs": np.array([-0.5, -0.1]), "advantages": np.float64(0.3)}
    array = TokenSequence(np.array([5, 6, 7], dtype=dtype), 2, values)
    one, other = collate([[[array]]]), collate([[[listed]]])
    assert one.ids_BT.dtype == torch.long and torch.equal(one.ids_BT, other.ids_BT)
    for name in values:
        assert one.values[name].dtype == torch.float32
        assert torch.equal(one.values[name], other.values[name])


@pytest.mark.parametrize("rows", [[], [[]]], ids=["no rows", "an empty row"])
def test_a_batch_of_nothing_is_one_token_of_padding(rows: list[list[Unit]]) -> None:
    batch = collate(rows)
    assert batch.ids_BT.tolist() == batch.segments_BT.tolist() == [[0]]
    assert (batch.num_sequences, batch.num_targets, batch.num_tokens) == (0, 0, 0)
    fields = (getattr(batch, field.name) for field in dataclasses.fields(batch))
    assert all(t.dtype == torch.long for t in fields if isinstance(t, torch.Tensor))


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


def test_a_batch_of_nothing_has_the_values_that_are_asked_for() -> None:
    batch = collate([], ["advantages"])
    assert batch.values["advantages"].shape == (0,)


def test_a_unit_is_as_long_as_its_sequences() -> None:
    assert unit_length([FIRST, SECOND]) == 5
