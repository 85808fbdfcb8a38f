"""A model's weights as a checkpoint has them."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import MixtralConfig, MixtralForCausalLM

from minireason.errors import SamplingError
from minireason.model.adapters import LoraSettings, add_adapters, merge_adapters, save_adapters
from minireason.model.adapters import adapter_weights as of_adapters
from minireason.model.tiny import build_model
from minireason.model.weights import checkpoint_weights


def same(weights, others):
    assert weights.keys() == others.keys()
    return all(torch.equal(weights[name], others[name]) for name in weights)


def test_they_are_the_models_own_tensors_and_a_tied_one_has_both_names():
    model = build_model(64, seed=0, num_layers=1)
    weights = checkpoint_weights(model)
    assert weights["lm_head.weight"].data_ptr() == model.get_input_embeddings().weight.data_ptr()
    assert {w.data_ptr() for w in weights.values()} == {p.data_ptr() for p in model.parameters()}


def test_names_and_shapes_are_those_that_are_saved(tmp_path):
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "vocab_size": 32}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_local_experts": 2}
    model = MixtralForCausalLM(MixtralConfig(**sizes, **heads))  # experts are fused when loaded
    model.save_pretrained(tmp_path)
    assert same(checkpoint_weights(model), load_file(tmp_path / "model.safetensors"))


def test_adapters_are_added_in_as_peft_merges_them(tmp_path):
    pytest.importorskip("peft")
    model = build_model(64, seed=0, num_layers=1)
    add_adapters(model, LoraSettings(rank=2, alpha=4.0))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:  # zero until it is trained
                parameter.normal_(generator=torch.Generator().manual_seed(0))
    save_adapters(model, of_adapters(model), tmp_path, "base")
    merged = build_model(64, seed=0, num_layers=1)
    merge_adapters(merged, tmp_path)
    found, expected = checkpoint_weights(model), checkpoint_weights(merged)
    assert found.keys() == expected.keys()
    for name, weight in found.items():
        torch.testing.assert_close(weight, expected[name])
    base = checkpoint_weights(build_model(64, seed=0, num_layers=1))
    assert not same(found, base)


def test_a_quantised_base_is_refused():
    model = build_model(64, seed=0, num_layers=1)
    model.is_quantized = True  # as transformers marks it
    with pytest.raises(SamplingError, match="base is quantised"):
        checkpoint_weights(model)
