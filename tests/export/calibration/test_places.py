"""What is rounded to which grid, in models that other families split otherwise."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from minireason.export.calibration.places import rounded_places
from minireason.export.settings import ExportSettings


def test_parts_of_a_fused_projection_stay_at_8_bits_with_it() -> None:
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(num_hidden_layers=1, vocab_size=100))
    settings = ExportSettings(Path(), "onnx", keep_8bit=("qkv_proj", "gate_up_proj"))
    names = {module: name.rpartition(".")[2] for name, module in model.named_modules()}
    bits = {names[module]: grid.bits for module, grid in rounded_places(model, settings).items()}
    kept = {"q_proj": 8, "k_proj": 8, "v_proj": 8, "gate_proj": 8, "up_proj": 8}
    assert bits == kept | {"o_proj": 4, "down_proj": 4, "lm_head": 4}
