"""Training that was interrupted, anywhere, ends with the same bytes as training that was not."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from minireason.train import loop
from minireason.train.checkpoint import Checkpoints
from minireason.train.data import Layout, PackedData, Step
from minireason.train.loop import train
from minireason.train.metrics import MetricsLog
from minireason.train.objectives.next_token import NextToken
from minireason.train.optimizer import OptimizerSettings, build_optimizer

SETTINGS = OptimizerSettings(3e-3, 0.1, 0.9, 0.95, 1.0, 0.2, "cosine", checkpoint_every=3)


class TwoUpdates:
    """Six steps of two updates each, with metrics of their own; `during` is called in each."""

    def __init__(self, units: Any, during: Callable[[int], None] = lambda number: None) -> None:
        self.data = PackedData(units, Layout(40, 2, 1, True, epochs=6), seed=4)
        self.num_steps, self.during = 6, during

    def step(self, number: int) -> Step:
        self.during(number)
        updates = [self.data.step(2 * number + part).updates[0] for part in (0, 1)]
        return Step(updates, temperature=0.9, metrics={"temperature": 0.9})


class ProcessDiedError(Exception):
    """Stands for the death of the process."""


@pytest.fixture
def run(make_model: Callable[..., Any], make_units: Callable[..., Any]) -> Callable[..., Any]:
    """Train in a folder with a new model and new data, as a new process would."""

    def go(
        folder: Path, during: Callable[[int], None] = lambda number: None, **options: Any
    ) -> Any:
        folder.mkdir(exist_ok=True)
        model = make_model()
        train(model, TwoUpdates(make_units(30), during), NextToken(), SETTINGS, folder, **options)
        return model

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
    unseen: int, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Late:
        """Asked to stop just after the last time but one that anybody looked."""

        looks = 0

        @property
        def is_requested(self) -> bool:
            self.looks += 1
            return self.looks > unseen

    @contextlib.contextmanager
    def late() -> Iterator[Late]:
        yield (asked := Late())
        if asked.is_requested:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "finish_step_on_interrupt", late)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "again")
    done = len((tmp_path / "again" / "metrics.jsonl").read_text().splitlines())
    latest = Checkpoints(tmp_path / "again" / "checkpoints").latest()
    assert latest is not None and latest.name == f"step-{done:06d}"


def test_only_the_newest_checkpoint_is_kept(make_model: Callable[..., Any], tmp_path: Path) -> None:
    model = make_model()
    optimizer = build_optimizer(model, SETTINGS)
    checkpoints = Checkpoints(tmp_path)
    (tmp_path / "step-000001.partial").mkdir()
    for step in (2, 9, 10):
        checkpoints.save(step, model, optimizer)
    assert [p.name for p in tmp_path.iterdir()] == ["step-000010"]
    assert checkpoints.restore(make_model(seed=1), optimizer) == 10


def test_of_two_checkpoints_left_by_a_death_the_newer_is_used(
    make_model: Callable[..., Any], tmp_path: Path
) -> None:
    model = make_model()
    for step in (999999, 1000000):
        saved = Checkpoints(tmp_path / str(step))
        saved.save(step, model, build_optimizer(model, SETTINGS))
        (tmp_path / "both").mkdir(exist_ok=True)
        found = saved.latest()
        assert found is not None
        found.rename(tmp_path / "both" / found.name)
    assert (
        Checkpoints(tmp_path / "both").restore(model, build_optimizer(model, SETTINGS)) == 1000000
    )


def test_a_restored_model_keeps_its_weights_tied(
    make_model: Callable[..., Any], tmp_path: Path
) -> None:
    model, other = make_model(), make_model(seed=1)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, model, build_optimizer(model, SETTINGS))
    checkpoints.restore(other, build_optimizer(other, SETTINGS))
    assert other.lm_head.weight is other.model.embed_tokens.weight
    assert torch.equal(other.lm_head.weight, model.lm_head.weight)


def test_without_a_checkpoint_training_starts_at_the_beginning(
    make_model: Callable[..., Any], tmp_path: Path
) -> None:
    model = make_model()
    optimizer = build_optimizer(model, SETTINGS)
    assert Checkpoints(tmp_path / "none").restore(model, optimizer) == 0
    assert Checkpoints(tmp_path / "none").latest() is None


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
