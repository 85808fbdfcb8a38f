"""Train a small model with adapters in as many processes as there are; rank 0 saves what came out.

python -m torch.distributed.run --standalone --nproc-per-node 2 lora_processes.py FILE
"""

from __future__ import annotations

import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

import minireason.model.attention  # noqa: F401  the model that is read needs it
from minireason.model.adapters import LoraSettings, adapter_weights, add_adapters
from minireason.train.data import Layout, PackedData
from minireason.train.learner import Learner
from minireason.train.loop import train
from minireason.train.objectives.next_token import NextToken
from minireason.train.optimizer import OptimizerSettings
from minireason.train.packing import Unit
from minireason.world import ALONE, World, join, leave

SETTINGS = OptimizerSettings(3e-3, 0.1, 0.9, 0.95, 1.0, 0.2, "cosine", checkpoint_every=2)
LORA = LoraSettings(rank=4, alpha=8.0, seed=5)


def trained_adapters(
    model: Any, units: list[Unit], folder: Path, world: World = ALONE
) -> dict[str, torch.Tensor]:
    """The adapters' weights after four steps in this world, which a sampler's copy has too."""
    copy = deepcopy(model)
    add_adapters(model, LORA)
    add_adapters(copy, LORA)
    folder.mkdir(parents=True, exist_ok=True)
    learner = Learner(model, SETTINGS, world)
    data = PackedData(units, Layout(40, 4, 1, True, epochs=9, max_steps=4), seed=4, world=world)
    train(learner, data, NextToken(), folder)
    weights = adapter_weights(model)
    if learner.is_sharded:
        learner.copy_weights_to(copy)
        assert all(torch.equal(w, weights[name]) for name, w in adapter_weights(copy).items())
    return weights


def main(given: Path) -> None:
    torch.set_num_threads(1)
    world = join()
    model, units = torch.load(given, weights_only=False)
    weights = trained_adapters(model, units, given.with_suffix(""), world)
    if world.is_main:
        torch.save(weights, given.with_suffix(".out"))
    leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
