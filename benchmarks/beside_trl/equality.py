"""Loss and gradients of both sides on one batch: how far apart they are."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from typing import Any

import torch

from beside_trl import theirs
from beside_trl.data import examples, pairs
from beside_trl.setting import BATCH, BETA, SETTINGS
from minireason.model.load import load_model
from minireason.train.data import make_update
from minireason.train.forward import score_units
from minireason.train.learner import Learner
from minireason.train.loop import backward
from minireason.train.objectives import Objective
from minireason.train.objectives.next_token import NextToken
from minireason.train.objectives.preference import LOSSES, Preference
from minireason.train.packing import Unit
from minireason.world import ALONE


def sft(base: str, max_length: int = 448) -> tuple[float, float]:
    """Differences of the loss, relative, and of gradients, each by its largest element."""
    units = examples(base, 2 * BATCH, max_length)[:BATCH]
    model = load_model(base).model
    loss = ours(model, units, NextToken())
    with tempfile.TemporaryDirectory() as folder:
        given = theirs.arguments(folder, 1) | {"max_length": max_length}
        trainer = theirs.sft_trainer(base, [unit[0].ids for unit in units], **given)
        return compared(model, loss, trainer)


def dpo(base: str, max_length: int = 448) -> tuple[float, float]:
    """The same of DPO, with a policy that has moved from its reference."""
    units = pairs(base, 2 * BATCH, max_length)[:BATCH]
    model = load_model(base).model
    scored = score_units(model, units, 2 * max_length, BATCH)
    referenced = [
        [replace(s, values={"reference_logprobs": v}) for s, v in zip(unit, both, strict=True)]
        for unit, both in zip(units, scored, strict=True)
    ]
    move(model)
    loss = ours(model, referenced, Preference(LOSSES["dpo"], BETA))
    with tempfile.TemporaryDirectory() as folder:
        given = theirs.arguments(folder, 1) | {"max_length": max_length}
        trainer = theirs.dpo_trainer(base, units, **given)
        move(trainer.model)
        return compared(model, loss, trainer)


@torch.no_grad()
def move(model: Any) -> None:
    """Change all weights by a hundredth, the same in any model of one shape."""
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.mul_(1 + 0.01 * torch.randn(weight.shape, generator=generator))


def ours(model: Any, units: list[Unit], objective: Objective) -> float:
    work = make_update([[unit] for unit in units], len(units), ALONE)
    (batch,) = work.micro_batches
    model.train()
    return float(backward(Learner(model, SETTINGS), objective, batch, work, 1.0)["loss"])


def compared(model: Any, loss: float, trainer: Any) -> tuple[float, float]:
    trainer.model.train()
    inputs = next(iter(trainer.get_train_dataloader()))
    expected = trainer.compute_loss(trainer.model, inputs)
    expected.backward()
    gradient = max(
        float((mine.grad - other.grad).abs().max() / other.grad.abs().max())
        for mine, other in zip(model.parameters(), trainer.model.parameters(), strict=True)
    )
    return abs(loss / float(expected.detach()) - 1), gradient
