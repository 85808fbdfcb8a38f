"""Steps of data: everything once an epoch, the same for every seed and step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minireason.errors import DataError
from minireason.train.data import (
    Layout,
    PackedData,
    Step,
    StepSource,
    fill,
    make_updates,
    within_length,
)
from minireason.train.packing import TokenSequence, Unit, collate
from minireason.world import ALONE


def layout(**changes: Any) -> Layout:
    sizes: dict[str, Any] = {"seq_length": 30, "batch_size": 4, "micro_batch_size": 2}
    return Layout(**sizes | {"packing": "best-fit", "epochs": 1} | changes)


def numbered(lengths: list[int]) -> list[Unit]:
    """Units of the given lengths whose tokens all bear the unit's number."""
    return [[TokenSequence([i + 1] * n, 1)] for i, n in enumerate(lengths)]


def seen(step: Step) -> list[int]:
    """The numbers of the units in a step, in their order."""
    return [
        int(batch.ids_BT[row, column])
        for micro_batches in (update.micro_batches for update in step.updates)
        for batch in micro_batches
        for row, column in zip(batch.target_rows_N, batch.target_columns_N, strict=True)
    ]


def all_seen(data: PackedData) -> list[int]:
    return [number for n in range(data.num_steps) for number in seen(data.step(n))]


LENGTHS = [2 + i * 7 % 19 for i in range(37)]
PACKING = pytest.mark.parametrize("packing", ["best-fit", "none"])


@given(
    st.lists(st.integers(2, 30), min_size=1, max_size=30),
    st.sampled_from(["best-fit", "none"]),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 3),
)
def test_every_unit_is_seen_once_an_epoch(
    lengths: list[int], packing: str, batch_size: int, micro_batch_size: int, epochs: int
) -> None:
    sizes = layout(
        packing=packing, batch_size=batch_size, micro_batch_size=micro_batch_size, epochs=epochs
    )
    found = all_seen(PackedData(numbered(lengths), sizes, seed=3))
    assert Counter(found) == {i + 1: epochs for i in range(len(lengths))}
    if packing == "best-fit":  # what is not packed is dealt out by length within a step
        for epoch in range(epochs):
            part = found[epoch * len(lengths) : (epoch + 1) * len(lengths)]
            assert sorted(part) == list(range(1, len(lengths) + 1))


@PACKING
def test_epochs_differ_in_their_order_and_a_seed_repeats_them(packing: str) -> None:
    sizes = layout(packing=packing, epochs=2)
    one, same, other = (all_seen(PackedData(numbered(LENGTHS), sizes, s)) for s in (1, 1, 2))
    assert one == same != other
    assert one[:37] != one[37:]


@PACKING
def test_a_step_does_not_depend_on_the_order_of_the_calls(packing: str) -> None:
    sizes = layout(packing=packing, epochs=3)
    forward, back = (PackedData(numbered(LENGTHS), sizes, seed=1) for _ in range(2))
    expected = [seen(forward.step(n)) for n in range(forward.num_steps)]
    assert [seen(back.step(n)) for n in reversed(range(back.num_steps))] == expected[::-1]


def test_the_number_of_steps_by_hand() -> None:
    # ten rows an epoch, four a step
    units = numbered([20] * 10)
    steps = [PackedData(units, layout(epochs=e), 0).num_steps for e in (0.1, 0.4, 0.41, 1, 2, 2.5)]
    assert steps == [1, 1, 2, 3, 5, 7]


def test_a_fraction_of_an_epoch_is_not_rounded_up_by_floating_point() -> None:
    data = PackedData(numbered([20] * 50), layout(epochs=1.1), 0)
    assert data.num_rows == 55


def test_half_an_epoch_sees_half_of_the_rows() -> None:
    found = all_seen(PackedData(numbered([20] * 10), layout(epochs=0.5), 0))
    assert len(found) == len(set(found)) == 5


@pytest.mark.parametrize(("max_steps", "expected"), [(0, 5), (2, 2), (5, 5), (9, 5)])
def test_max_steps_only_shortens(max_steps: int, expected: int) -> None:
    sizes = layout(epochs=2, max_steps=max_steps)
    assert PackedData(numbered([20] * 10), sizes, 0).num_steps == expected


def test_a_step_crosses_from_one_epoch_into_the_next() -> None:
    data = PackedData(numbered([20] * 10), layout(epochs=2), 0)
    assert [len(seen(data.step(n))) for n in range(5)] == [4, 4, 4, 4, 4]
    crossing = seen(data.step(2))
    assert sorted(seen(data.step(0)) + seen(data.step(1)) + crossing[:2]) == list(range(1, 11))


def test_the_last_step_takes_what_is_left_in_micro_batches() -> None:
    data = PackedData(numbered([20] * 7), layout(), 0)
    sizes = [
        [len(batch.ids_BT) for batch in data.step(n).updates[0].micro_batches] for n in range(2)
    ]
    assert sizes == [[2, 2], [2, 1]]


def test_unpacked_rows_hold_one_unit_each() -> None:
    data = PackedData(numbered([3] * 8), layout(packing="none"), 0)
    assert all(
        batch.num_sequences == len(batch.ids_BT)
        for n in range(data.num_steps)
        for batch in data.step(n).updates[0].micro_batches
    )


def test_a_pair_stays_together_and_in_order(make_units: Callable[..., list[Unit]]) -> None:
    pairs = make_units(12, pair=True, longest=10)
    data = PackedData(pairs, layout(), 0)
    for batch in (b for n in range(data.num_steps) for b in data.step(n).updates[0].micro_batches):
        found = [
            batch.ids_BT[batch.segments_BT == i + 1].tolist() for i in range(batch.num_sequences)
        ]
        for chosen, rejected in zip(found[::2], found[1::2], strict=True):
            assert any([chosen, rejected] == [list(s.ids) for s in pair] for pair in pairs)


