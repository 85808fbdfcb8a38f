"""The state a model must be in while it samples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Evaluation mode and no gradients; afterwards each module is in the mode it was in.

    A model in evaluation mode is taken to be so in all its parts: this may enclose every step.
    `no_grad` and not `inference_mode`: a rotary embedding may store a tensor in the model.
    """
    training = [part for part in model.modules() if part.training] if model.training else []
    if training:
        model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True
