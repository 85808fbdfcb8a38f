"""Too little memory becomes a message that says what to lower."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from minireason.errors import MinireasonError
from minireason.train import loop
from minireason.train.data import Layout, PackedData
from minireason.train.guards import memory_explained
from minireason.train.learner import Learner
from minireason.train.loop import train
from minireason.train.objectives.next_token import NextToken
from minireason.train.optimizer import OptimizerSettings
from minireason.train.packing import MicroBatch, collate

SETTINGS = OptimizerSettings(1e-2, 0.0, 0.9, 0.95, 1.0, 0.0, "constant", checkpoint_every=100)


class Watched(Learner):
    """Calls `look` with itself and every batch before it is scored."""

    def __init__(self, model: Any, look: Callable[[Learner, MicroBatch], None]) -> None:
        super().__init__(model, SETTINGS)
        self.look = look

    def score(self, batch: MicroBatch, temperature: float, *, with_entropy: bool) -> Any:
        self.look(self, batch)
        return super().score(batch, temperature, with_entropy=with_entropy)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError(),
    ],
    ids=["cuda", "torch on a cpu", "python"],
)
def test_running_out_of_memory_says_what_was_asked_and_what_to_lower(
    error: Exception, make_units: Callable[..., Any]
) -> None:
    batch = collate([[unit] for unit in make_units(3)])
    longest = batch.ids_BT.shape[1]
    expected = f"on cpu with a micro-batch of 3 rows of up to {longest} tokens.*lower micro_batch"
    with (
        pytest.raises(MinireasonError, match=expected),
        memory_explained(batch, torch.device("cpu")),
    ):
        raise error


def test_another_error_stays_what_it_is(make_units: Callable[..., Any]) -> None:
    batch = collate([make_units(1)])
    with (
        pytest.raises(RuntimeError, match="shapes"),
        memory_explained(batch, torch.device("cpu")),
    ):
        raise RuntimeError("shapes differ")


def test_a_real_allocation_that_is_too_large_is_explained(make_units: Callable[..., Any]) -> None:
    batch = collate([make_units(1)])
    with (
        pytest.raises(MinireasonError, match="out of memory on cpu"),
        memory_explained(batch, torch.device("cpu")),
    ):
        torch.empty(1 << 60)


def test_a_long_run_tries_its_largest_batch_before_the_first_step(
    make_model: Callable[..., Any],
    make_units: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    seen: list[int] = []

    def weights(rehearsed: bool) -> Any:
        folder = tmp_path / str(rehearsed)
        folder.mkdir()
        monkeypatch.setattr(loop, "REHEARSED_STEPS", 3 if rehearsed else 1000)
        seen.clear()
        learner = Watched(make_model(), lambda _, batch: seen.append(batch.num_tokens))
        data = PackedData(make_units(9), Layout(40, 1, 1, "best-fit", epochs=3), seed=0)
        train(learner, data, NextToken(), folder)
        return learner.model, list(seen)

    (one, tried), (other, steps) = weights(True), weights(False)
    assert tried == [max(steps), *steps]
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_dry_run_that_does_not_fit_ends_the_run_before_it_has_begun(
    make_model: Callable[..., Any],
    make_units: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(loop, "REHEARSED_STEPS", 3)

    def overflow(learner: Learner, batch: MicroBatch) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    data = PackedData(make_units(9), Layout(40, 1, 1, "best-fit", epochs=3), seed=0)
    with pytest.raises(MinireasonError, match="out of memory"):
        train(Watched(make_model(), overflow), data, NextToken(), tmp_path)
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_a_dry_run_is_made_as_training_is(
    make_model: Callable[..., Any],
    make_units: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(loop, "REHEARSED_STEPS", 3)
    modes: list[bool] = []

    data = PackedData(make_units(9), Layout(40, 1, 1, "best-fit", epochs=1), seed=0)
    learner = Watched(make_model().eval(), lambda me, _: modes.append(me.model.training))
    train(learner, data, NextToken(), tmp_path)
    assert set(modes) == {True}
