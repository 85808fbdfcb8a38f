"""bfloat16 such that small updates survive: matmuls in it, weights and optimizer in float32.

At the paper's learning rate of 5e-7 an update is far below the spacing of bfloat16 numbers (one
part in 256), so weights stored in bfloat16 would not move at all.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def compute_in_bfloat16(model: Any) -> None:
    """Run the decoder's forward pass under autocast, in training and in sampling alike."""
    autocast = torch.autocast(model.device.type, dtype=torch.bfloat16)
    decoder = model.get_decoder()
    decoder.forward = autocast(decoder.forward)
    decoder.computes_in_bfloat16 = True


def precision_of(model: Any) -> AbstractContextManager[Any]:
    """What the model's head is multiplied under: as its decoder is."""
    is_lowered = getattr(model.get_decoder(), "computes_in_bfloat16", False)
    return torch.autocast(model.device.type, torch.bfloat16) if is_lowered else nullcontext()
