"""A token store: what is read is what was written, parts are whole, views take nothing away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minireason.errors import DataError
from minireason.train.data import Layout, PackedData, within_length
from minireason.train.forward import score_units
from minireason.train.packing import Packing, Unit, unit_length
from minireason.train.reference import ReferenceLogprobs
from minireason.train.store import Entry, TokenStore, write_part, write_values


def plain(units: Sequence[Unit]) -> list[list[tuple[list[int], int]]]:
    return [[(list(s.ids), s.num_targets) for s in unit] for unit in units]


def stored(folder: Path, units: Sequence[Unit], part_size: int = 5) -> TokenStore:
    """A store of the units, named by their places; every third is held out."""
    entries = [Entry(f"unit {i}", unit, i % 3 == 0) for i, unit in enumerate(units)]
    paths = []
    for start in range(0, len(entries), part_size):
        paths.append(folder / f"part-{start:05d}")
        write_part(paths[-1], entries[start : start + part_size])
    return TokenStore.open(paths)


@pytest.fixture
def units(make_units: Callable[..., Any]) -> list[Unit]:
    """Units of one and of two sequences."""
    pairs, singles = make_units(9, pair=True), make_units(9, seed=1)
    return [unit for both in zip(pairs, singles, strict=True) for unit in both]


def test_a_store_s_units_are_those_written(tmp_path: Path, units: list[Unit]) -> None:
    store = stored(tmp_path, units)
    assert plain(store) == plain(units)
    assert store.lengths.tolist() == [unit_length(unit) for unit in units]
    assert list(store.names) == [f"unit {i}" for i in range(18)]
    assert store.is_held_out.tolist() == [i % 3 == 0 for i in range(18)]
    assert store[-1][0].ids.dtype == np.int32


def test_a_view_has_the_units_chosen_in_their_order(tmp_path: Path, units: list[Unit]) -> None:
    view = stored(tmp_path, units).take(np.array([7, 3, 16, 5]))
    chosen = [units[i] for i in (7, 3, 16, 5)]
    assert plain(view) == plain(chosen) and plain(view[1:3]) == plain(chosen[1:3])
    assert view.names[1:3] == ["unit 3", "unit 16"]
    assert view.lengths.tolist() == [unit_length(unit) for unit in chosen]
    assert view.is_held_out.tolist() == [False, True, False, False]
    with pytest.raises(IndexError):
        view[4]


def test_an_empty_store_is_no_data(tmp_path: Path) -> None:
    store = TokenStore.open([])
    assert len(store) == 0
    with pytest.raises(DataError, match="none of 0 examples fits"):
        within_length(store, store.names, 10, "drop")


def test_a_part_that_was_not_finished_is_not_there(tmp_path: Path, units: list[Unit]) -> None:
    def killed() -> Any:
        yield Entry("first", units[0])
        raise KeyboardInterrupt

    path = tmp_path / "part-00000"
    with pytest.raises(KeyboardInterrupt):
        write_part(path, killed())
    assert not path.exists() and (tmp_path / "part-00000.partial").is_dir()
    write_part(path, [Entry("second", units[1])])
    assert plain(TokenStore.open([path])) == plain(units[1:2])
    assert [p.name for p in tmp_path.iterdir()] == ["part-00000"]


def test_the_tokens_are_not_in_the_process_s_memory(tmp_path: Path, units: list[Unit]) -> None:
    ids = stored(tmp_path, units)[4][0].ids
    owner = ids.base
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    assert isinstance(owner, np.memmap)


@pytest.mark.parametrize("packing", ["best-fit", "split", "none"])
def test_training_on_a_store_is_training_on_the_lists(
    packing: Packing, tmp_path: Path, make_units: Callable[..., Any]
) -> None:
    units = make_units(20)
    if packing == "split":
        units = [[type(s)(s.ids, len(s.ids) - 1)] for unit in units for s in unit]
    layout = Layout(30, 4, 2, packing, epochs=2)
    one, other = (PackedData(u, layout, seed=1) for u in (units, stored(tmp_path, units)))
    assert one.num_steps == other.num_steps
    for number in range(one.num_steps):
        both = (d.step(number).updates[0].micro_batches for d in (one, other))
        for a, b in zip(*both, strict=True):
            for name in ("ids_BT", "segments_BT", "target_columns_N"):
                assert torch.equal(getattr(a, name), getattr(b, name))


def test_values_come_with_their_sequences_also_in_a_view(tmp_path: Path, units: list[Unit]) -> None:
    chosen = np.array([3, 8, 10, 1])
    view, file = stored(tmp_path, units).take(chosen), tmp_path / "values.bin"
    given = [[np.random.rand(s.num_targets).astype(np.float32) for s in u] for u in view]
    write_values(file, (part for unit in given for part in unit))
    valued = view.with_values("reference_logprobs", file)
    found = [[s.values["reference_logprobs"].tolist() for s in unit] for unit in valued]
    expected = [[part.tolist() for part in unit] for unit in given]
    assert found == expected
    again = valued.take(np.array([2, 0]))
    assert [s.values["reference_logprobs"].tolist() for s in again[1]] == expected[0]
    assert plain(valued) == plain(view)


def test_too_few_or_too_many_values_are_an_error(tmp_path: Path, units: list[Unit]) -> None:
    store, file = stored(tmp_path, units), tmp_path / "values.bin"
    write_values(file, [np.zeros(3)])
    total = sum(s.num_targets for unit in units for s in unit)
    with pytest.raises(DataError, match=f"values.bin holds 3 values for {total} target tokens"):
        store.with_values("reference_logprobs", file)


def test_reference_logprobs_of_a_store_are_those_of_the_lists(
    tmp_path: Path, make_units: Callable[..., Any], make_model: Callable[..., Any]
) -> None:
    pairs, model = make_units(7, pair=True), make_model()
    store = stored(tmp_path / "tokens", pairs)
    listed = ReferenceLogprobs(tmp_path / "reference", list(store.names), pairs, {}, shard_size=3)
    mapped = ReferenceLogprobs(tmp_path / "reference", store.names, store, {}, shard_size=3)
    listed.prepare()
    assert not mapped.prepare()  # the same tokens by their hash
    mapped.compute(lambda part: score_units(model, part, 40, 2), range(3))
    file = tmp_path / "values.bin"
    write_values(file, (values for both in mapped.read() for values in both))
    valued = store.with_values("reference_logprobs", file)
    for both, pair in zip(listed.read(), valued, strict=True):
        for values, sequence in zip(both, pair, strict=True):
            assert np.array_equal(values, np.asarray(sequence.values["reference_logprobs"]))
