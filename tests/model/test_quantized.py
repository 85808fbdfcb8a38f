"""A base in 4 bits: what is asked of bitsandbytes, and the errors where it cannot be had.

No 4-bit model is loaded here: that needs CUDA.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from minireason.errors import MissingError
from minireason.model import load, quantized
from minireason.model.load import LanguageModel, load_model
from minireason.model.quantized import four_bits


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
