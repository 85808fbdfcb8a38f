"""Adapters start at the base, are all that trains, and leave a model of the usual kind."""

from __future__ import annotations

import json
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from minireason.errors import MissingError, RecipeError
from minireason.model.adapters import (
    LoraSettings,
    adapter_weights,
    add_adapters,
    base_alone,
    is_adapted,
    merge_adapters,
    save_adapters,
)
from minireason.model.load import LanguageModel, load_model, save_model

IDS = torch.tensor([[5, 9, 40, 41, 7]])
CAUSAL = torch.ones(1, 1, 5, 5, dtype=torch.bool).tril()
SETTINGS = LoraSettings(rank=4, alpha=8.0, seed=1)


@torch.no_grad()
def logprobs(model: Any) -> torch.Tensor:
    return model(IDS, attention_mask=CAUSAL, use_cache=False).logits.log_softmax(-1)


@pytest.fixture
def model(language_model: LanguageModel) -> Any:
    return deepcopy(language_model.model)


def trained(model: Any, settings: LoraSettings = SETTINGS) -> Any:
    """The model with adapters as training might leave them: far from the base."""
    add_adapters(model, settings)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(0, 0.3, generator=generator)
    return model.eval()


def test_adapters_start_at_the_base_and_alone_take_gradients(model: Any) -> None:
    before = logprobs(model)
    assert not is_adapted(model)
    add_adapters(model, SETTINGS)
    assert is_adapted(model) and torch.equal(logprobs(model), before)
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(names) == 2 * 2 * 4  # A and B of four linear layers in each of two layers
    assert all(".lora_A." in name or ".lora_B." in name for name in names)


def test_adapters_are_in_float32_whatever_the_base_is_in(model: Any) -> None:
    add_adapters(model.bfloat16(), SETTINGS)
    assert {weight.dtype for weight in adapter_weights(model).values()} == {torch.float32}


def test_the_random_halves_come_from_the_seed_and_disturb_no_other_numbers(
    language_model: LanguageModel,
) -> None:
    def first_of(seed: int, numbers_before: int) -> torch.Tensor:
        torch.manual_seed(numbers_before)
        model = deepcopy(language_model.model)
        add_adapters(model, LoraSettings(4, 8.0, seed=seed))
        return next(iter(adapter_weights(model).values()))

    assert torch.equal(first_of(1, 0), first_of(1, 5))
    assert not torch.equal(first_of(1, 0), first_of(2, 0))
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    add_adapters(deepcopy(language_model.model), SETTINGS)
    assert torch.equal(torch.rand(4), expected)


def test_all_linear_is_what_peft_means_by_it(language_model: LanguageModel) -> None:
    mine, theirs = deepcopy(language_model.model), deepcopy(language_model.model)
    add_adapters(mine, SETTINGS)
    get_peft_model(theirs, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    shapes = [(name, p.shape, p.requires_grad) for name, p in mine.named_parameters()]
    assert shapes == [(name, p.shape, p.requires_grad) for name, p in theirs.named_parameters()]


def test_named_layers_alone_are_adapted(model: Any) -> None:
    add_adapters(model, LoraSettings(4, 8.0, targets=("qkv_proj",)))
    assert len(weights := adapter_weights(model)) == 4
    assert all("self_attn.qkv_proj" in name for name in weights)


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens", "q_proj", "input_layernorm"])
def test_what_is_no_linear_layer_inside_the_model_is_refused(target: str, model: Any) -> None:
    with pytest.raises(RecipeError, match=f"holds {target}; .* are down_proj, .*, qkv_proj, or"):
        add_adapters(model, LoraSettings(4, 8.0, targets=("qkv_proj", target)))
    assert not is_adapted(model)


def test_without_peft_the_error_says_what_to_install(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingError, match=r"pip install 'minireason\[lora\]'"):
        add_adapters(model, SETTINGS)


def test_the_base_alone_scores_as_before_and_the_adapters_come_back(model: Any) -> None:
    before = logprobs(model)
    adapted = logprobs(trained(model, LoraSettings(4, 8.0, dropout=0.5)))
    model.train()
    with base_alone(model):
        assert torch.equal(logprobs(model), before)
    assert model.training and len(adapter_weights(model)) == 16
    assert torch.equal(logprobs(model.eval()), adapted)
    assert (adapted - before).abs().max() > 0.1


def test_a_model_without_adapters_is_its_own_base(model: Any) -> None:
    before = logprobs(model)
    with base_alone(model):
        assert torch.equal(logprobs(model), before)


def test_merged_scores_as_adapted_and_loads_without_peft(
    model: Any, language_model: LanguageModel, tmp_path: Path
) -> None:
    adapted = logprobs(trained(model))
    save_adapters(model, adapter_weights(model), tmp_path / "adapter", "owner/base")
    save_model(language_model, tmp_path / "base")
    merged = load_model(str(tmp_path / "base"))
    assert (logprobs(merged.model) - adapted).abs().max() > 0.1
    merge_adapters(merged.model, tmp_path / "adapter")
    torch.testing.assert_close(logprobs(merged.model), adapted, atol=1e-5, rtol=0)
    assert not is_adapted(merged.model)
    assert merged.model.lm_head.weight is merged.model.model.embed_tokens.weight

    save_model(merged, tmp_path / "merged")
    names = [load_file(tmp_path / f / "model.safetensors").keys() for f in ("base", "merged")]
    assert names[0] == names[1]
    stock = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    assert type(stock).__name__ == "Phi3ForCausalLM"
    assert stock.lm_head.weight is stock.model.embed_tokens.weight
    with torch.no_grad():
        found = stock(IDS).logits.log_softmax(-1)
    torch.testing.assert_close(found, adapted, atol=1e-5, rtol=0)


def test_peft_itself_loads_the_saved_adapters(
    model: Any, language_model: LanguageModel, tmp_path: Path
) -> None:
    adapted = logprobs(trained(model))
    save_adapters(model, adapter_weights(model), tmp_path, "owner/base")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "owner/base" and config["r"] == 4
    assert config["target_modules"] == sorted(config["target_modules"])  # the same bytes each time
    loaded = PeftModel.from_pretrained(deepcopy(language_model.model), str(tmp_path))
    assert not any(p.requires_grad for p in loaded.parameters())
    torch.testing.assert_close(logprobs(loaded), adapted, atol=1e-6, rtol=0)


def test_saving_leaves_the_adapters_ready_to_train_on(model: Any, tmp_path: Path) -> None:
    save_adapters(trained(model), adapter_weights(model), tmp_path, "owner/base")
    assert len(adapter_weights(model)) == 16
