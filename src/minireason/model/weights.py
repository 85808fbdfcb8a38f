"""A model's weights as its checkpoint would have them, for an engine that holds a copy."""

from __future__ import annotations

from typing import Any

import torch
from transformers.core_model_loading import revert_weight_conversion

from minireason.errors import SamplingError
from minireason.model.sharded import whole


@torch.no_grad()
def checkpoint_weights(model: Any) -> dict[str, torch.Tensor]:
    """The weights by the names that a checkpoint has, adapters added in.

    A tied weight comes under each of its names: an engine may hold it twice, as vLLM does on CPUs.
    What needs no change is the model's own tensor, not a copy. Where the model is sharded every
    process must call it, and each gets whole ones. Raises SamplingError for a
    quantised model.
    """
    if getattr(model, "is_quantized", False):
        raise SamplingError(
            "the model's base is quantised, and its checkpoint would not be; set "
            "lora.base_bits = 32, or sampler.engine = 'embedded'"
        )
    adapted = {name: each for name, each in model.named_modules() if hasattr(each, "lora_A")}
    weights: dict[str, torch.Tensor] = {}
    for name, weight in model.state_dict().items():
        if ".lora_" in name:
            continue
        layer = adapted.get(name.removesuffix(".base_layer.weight"))
        value = whole(weight)
        if layer is not None:
            for adapter in layer.active_adapters:
                value = value + layer.get_delta_weight(adapter).to(value.dtype)
        weights[name.replace(".base_layer.", ".")] = value
    return dict(revert_weight_conversion(model, weights))
