"""Reference log-probabilities on disk: exact, kept shard by shard, never another model's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from minireason.errors import DataError, MissingError
from minireason.train.forward import score_units
from minireason.train.packing import Unit
from minireason.train.reference import IDENTITY, ReferenceLogprobs, model_identity


@pytest.fixture
def reference(tmp_path: Path, make_units: Callable[..., Any]) -> ReferenceLogprobs:
    """Ten pairs in four shards."""
    pairs, ids = make_units(10, pair=True), [f"pair-{i}" for i in range(10)]
    return ReferenceLogprobs(tmp_path / "reference", ids, pairs, {"model": "a"}, shard_size=3)


class Scorer:
    """Log-probabilities from a seed of the tokens; counts the pairs it was asked for."""

    def __init__(self, stop_after: int = 100) -> None:
        self.num_pairs, self.calls_left = 0, stop_after

    def __call__(self, pairs: Sequence[Unit]) -> list[list[np.ndarray]]:
        if not self.calls_left:
            raise KeyboardInterrupt
        self.calls_left -= 1
        self.num_pairs += len(pairs)
        return [[self.of(sequence) for sequence in pair] for pair in pairs]

    @staticmethod
    def of(sequence: Any) -> np.ndarray:
        rng = np.random.default_rng(list(sequence.ids))
        return np.log(rng.random(sequence.num_targets, dtype=np.float32))


def contents(reference: ReferenceLogprobs) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(reference.folder.iterdir())}


def test_what_is_read_is_what_was_scored_to_the_bit(reference: ReferenceLogprobs) -> None:
    assert not reference.prepare()
    reference.compute(Scorer(), range(reference.num_shards))
    found = list(reference.read())
    assert len(found) == 10
    for pair, logprobs in zip(reference.pairs, found, strict=True):
        for sequence, values in zip(pair, logprobs, strict=True):
            assert values.dtype == np.float32
            assert values.tobytes() == Scorer.of(sequence).tobytes()


def test_extreme_values_survive_the_file(reference: ReferenceLogprobs) -> None:
    values = np.array([-0.0, -1e-45, -3.4e38, -np.inf, -0.1], dtype=np.float32)
    one = replace(reference, ids=["p"], pairs=reference.pairs[:1])
    one.prepare()
    one.compute(lambda pairs: [[values, values[:1]]], [0])
    ((chosen, rejected),) = one.read()
    assert (chosen.tobytes(), rejected.tobytes()) == (values.tobytes(), values[:1].tobytes())


def test_a_shard_is_a_table_of_pair_ids_and_float32_lists(reference: ReferenceLogprobs) -> None:
    reference.prepare()
    reference.compute(Scorer(), [1])
    table = pq.read_table(reference.folder / "part-00001.parquet")
    assert table["id"].to_pylist() == ["pair-3", "pair-4", "pair-5"]
    assert [str(f.type) for f in table.schema][1:] == ["list<element: float>"] * 2
    lengths = [len(values) for values in table["rejected_logprobs"].to_pylist()]
    assert lengths == [pair[1].num_targets for pair in reference.pairs[3:6]]


def test_after_a_kill_finished_shards_are_kept(reference: ReferenceLogprobs) -> None:
    reference.prepare()
    whole = Scorer()
    reference.compute(whole, range(4))
    expected = contents(reference)
    again = replace(reference, folder=reference.folder.with_name("again"))
    again.prepare()
    with pytest.raises(KeyboardInterrupt):
        again.compute(Scorer(stop_after=2), range(4))
    (again.folder / "part-00002.parquet.partial").write_bytes(b"half")
    assert not again.prepare()
    rest = Scorer()
    again.compute(rest, range(4))
    assert (whole.num_pairs, rest.num_pairs) == (10, 4)
    assert contents(again) == expected


def test_several_processes_make_what_one_makes(reference: ReferenceLogprobs) -> None:
    reference.prepare()
    reference.compute(Scorer(), range(4))
    shared = replace(reference, folder=reference.folder.with_name("shared"))
    shared.prepare()
    for rank in (2, 0, 1):
        shared.compute(Scorer(), range(shared.num_shards)[rank::3])
    assert contents(shared) == contents(reference)


def changed_tokens(reference: ReferenceLogprobs) -> ReferenceLogprobs:
    chosen, rejected = reference.pairs[7]
    other = replace(rejected, ids=[*rejected.ids[:-1], rejected.ids[-1] + 1])
    return replace(reference, pairs=[*reference.pairs[:7], [chosen, other], *reference.pairs[8:]])


def changed_targets(reference: ReferenceLogprobs) -> ReferenceLogprobs:
    chosen, rejected = reference.pairs[0]
    first = [replace(chosen, num_targets=len(chosen.ids) - chosen.num_targets), rejected]
    assert first[0].num_targets != chosen.num_targets
    return replace(reference, pairs=[first, *reference.pairs[1:]])


CHANGES: dict[str, Callable[[ReferenceLogprobs], ReferenceLogprobs]] = {
    "another model": lambda r: replace(r, made_by={"model": "b"}),
    "another dtype": lambda r: replace(r, made_by={"model": "a", "dtype": "bfloat16"}),
    "another token": changed_tokens,
    "other targets": changed_targets,
    "other ids": lambda r: replace(r, ids=[*r.ids[:-1], "other"]),
    "another order": lambda r: replace(r, ids=r.ids[::-1], pairs=r.pairs[::-1]),
    "fewer pairs": lambda r: replace(r, ids=r.ids[:9], pairs=r.pairs[:9]),
    "other shards": lambda r: replace(r, shard_size=5),
}


@pytest.mark.parametrize("change", CHANGES)
def test_values_of_another_reference_are_refused_and_then_replaced(
    change: str, reference: ReferenceLogprobs
) -> None:
    reference.prepare()
    reference.compute(Scorer(), range(4))
    other, scorer = CHANGES[change](reference), Scorer()
    with pytest.raises(DataError, match="no reference log-probabilities of this model for these"):
        list(other.read())
    with pytest.raises(DataError, match=r"call prepare\(\) first"):
        other.compute(scorer, range(other.num_shards))
    assert other.prepare() and not other.prepare()
    other.compute(scorer, range(other.num_shards))
    assert scorer.num_pairs == len(other.pairs) == len(list(other.read()))


def test_shards_that_do_not_say_whose_they_are_are_not_used(reference: ReferenceLogprobs) -> None:
    reference.prepare()
    reference.compute(Scorer(), range(4))
    (reference.folder / IDENTITY).unlink()
    reference.prepare()
    assert list(contents(reference)) == [IDENTITY]


def test_a_shard_that_is_missing_or_broken_is_an_error_naming_it(
    reference: ReferenceLogprobs,
) -> None:
    reference.prepare()
    reference.compute(Scorer(), [0, 1, 3])
    with pytest.raises(MissingError, match=r"part-00002.parquet does not exist; compute shard 2"):
        list(reference.read())
    (reference.folder / "part-00002.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"part-00002.parquet is not readable .*; delete it"):
        list(reference.read())


def test_progress_counts_shards_the_kept_ones_too(reference: ReferenceLogprobs) -> None:
    reference.prepare()
    reference.compute(Scorer(), [0])
    seen: list[tuple[int, int, str]] = []
    reference.compute(Scorer(), [0, 2], lambda *shown: seen.append(shown))
    assert seen == [(1, 2, "shards"), (2, 2, "shards")]


def test_a_model_s_scores_by_shard_are_those_of_the_whole_set(
    reference: ReferenceLogprobs, make_model: Callable[..., Any]
) -> None:
    model = make_model()
    reference.prepare()
    reference.compute(lambda pairs: score_units(model, pairs, 40, 2), range(4))
    expected = score_units(model, reference.pairs, 40, 2)
    for found, scored in zip(reference.read(), expected, strict=True):
        for a, b in zip(found, scored, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_finished_step_s_model_is_known_by_its_manifest(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    plain = model_identity(tmp_path)
    (tmp_path / "README.md").write_text("not the model")
    assert model_identity(tmp_path) == plain
    (tmp_path / "model.safetensors").write_bytes(b"Weights")
    assert model_identity(tmp_path) != plain
    (tmp_path / "manifest.json").write_text('{"identity": "abc"}')
    assert model_identity(tmp_path) == "abc"
