"""Quantisation-aware distillation: a last, short training that knows how it will be rounded.

The forward pass computes with the weights as plain rounding leaves them, gradients go to the
weights themselves (`SeenThrough`), and what is learnt is to say what the unrounded model says, on
that model's own correct responses. torchao's `QATConfig` cannot do it here: its grids are others
(`grid.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils import parametrize

from minireason.export.calibration.distilled import BesideTeacher
from minireason.export.calibration.grid import SeenThrough
from minireason.export.calibration.places import Places, round_weights
from minireason.train.data import Layout, PackedData
from minireason.train.learner import Learner
from minireason.train.loop import Watcher, train
from minireason.train.objectives.next_token import NextToken
from minireason.train.optimizer import OptimizerSettings
from minireason.train.packing import Unit, unit_lengths

WEIGHT = "weight"


@dataclass(frozen=True, slots=True)
class QatSettings:
    """How long, how fast, and how many packed rows of how many tokens a step takes.

    `pace` is about how far a weight moves in an update at most, in steps of its grid: the learning
    rate is this times the median scale, whatever the size of a model's weights.
    """

    num_steps: int = 400
    pace: float = 1 / 100
    batch_size: int = 2
    row_length: int = 1024
    seed: int = 0


def train_aware(
    model: Any,
    teacher: Any,
    units: Sequence[Unit],
    places: Places,
    settings: QatSettings,
    folder: Path,
    watcher: Watcher | None = None,
) -> None:
    """Train the model towards its teacher while it is rounded; its weights end on their grids.

    Goes on from a checkpoint in `folder`. Raises what `train` does.
    """
    source = PackedData(units, _layout(units, settings), settings.seed)
    optimizer = _optimizer(settings, places)
    modules = _rounding_modules(model, places)
    for module, seen_through in modules.items():
        parametrize.register_parametrization(module, WEIGHT, seen_through)
    learner = Learner(model, optimizer, scorer=partial(BesideTeacher, teacher=teacher))
    train(learner, source, NextToken(), folder, watcher)
    for module in modules:
        parametrize.remove_parametrizations(module, WEIGHT, leave_parametrized=False)
    round_weights(places)
    model.eval()


def _rounding_modules(model: Any, places: Places) -> dict[torch.nn.Module, SeenThrough]:
    """The modules in `places`, and the embedding where it has the head's weights."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    modules = {module: SeenThrough(grid) for module, grid in places.items()}
    if embedding.weight is head.weight:
        modules[embedding] = SeenThrough(places[head])
    return modules


def _layout(units: Sequence[Unit], settings: QatSettings) -> Layout:
    longest = int(max(unit_lengths(units), default=0))
    return Layout(
        seq_length=max(settings.row_length, longest),
        batch_size=settings.batch_size,
        micro_batch_size=1,
        packing="best-fit",
        epochs=settings.num_steps * settings.batch_size,  # enough where an epoch is one row
        max_steps=settings.num_steps,
    )


def _optimizer(settings: QatSettings, places: Places) -> OptimizerSettings:
    return OptimizerSettings(
        learning_rate=settings.pace * _median_scale(places),
        weight_decay=0.0,
        beta1=0.9,
        beta2=0.95,
        max_grad_norm=1.0,
        warmup_ratio=0.05,
        schedule="cosine",
        checkpoint_every=100,
        seed=settings.seed,
    )


def _median_scale(places: Places) -> float:
    """The median over all blocks of the step of their grid."""
    scales = [
        grid.scales(module.weight.detach()).abs().flatten()  # type: ignore[operator]
        for module, grid in places.items()
    ]
    return float(torch.cat(scales).median())
