"""Weights that may be spread over processes, without asking which they are."""

from __future__ import annotations

import torch
from torch.distributed.tensor import DTensor


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A sharded tensor gathered from all processes, which all must call it; another as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