def sizes(step: Step) -> list[int]:
    """The tokens of each micro-batch."""
    return [batch.num_tokens for update in step.updates for batch in update.micro_batches]


def test_unpacked_examples_fill_micro_batches_by_their_tokens() -> None:
    # a step's 8 examples have 64 tokens, a micro-batch holds 2 x 16: two instead of four
    data = PackedData(
        numbered([15, 13, 9, 7, 7, 6, 4, 3] * 2),
        layout(seq_length=16, batch_size=16, packing="none"),
        0,
    )
    assert data.num_steps == 1
    assert sizes(data.step(0)) == [32, 32, 32, 32]
    assert sorted(seen(data.step(0))) == list(range(1, 17))


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=40), st.integers(1, 4), st.integers(20, 60)
)
def test_filled_micro_batches_hold_the_budget_and_each_process_has_as_many(
    costs: list[int], num_ranks: int, budget: int
) -> None:
    dealt = fill(costs, num_ranks, budget)
    assert sorted(row for rank in dealt for part in rank for row in part) == [*range(len(costs))]
    assert len({len(rank) for rank in dealt}) == 1
    loads = [sum(costs[row] for row in part) for rank in dealt for part in rank]
    assert max(loads) <= budget
    # longest-first: what holds least lacks no more of the fullest than one row
    assert max(loads) - min(loads) <= max(costs)


def test_what_a_dry_run_tries_is_as_large_as_any_micro_batch() -> None:
    for packing in ("best-fit", "none"):
        data = PackedData(numbered(LENGTHS), layout(packing=packing), 0)
        every = [size for n in range(data.num_steps) for size in sizes(data.step(n))]
        assert max(every) <= data.largest().num_tokens <= 60


def test_splitting_trains_on_every_token_once_an_epoch_but_for_the_parts_first() -> None:
    units: list[Unit] = [
        [TokenSequence([100 * i + j for j in range(n)], n - 1)] for i, n in enumerate(LENGTHS)
    ]
    data = PackedData(units, layout(packing="split", seq_length=11), 0)
    batches = [b for n in range(data.num_steps) for b in data.step(n).updates[0].micro_batches]
    ids = torch.cat([b.ids_BT[b.segments_BT > 0] for b in batches]).tolist()
    all_ids = {int(i) for unit in units for i in unit[0].ids}
    assert len(ids) == len(set(ids)) and set(ids) <= all_ids
    assert len(all_ids) - len(ids) <= 2 * data.rows_per_epoch  # cut off alone, no target
    assert sum(b.num_targets for b in batches) == len(ids) - sum(b.num_sequences for b in batches)
    assert [len(b.ids_BT) for b in batches[:-1]] == [2] * (len(batches) - 1)


def test_splitting_cuts_other_places_in_every_epoch() -> None:
    units: list[Unit] = [[TokenSequence(range(1, n + 1), n - 1)] for n in (9, 13, 40, 21)]
    data = PackedData(units, layout(packing="split", epochs=2, batch_size=100), 0)
    assert data.num_steps == 1 and data.rows_per_epoch == 3
    batch = collate([data._row(i) for i in range(3)]), collate([data._row(i) for i in range(3, 6)])
    assert batch[0].lengths != batch[1].lengths


def test_no_data_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing to train on"):
        PackedData([], layout(), 0)


def fitting(units: list[Unit], overlong: str) -> tuple[list[int], int]:
    kept, num_dropped = within_length(units, ["a", "b", "c"], 10, overlong)
    return kept.tolist(), num_dropped


def test_everything_that_fits_is_kept() -> None:
    units = numbered([3, 10])
    assert fitting(units, "error") == ([0, 1], 0)


def test_too_long_is_an_error_that_names_the_first_and_the_remedy() -> None:
    match = "2 of 3 examples are longer than seq_length 10 .the first is b with 11 tokens.*'drop'"
    with pytest.raises(DataError, match=match):
        within_length(numbered([3, 11, 12]), ["a", "b", "c"], 10, "error")


def test_dropping_keeps_the_others_and_says_how_many() -> None:
    units = numbered([3, 11, 4])
    assert fitting(units, "drop") == ([0, 2], 1)


def test_dropping_all_is_an_error() -> None:
    with pytest.raises(DataError, match="none of 1 examples fits"):
        within_length(numbered([11]), ["a"], 10, "drop")


@given(st.integers(1, 10**7), st.data())
def test_the_position_of_a_source_that_counts_steps_is_to_the_bit_what_is_done(
    num_steps: int, data: st.DataObject
) -> None:
    source = StepSource()
    source.num_steps = num_steps
    done = data.draw(st.integers(0, num_steps))
    assert source.position(done) == done
    assert (source.progress(done) >= 1) == (done == num_steps)


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (3, 3), (9, 5)])
def test_units_are_dealt_out_to_as_many_updates_as_there_are_units(
    count: int, expected: int
) -> None:
    units = numbered([4, 9, 2, 5, 7])
    updates = make_updates(units, count, 1, ALONE)
    assert len(updates) == expected
    dealt = [set(seen(Step([update]))) for update in updates]
    assert dealt == [set(range(1, 6)[part::count]) for part in range(expected)]
    for update, numbers in zip(updates, dealt, strict=True):
        assert update.totals.num_sequences == len(numbers)
        longest = max(len(units[number - 1][0].ids) for number in numbers)
        assert max(batch.num_tokens for batch in update.micro_batches) <= 2 * longest
