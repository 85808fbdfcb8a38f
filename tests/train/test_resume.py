"""Training that was interrupted, anywhere, ends with the same bytes as training that was not."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from minireason.interrupt import Interrupt
from minireason.train import loop
from minireason.train.checkpoint import Checkpoints
from minireason.train.data import Layout, PackedData, Step, StepSource
from minireason.train.learner import Learner
from minireason.train.loop import train
from minireason.train.metrics import MetricsLog
from minireason.train.objectives.next_token import NextToken
from minireason.train.optimizer import OptimizerSettings
from minireason.train.packing import MicroBatch
from minireason.world import World

SETTINGS = OptimizerSettings(3e-3, 0.1, 0.9, 0.95, 1.0, 0.2, "cosine", checkpoint_every=3)


class TwoUpdates(StepSource):
    """Six steps of two updates each, with metrics of their own; `during` is called in each."""

    def __init__(self, units: Any, during: Callable[[int], None] = lambda number: None) -> None:
        self.data = PackedData(units, Layout(40, 2, 1, "best-fit", epochs=6), seed=4)
        self.num_steps, self.during = 6, during

    def step(self, number: int) -> Step:
        self.during(number)
        updates = [self.data.step(2 * number + part).updates[0] for part in (0, 1)]
        return Step(updates, temperature=0.9, metrics={"temperature": 0.9})

    def largest(self) -> MicroBatch:
        return self.data.largest()


class ProcessDiedError(Exception):
    """Stands for the death of the process."""


@pytest.fixture
def run(make_model: Callable[..., Any], make_units: Callable[..., Any]) -> Callable[..., Any]:
    """Train in a folder with a new model and new data, as a new process would."""

    def go(
        folder: Path, during: Callable[[int], None] = lambda number: None, **options: Any
    ) -> Any:
        folder.mkdir(exist_ok=True)
        learner = Learner(make_model(), SETTINGS)
        train(learner, TwoUpdates(make_units(30), during), NextToken(), folder, **options)
        return learner.model

    return go


@pytest.fixture
def straight(run: Callable[..., Any], tmp_path: Path) -> tuple[Any, bytes]:
    """The weights and the metrics of a run that nothing interrupted."""
    model = run(tmp_path / "straight")
    return model, (tmp_path / "straight" / "metrics.jsonl").read_bytes()


def assert_same(model: Any, folder: Path, straight: tuple[Any, bytes]) -> None:
    expected, metrics = straight
    for (name, one), other in zip(model.named_parameters(), expected.parameters(), strict=True):
        assert torch.equal(one, other), name
    assert (folder / "metrics.jsonl").read_bytes() == metrics
    assert len((folder / "timing.jsonl").read_text().splitlines()) == 6


def dying_at(step: int) -> Callable[[int], None]:
    def during(number: int) -> None:
        if number == step:
            raise ProcessDiedError

    return during


@pytest.mark.parametrize("step", range(6))
def test_death_in_any_step_changes_nothing(
    step: int, run: Callable[..., Any], straight: tuple[Any, bytes], tmp_path: Path
) -> None:
    with pytest.raises(ProcessDiedError):
        run(tmp_path / "again", dying_at(step))
    assert_same(run(tmp_path / "again"), tmp_path / "again", straight)


def test_every_line_says_its_step_its_rate_and_the_source_s_own_metrics(
    straight: tuple[Any, bytes],
) -> None:
    lines = [json.loads(line) for line in straight[1].splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["temperature"] for line in lines] == [0.9] * 6
    # two steps of warm-up, then a cosine over four
    shares = [0.5, 1, 1, 0.55 + 0.45 * 0.5**0.5, 0.55, 0.55 - 0.45 * 0.5**0.5]
    assert [line["lr"] for line in lines] == pytest.approx([3e-3 * share for share in shares])


def test_death_again_and_again_changes_nothing(
    run: Callable[..., Any], straight: tuple[Any, bytes], tmp_path: Path
) -> None:
    for step in (1, 4, 4, 5):
        with pytest.raises(ProcessDiedError):
            run(tmp_path / "again", dying_at(step))
    assert_same(run(tmp_path / "again"), tmp_path / "again", straight)


def test_a_checkpoint_half_written_is_not_used(
    run: Callable[..., Any], straight: tuple[Any, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "again"
    with pytest.raises(ProcessDiedError):
        run(folder, dying_at(5))
    partial = folder / "checkpoints" / "step-000006.partial"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"cut o")
    assert_same(run(folder), folder, straight)


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_metrics_line_cut_off_is_written_again(
    cut: int, run: Callable[..., Any], straight: tuple[Any, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "again"
    with pytest.raises(ProcessDiedError):
        run(folder, dying_at(5))
    metrics = folder / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes()[:-cut])
    assert_same(run(folder), folder, straight)


def test_a_finished_run_started_again_does_nothing(
    run: Callable[..., Any], straight: tuple[Any, bytes], tmp_path: Path
) -> None:
    run(tmp_path / "again")
    assert_same(run(tmp_path / "again", dying_at(5)), tmp_path / "again", straight)


@pytest.mark.parametrize("step", [0, 1, 2, 5])
def test_ctrl_c_finishes_the_step_saves_and_stops(
    step: int, run: Callable[..., Any], straight: tuple[Any, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "again"
    before = signal.getsignal(signal.SIGINT)

    def interrupting(number: int) -> None:
        if number == step:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(folder, interrupting)
    assert signal.getsignal(signal.SIGINT) is before
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == step + 1
    assert [p.name for p in (folder / "checkpoints").iterdir()] == [f"step-{step + 1:06d}"]
    assert_same(run(folder), folder, straight)


def test_a_second_ctrl_c_stops_at_once(run: Callable[..., Any], tmp_path: Path) -> None:
    def twice(number: int) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "again", twice)
    assert (tmp_path / "again" / "metrics.jsonl").read_text() == ""


@pytest.mark.parametrize("unseen", [1, 4, 6])
def test_ctrl_c_between_saving_and_stopping_waits_for_the_next_step_or_the_end(
    unseen: int,
    run: Callable[..., Any],
    saved_in: Callable[..., Checkpoints],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    class Late(Interrupt):
        """Asked to stop just after the last time but one that anybody looked."""

        looks = 0

        def agreed(self, world: World) -> bool:
            self.looks += 1
            self.signal = signal.SIGINT if self.looks > unseen else 0
            return bool(self.signal)

    @contextlib.contextmanager
    def late() -> Iterator[Late]:
        yield Late()

    monkeypatch.setattr(loop, "finish_step_on_interrupt", late)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "again")
    done = len((tmp_path / "again" / "metrics.jsonl").read_text().splitlines())
    latest = saved_in(tmp_path / "again" / "checkpoints").latest()
    assert latest is not None and latest.name == f"step-{done:06d}"


@pytest.fixture
def saved_in(make_model: Callable[..., Any]) -> Callable[..., Checkpoints]:
    """The checkpoints in a folder, of a new model."""

    def open_in(folder: Path, seed: int = 0, keep: int = 1) -> Checkpoints:
        return Checkpoints(folder, Learner(make_model(seed=seed), SETTINGS), keep)

    return open_in


@pytest.mark.parametrize("keep", [1, 2])
def test_only_the_newest_checkpoints_are_kept(
    keep: int, saved_in: Callable[..., Checkpoints], tmp_path: Path
) -> None:
    checkpoints = saved_in(tmp_path, keep=keep)
    (tmp_path / "step-000001.partial").mkdir()
    for step in (2, 9, 10):
        checkpoints.save(step, {})
    checkpoints.close()
    kept = ["step-000009", "step-000010"][-keep:]
    assert sorted(p.name for p in tmp_path.iterdir() if not p.suffix) == kept
    assert saved_in(tmp_path, seed=1).restore() == {"step": 10}


def test_of_two_checkpoints_left_by_a_death_the_newer_is_used(
    saved_in: Callable[..., Checkpoints], tmp_path: Path
) -> None:
    checkpoints = saved_in(tmp_path, keep=2)
    for step in (999999, 1000000):
        checkpoints.save(step, {})
    checkpoints.close()
    assert saved_in(tmp_path).restore() == {"step": 1000000}


def test_what_is_saved_is_the_weights_as_they_were_when_asked(
    saved_in: Callable[..., Checkpoints], tmp_path: Path
) -> None:
    checkpoints = saved_in(tmp_path)
    model = checkpoints.learner.model
    before = model.lm_head.weight.detach().clone()
    checkpoints.save(1, {"note": "kept"})
    with torch.no_grad():
        model.lm_head.weight.add_(1)  # while it is being written
    checkpoints.close()
    other = saved_in(tmp_path, seed=1)
    assert other.restore() == {"step": 1, "note": "kept"}
    assert torch.equal(other.learner.model.lm_head.weight, before)


def test_the_best_weights_stay_until_there_are_better_ones(
    saved_in: Callable[..., Checkpoints], tmp_path: Path
) -> None:
    checkpoints = saved_in(tmp_path)
    model = checkpoints.learner.model
    for step in (5, 10):
        checkpoints.save_best(step)
        checkpoints.close()
        best = model.lm_head.weight.detach().clone()
        with torch.no_grad():
            model.lm_head.weight.add_(1)
    checkpoints.restore_best()
    assert torch.equal(model.lm_head.weight, best)
    assert [p.name for p in tmp_path.iterdir()] == ["best-000010"]


def test_a_restored_model_keeps_its_weights_tied(
    saved_in: Callable[..., Checkpoints], tmp_path: Path
) -> None:
    checkpoints, other = saved_in(tmp_path), saved_in(tmp_path, seed=1)
    checkpoints.save(1, {})
    checkpoints.close()
    other.restore()
    mine, theirs = checkpoints.learner.model, other.learner.model
    assert theirs.lm_head.weight is theirs.model.embed_tokens.weight
    assert torch.equal(theirs.lm_head.weight, mine.lm_head.weight)


def test_without_a_checkpoint_training_starts_at_the_beginning(
    saved_in: Callable[..., Checkpoints], tmp_path: Path
) -> None:
    assert saved_in(tmp_path / "none").restore() == {"step": 0}


def test_the_log_forgets_what_comes_after_the_checkpoint(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    for step in range(1, 5):
        log.write({"step": step, "loss": 0.1 * step}, {"step": step, "elapsed_s": 1.0})
    with log.metrics_path.open("a") as file:
        file.write('{"step": 2, "lo')
    log.keep_first(2)
    steps = [json.loads(line)["step"] for line in log.metrics_path.read_text().splitlines()]
    assert steps == [1, 2]
    assert len(log.timing_path.read_text().splitlines()) == 2


def test_a_checkpoint_before_the_first_update_counts_no_update(
    make_model: Callable[..., Any], make_units: Callable[..., Any], tmp_path: Path
) -> None:
    class Late(TwoUpdates):
        def step(self, number: int) -> Step:
            return Step([]) if number < 2 else super().step(number)

    def weights(name: str, every: int, dies_at: int = -1) -> list[torch.Tensor]:
        (tmp_path / name).mkdir(exist_ok=True)
        learner = Learner(make_model(), replace(SETTINGS, checkpoint_every=every))
        try:
            train(learner, Late(make_units(30), dying_at(dies_at)), NextToken(), tmp_path / name)
        except ProcessDiedError:
            return weights(name, every)
        return list(learner.model.parameters())

    expected = weights("never", 100)
    for found in (weights("often", 1), weights("killed", 1, dies_at=2)):
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
