"""The optimizer of a stage: AdamW for everything, or Muon for the matrices inside the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch

from minireason.train.muon import Muon


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """The optimizer, its schedule, and how often it is saved."""

    learning_rate: float
    weight_decay: float
    beta1: float
    beta2: float
    max_grad_norm: float
    warmup_ratio: float
    schedule: str
    checkpoint_every: int
    name: Literal["adamw", "muon"] = "adamw"


class Optimizer(Protocol):
    """What the training loop needs of an optimizer; every torch one has it."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups, each with its `lr`."""

    def step(self) -> Any:
        """One update from the gradients."""

    def zero_grad(self) -> None:
        """Forget the gradients."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""


class Joined:
    """Several optimizers that step, and are saved, as one."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = parts

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all parts."""
        return [group for part in self.parts for group in part.param_groups]

    def step(self) -> None:
        """One update of every part."""
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """The parts' states, by their place."""
        return {str(place): part.state_dict() for place, part in enumerate(self.parts)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        for place, part in enumerate(self.parts):
            part.load_state_dict(state_dict[str(place)])


def build_optimizer(model: Any, settings: OptimizerSettings) -> Optimizer:
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
        return adamw
    return Joined([adamw, Muon(hidden, settings.learning_rate, settings.weight_decay)])


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
