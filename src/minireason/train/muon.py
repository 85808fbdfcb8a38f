"""Muon: momentum whose update of each weight matrix is made orthogonal.

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; the update's size and the decoupled
weight decay are those of Liu et al. 2025 (arXiv 2502.16982), which give it the root mean square of
an AdamW update, so that learning rates carry over. `torch.optim.Muon` is the same mathematics, one
matrix at a time in bfloat16; this one batches matrices of one shape and computes in float32 on a
CPU, where bfloat16 is slow unless the processor has matrix units for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from minireason.model.sharded import whole

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton-Schulz step; they bring singular values near 1 fast, not exactly to 1."""
NUM_ITERATIONS = 5
RMS_OF_ADAMW = 0.2


class Muon(torch.optim.Optimizer):
    """For matrices inside the network; embeddings, heads and vectors belong to AdamW.

    1. A projection that the model keeps fused (Phi-3's query, key and value; gate and up) is made
       orthogonal as one matrix, where the references split it.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient. Raises ValueError if given a closure."""
        if closure is not None:
            raise ValueError("Muon takes no closure; compute the gradients before step()")
        for group in self.param_groups:
            for params in _by_shape(group["params"]):
                # a matrix's singular vectors are of the whole of it
                momenta = [whole(self._momentum(p, group)) for p in params]
                update = orthogonalized(torch.stack(momenta))
                rows, columns = update.shape[-2:]
                step_size = group["lr"] * RMS_OF_ADAMW * max(rows, columns) ** 0.5
                for parameter, change in zip(params, update, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(_part_of(change, parameter), alpha=-step_size)

    def _momentum(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        """Nesterov's look-ahead of the running mean of the gradients."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        mean = state["momentum_buffer"].lerp_(parameter.grad, 1 - group["momentum"])
        return parameter.grad.lerp(mean, group["momentum"])


def orthogonalized(matrices: Tensor) -> Tensor:
    """Each of [batch, rows, columns] with its singular vectors, and singular values near 1."""
    a, b, c = COEFFICIENTS
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.to(torch.bfloat16 if matrices.is_cuda else torch.float32)
    x = x.mT if is_tall else x
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(NUM_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if is_tall else x).to(matrices.dtype)


def _part_of(matrix: Tensor, like: Tensor) -> Tensor:
    """This process's part of a matrix that every process has whole."""
    if not isinstance(like, DTensor):
        return matrix
    return distribute_tensor(matrix, like.device_mesh, like.placements, src_data_rank=None)


def _by_shape(params: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    shapes: dict[torch.Size, list[Tensor]] = defaultdict(list)
    for parameter in params:
        if parameter.grad is not None:
            shapes[parameter.shape].append(parameter)
    return shapes.values()
