"""Phi-4-mini as it was published: its configuration, and the model without its weights.

Source: `config.json` of microsoft/Phi-4-mini-instruct at revision cfbefacb (Phi3ForCausalLM), the
base that Phi-4-mini-reasoning was trained from; read in public copies of that file, which agree in
every number. The reasoning model's own file was not at hand: its paper (arXiv 2504.21233) changes
nothing of the architecture. That file gives a sliding window of 262,144, beyond the 131,072
positions there are, so every token sees all before it.
"""

from __future__ import annotations

import torch
from transformers import Phi3Config, Phi3ForCausalLM

from minireason.model.attention import ATTENTION

SHORT_FACTOR = [1.0] * 48
# fmt: off
LONG_FACTOR = [
    1.0, 1.118320672, 1.250641126, 1.398617824, 1.564103225, 1.74916897, 1.956131817, 2.187582649,
    2.446418898, 2.735880826, 3.059592084, 3.421605075, 3.826451687, 4.279200023, 4.785517845,
    5.351743533, 5.984965424, 6.693110555, 7.485043894, 8.370679318, 9.36110372, 10.4687158,
    11.70738129, 13.09260651, 14.64173252, 16.37415215, 18.31155283, 20.47818807, 22.90118105,
    25.61086418, 28.64115884, 32.03, 32.1, 32.13, 32.23, 32.6, 32.61, 32.64, 32.66, 32.7, 32.71,
    32.93, 32.97, 33.28, 33.49, 33.5, 44.16, 47.77,
]
# fmt: on
"""One number for each of the 48 rotated pairs: 128 dimensions a head, three quarters rotated."""


def phi4_mini_config() -> Phi3Config:
    """The published configuration: 3,836,021,760 parameters, 200,064 tokens, 131,072 positions."""
    return Phi3Config(
        vocab_size=200064,
        hidden_size=3072,
        intermediate_size=8192,
        num_hidden_layers=32,
        num_attention_heads=24,
        num_key_value_heads=8,
        hidden_act="silu",
        max_position_embeddings=131072,
        original_max_position_embeddings=4096,
        initializer_range=0.02,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.75,
            "short_factor": list(SHORT_FACTOR),
            "long_factor": list(LONG_FACTOR),
        },
        bos_token_id=199999,
        eos_token_id=199999,
        pad_token_id=199999,
        sliding_window=262144,
    )


def meta_model(config: Phi3Config) -> Phi3ForCausalLM:
    """The model of a configuration on the meta device: names and shapes, and no memory."""
    with torch.device("meta"):
        return Phi3ForCausalLM._from_config(config, attn_implementation=ATTENTION)
