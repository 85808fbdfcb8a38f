"""What a model does to its last hidden states to get the logits, and the proof of it.

Training takes log-probabilities from the hidden states and the head's matrix, without the model's
own logits, so it must know every scale and cap on the way.
"""

from __future__ import annotations

from typing import Any

import torch

from minireason.errors import MissingError
from minireason.model.logprobs import HeadForm
from minireason.model.packed import Packed, hidden_states

# By the config key: logits are multiplied by it (1) or divided by it (-1).
_SCALES = {"logit_scale": 1, "lm_head_multiplier": 1, "logits_scaling": -1}


@torch.no_grad()
def head_form(model: Any) -> HeadForm:
    """The scale and the cap that the config declares, proven by a forward pass of four tokens.

    Raises MissingError where the head has a bias or the model's own logits say otherwise.
    """
    head = model.get_output_embeddings()
    if head is None or getattr(head, "bias", None) is not None:
        raise MissingError("the model has no head, or one with a bias; give one with a plain head")
    form = declared_form(model.config)
    ids_BT = torch.tensor([[1, 2, 3, 4]], device=model.device)
    positions_BT = torch.arange(4, device=model.device)[None]
    segments_BT = torch.ones_like(ids_BT)
    hidden_ND = hidden_states(
        model, ids_BT, positions_BT, segments_BT, torch.zeros_like(positions_BT[0]), positions_BT[0]
    )
    logits_NV = form.logits(hidden_ND @ head.weight.T.to(hidden_ND.dtype))
    own_NV = model(
        input_ids=ids_BT,
        position_ids=positions_BT,
        attention_mask=None,
        use_cache=False,
        packed=Packed.of(segments_BT),
    ).logits[0]
    if not (logits_NV - own_NV).abs().max() <= 1e-3 * own_NV.abs().max():
        raise MissingError(
            f"the model's logits are not its last hidden states times its head under {form}: they "
            "are scaled or capped in a way that its config does not say; give another"
        )
    return form


def declared_form(config: Any) -> HeadForm:
    """What a model's config says of its head."""
    config = config.get_text_config()
    scale = 1.0
    for key, power in _SCALES.items():
        value = getattr(config, key, None)
        if isinstance(value, int | float) and value:
            scale *= float(value) ** power
    return HeadForm(scale, float(getattr(config, "final_logit_softcapping", None) or 0.0))
