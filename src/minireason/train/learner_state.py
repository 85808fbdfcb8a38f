"""What a checkpoint holds of one learner: its weights and its optimizers' state, by name."""

from __future__ import annotations

from typing import Any

import torch
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_state_dict,
)

from minireason.train.learner import Learner


class LearnerState:
    """Tensors of a learner as torch's distributed checkpoint takes them, without frozen weights.

    Every process must call these together.
    """

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        named = learner.model.named_parameters(remove_duplicate=False)
        self._frozen = {name for name, parameter in named if not parameter.requires_grad}
        self._options = StateDictOptions(
            ignore_frozen_params=bool(self._frozen), strict=not self._frozen
        )

    def tensors(self) -> dict[str, Any]:
        """Weights and optimizer state; one that has not begun yet is left so."""
        optimizers = self.learner.optimizers
        is_fresh = not any(optimizer.state for optimizer in optimizers)
        state = self.room()
        if is_fresh:  # torch has made a state by a step of zeros, which must not count as a step
            for moments in state["optimizer"]["state"].values():
                moments.get("step", torch.zeros(())).zero_()
            for each in optimizers:
                each.state.clear()
        return state

    def room(self) -> dict[str, Any]:
        """The same tensors to load into."""
        model, optimizer = get_state_dict(
            self.learner.model, self.learner.optimizers, options=self._options
        )
        return {"model": self._trained(model), "optimizer": optimizer}

    def take(self, state: dict[str, Any]) -> None:
        """Go on from these weights and this optimizer state."""
        set_state_dict(
            self.learner.model,
            self.learner.optimizers,
            model_state_dict=state["model"],
            optim_state_dict=state["optimizer"],
            options=self._options,
        )

    def weights(self) -> dict[str, Any]:
        return self._trained(get_model_state_dict(self.learner.model, options=self._options))

    def take_weights(self, weights: dict[str, Any]) -> None:
        set_model_state_dict(self.learner.model, weights, options=self._options)

    def _trained(self, weights: dict[str, Any]) -> dict[str, Any]:
        """Without the frozen ones, of which torch leaves out only the first of two tied names."""
        return {name: weight for name, weight in weights.items() if name not in self._frozen}
