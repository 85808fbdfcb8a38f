"""Held-out loss and saturation: when training stops, and with which weights."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from minireason.train.data import Layout, PackedData
from minireason.train.forward import score_units
from minireason.train.learner import Learner
from minireason.train.loop import Watcher, train
from minireason.train.objectives.next_token import NextToken
from minireason.train.optimizer import OptimizerSettings
from minireason.train.validation import Saturation, Validation

SETTINGS = OptimizerSettings(1e-2, 0.0, 0.9, 0.95, 1.0, 0.0, "constant", checkpoint_every=3)


def watching(losses: list[float], patience: int = 2, min_delta: float = 0.1) -> Validation:
    found = Validation([], 1, Saturation(1, patience, min_delta))
    found.losses = list(enumerate(losses, start=1))
    return found


@pytest.mark.parametrize(
    ("losses", "best", "is_saturated"),
    [
        ([], (0, math.inf), False),
        ([2.0], (1, 2.0), False),
        ([2.0, 1.95, 1.85], (3, 1.85), False),
        ([2.0, 1.95, 1.92], (1, 2.0), True),
        ([2.0, 1.0, 1.5, 1.2], (2, 1.0), True),
        ([2.0, 2.5, 1.8, 1.75], (3, 1.8), False),
        ([2.0, float("nan"), float("nan")], (1, 2.0), True),
    ],
)
def test_saturation_by_hand(
    losses: list[float], best: tuple[int, float], is_saturated: bool
) -> None:
    found = watching(losses)
    assert (found.best, found.is_saturated) == (best, is_saturated)


def test_the_loss_is_the_mean_over_all_held_out_targets(
    make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    units = make_units(7)
    logprobs = [
        value for (each,) in score_units(make_model(), units, 30, 2) for value in each.tolist()
    ]
    validation = Validation.of(units, 30, 2, Saturation(1, 2, 0.0))
    found = validation.measure(5, Learner(make_model(), SETTINGS))
    assert found["validation_loss"] == pytest.approx(-sum(logprobs) / len(logprobs), rel=1e-5)
    assert validation.losses == [(5, found["validation_loss"])]


def test_measuring_leaves_no_gradient_and_the_model_in_training(
    make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    learner = Learner(make_model(), SETTINGS)
    Validation.of(make_units(3), 30, 2, Saturation(1, 2, 0.0)).measure(1, learner)
    assert all(p.grad is None for p in learner.model.parameters()) and learner.model.training


@pytest.fixture
def run(make_model: Callable[..., Any], make_units: Callable[..., Any]) -> Callable[..., Any]:
    """Train towards one set while another, which it only gets worse at, is watched."""

    def go(folder: Path, at: int = -1, patience: int = 2) -> tuple[Any, list[dict[str, float]]]:
        folder.mkdir(exist_ok=True)
        data = PackedData(make_units(6), Layout(40, 2, 2, "best-fit", epochs=40), seed=0)
        learner = Learner(make_model(), SETTINGS)
        saturation = Saturation(every=2, patience=patience, min_delta=0.0)
        validation = Validation.of(make_units(6, seed=9), 40, 2, saturation)

        def look(done: int, total: int, metrics: dict[str, float], _: dict[str, float]) -> None:
            if done == at:
                raise RuntimeError("died")

        train(learner, data, NextToken(), folder, Watcher(step=look), validation)
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        return learner.model, [json.loads(line) for line in lines]

    return go


def measured(lines: list[dict[str, float]]) -> list[tuple[int, float]]:
    return [(int(x["step"]), x["validation_loss"]) for x in lines if "validation_loss" in x]


def test_training_stops_when_the_held_out_loss_no_longer_falls_with_the_best_weights(
    run: Callable[..., Any], make_units: Callable[..., Any], tmp_path: Path
) -> None:
    model, lines = run(tmp_path)
    losses = measured(lines)
    assert [step for step, _ in losses] == list(range(2, len(lines) + 1, 2))
    assert len(lines) < 80  # the steps of all epochs
    best = min(loss for _, loss in losses)
    assert [loss > best for _, loss in losses[-2:]] == [True, True] and losses[-3][1] == best
    again = Validation.of(make_units(6, seed=9), 40, 2, Saturation(1, 1, 0.0))
    kept = again.measure(0, Learner(model, SETTINGS))["validation_loss"]
    assert kept == pytest.approx(best, rel=1e-6)


def test_a_death_does_not_change_when_training_stops(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    model, lines = run(tmp_path / "straight")
    for at in (3, len(lines) - 1, len(lines)):
        with pytest.raises(RuntimeError, match="died"):
            run(tmp_path / "again", at)
    other, others = run(tmp_path / "again")
    assert others == lines
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
