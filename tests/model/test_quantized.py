"""A base in 4 bits: what is asked of bitsandbytes, and the errors where it cannot be had.

Where bitsandbytes is installed, 4-bit models are loaded on the CPU, past our refusal, and its
fast layout of weights for a CPU, through which no gradients flow, is switched off.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from minireason.errors import MissingError
from minireason.model import load, quantized
from minireason.model.adapters import (
    LoraSettings,
    adapter_weights,
    add_adapters,
    merge_adapters,
    save_adapters,
)
from minireason.model.load import LanguageModel, load_model, save_model
from minireason.model.quantized import four_bits
from minireason.model.source import TINY_FOLDER

FILE = "model.safetensors"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if bitsandbytes were there, of the version that transformers asks for."""
    monkeypatch.setattr(quantized, "find_spec", lambda name: object())
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.50.2")


def test_four_bits_are_nf4_with_double_quantisation_and_bfloat16_products(installed: None) -> None:
    config = four_bits("cuda")
    assert config.load_in_4bit and config.bnb_4bit_quant_type == "nf4"
    assert config.bnb_4bit_use_double_quant
    assert config.bnb_4bit_compute_dtype is torch.bfloat16


def test_on_a_cpu_the_error_says_what_is_here_and_what_to_set(
    installed: None, folder: Path
) -> None:
    with pytest.raises(MissingError, match=r"base_bits is 4, .* CUDA device \(this is cpu\); or "):
        load_model(str(folder), "cpu", bits=4)


def test_without_bitsandbytes_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quantized, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match=r"needs bitsandbytes .*minireason\[qlora\].* = 32"):
        four_bits("cuda")
    with pytest.raises(MissingError, match=r"CUDA device .* and bitsandbytes"):
        four_bits("cpu")


@pytest.mark.parametrize("bits", [32, 4])
def test_a_loaded_model_is_held_as_asked_and_probed(
    bits: Any, folder: Path, language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers is replaced at the one call that would quantise."""
    seen: dict[str, Any] = {}
    tolerances = []

    def from_pretrained(source: str, **asked: Any) -> Any:
        seen.update(asked)
        return language_model.model, {"missing_keys": set()}

    def keeps_apart(model: Any, tolerance: float) -> bool:
        tolerances.append(tolerance)
        return True

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", from_pretrained)
    monkeypatch.setattr(load, "four_bits", lambda device: f"4 bits on {device}")
    monkeypatch.setattr(load, "keeps_apart", keeps_apart)
    load_model(str(folder), "cpu", bits=bits)
    held = (seen.get("quantization_config"), seen.get("device_map"), tolerances)
    assert seen["dtype"] is torch.float32
    assert held == ((None, None, [1e-3]) if bits == 32 else ("4 bits on cpu", {"": "cpu"}, [3e-2]))


@pytest.fixture
def rounded(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The tiny base in 4 bits, on the CPU."""
    bnb = pytest.importorskip("bitsandbytes", reason="pip install 'minireason[qlora]'")
    monkeypatch.setattr(load, "four_bits", lambda device: four_bits("cuda"))
    monkeypatch.setattr(bnb.nn.modules, "has_avx512bf16", lambda: False)
    model = load_model("tiny", "cpu", bits=4).model
    assert isinstance(model.model.layers[0].self_attn.qkv_proj, bnb.nn.Linear4bit)
    return model


def test_the_head_of_a_4_bit_model_is_exact_and_its_adapters_are_in_float32(rounded: Any) -> None:
    assert rounded.lm_head.weight is rounded.model.embed_tokens.weight
    assert torch.equal(rounded.lm_head.weight, load_model("tiny").model.lm_head.weight)
    add_adapters(rounded, LoraSettings(rank=4, alpha=8.0))
    weights = adapter_weights(rounded)
    assert len(weights) == 4 * 4 * 2
    assert {weight.dtype for weight in weights.values()} == {torch.float32}


def test_gradients_flow_through_4_bit_weights_as_through_those_they_stand_for(rounded: Any) -> None:
    import bitsandbytes

    plain = load_model("tiny").model
    for name, module in rounded.named_modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            state = module.weight.quant_state
            value = bitsandbytes.functional.dequantize_4bit(module.weight.data, state)
            plain.get_submodule(name).weight.data = value.float()
    found, expected = ({}, {})
    for model, gradients in ((rounded, found), (plain, expected)):
        add_adapters(model, LoraSettings(rank=4, alpha=8.0, seed=1))
        model.train()
        mask = torch.ones(1, 1, 5, 5, dtype=torch.bool).tril()
        ids = torch.tensor([[5, 9, 40, 41, 7]])
        model(ids, labels=ids, attention_mask=mask, use_cache=False).loss.backward()
        named = model.named_parameters()
        gradients.update((n, p.grad) for n, p in named if ".lora_B." in n)
    for name, gradient in found.items():
        assert (gradient - expected[name]).norm() <= 0.1 * expected[name].norm(), name


def test_adapters_of_4_bit_weights_are_merged_into_the_exact_ones(
    rounded: Any, tmp_path: Path
) -> None:
    add_adapters(rounded, LoraSettings(rank=4, alpha=8.0))  # they are zero still
    save_adapters(rounded, adapter_weights(rounded), tmp_path / "adapter", "tiny")
    exact = load_model("tiny")
    merge_adapters(exact.model, tmp_path / "adapter")
    save_model(exact, tmp_path / "merged")
    merged, before = load_file(tmp_path / "merged" / FILE), load_file(TINY_FOLDER / FILE)
    assert merged.keys() == before.keys()
    assert all(torch.equal(merged[name], weight) for name, weight in before.items())
