"""The optimizer of a stage: AdamW for everything, or Muon for the matrices inside the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from minireason.train.muon import Muon


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """The optimizer, its schedule, how often it is saved, and when a run gives up."""

    learning_rate: float
    weight_decay: float
    beta1: float
    beta2: float
    max_grad_norm: float
    warmup_ratio: float
    schedule: str
    checkpoint_every: int
    keep_checkpoints: int = 1
    max_skipped: int = 3
    seed: int = 0
    name: Literal["adamw", "muon"] = "adamw"


def build_optimizers(model: Any, settings: OptimizerSettings) -> list[torch.optim.Optimizer]:
    """Fused AdamW (arXiv 1711.05101), with Muon for hidden matrices where the settings name it.

    Weight decay applies to matrices only.
    """
    hidden = _hidden_matrices(model) if settings.name == "muon" else []
    taken = {id(p) for p in hidden}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
    groups = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        fused=True,
    )
    if not hidden:
        return [adamw]
    return [adamw, Muon(hidden, settings.learning_rate, settings.weight_decay)]


def _hidden_matrices(model: Any) -> list[torch.Tensor]:
    """The weights of the linear layers between the embedding and the head."""
    ends = {id(module) for module in (model.get_input_embeddings(), model.get_output_embeddings())}
    return [
        module.weight
        for module in model.modules()
        if isinstance(module, torch.nn.Linear)
        and id(module) not in ends
        and module.weight.requires_grad
    ]
